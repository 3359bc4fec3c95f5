// Installs the packages when they are missing or older than the lock file, so that `npm run demo` and `npm test` work
// on a clean clone. Runs on any Node from 20 on, before anything is installed: only node:* may be imported here.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const root = join(import.meta.dirname, '..');
const installed = join(root, 'node_modules', '.package-lock.json');
const wanted = join(root, 'package-lock.json');

// Not `npm ci`: it refuses a lock file that lacks optional packages for other platforms, which a registry need not serve.
// This installs the versions of the lock file just the same, and changes no file of the project.
const install = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];

if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(wanted).mtimeMs) {
  process.stderr.write('coppice: installing packages (once)…\n');
  const { status } = spawnSync('npm', install, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    process.stderr.write(
      'coppice: `npm install` failed; see the message above. Is the npm registry reachable?\n',
    );
    process.exit(status ?? 1);
  }
}
