import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';

/** A directory of the test's own, gone when it ends. */
export async function temporaryDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coppice-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Writes files, with the directories they need; answers the directory. */
export async function fill(directory: string, files: Readonly<Record<string, string>>): Promise<string> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  return directory;
}

/**
 * Puts files into a mounted ConfigMap as the kubelet does: a new directory, one rename of `..data`, then the links
 * that users see. The old directory goes away.
 */
export async function publish(
  volume: string,
  version: string,
  files: Readonly<Record<string, string>>,
  previous?: string,
): Promise<void> {
  await fill(join(volume, version), files);
  await symlink(version, join(volume, '..data_tmp'));
  await rename(join(volume, '..data_tmp'), join(volume, '..data'));
  for (const name of Object.keys(files)) {
    await symlink(join('..data', name), join(volume, name)).catch(() => undefined);
  }
  if (previous !== undefined) await rm(join(volume, previous), { recursive: true });
}

/** A rule file with one sound rule of that name. */
export function ruleFile(name: string): string {
  return `rules:
  - name: ${name}
    on: { alert: SpotTerminationNotice }
    cooldown: { for: 15m }
    then: [{ swap: {} }]
`;
}
