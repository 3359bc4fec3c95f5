// Compiles src/ into dist/, for the package: Node strips no types under node_modules. Runs before `npm pack`.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const root = join(import.meta.dirname, '..');

// What a file that is gone had left there would be packed, too.
rmSync(join(root, 'dist'), { recursive: true, force: true });
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
  cwd: root,
  // Standard output is the packer's: `npm pack --json` writes its answer there.
  stdio: ['ignore', process.stderr.fd, 'inherit'],
});
process.exit(status ?? 1);
