import { readFile, realpath } from 'node:fs/promises';

/** Text of Linux' /proc/self/mountinfo; empty where there is none. */
export type ReadMounts = () => Promise<string>;

export const readMounts: ReadMounts = () => readFile('/proc/self/mountinfo', 'utf8').catch(() => '');

/** Where the kubelet keeps one version of a ConfigMap: `..2026_11_22_13_20_00.123456789`. */
const VERSION = /\/\.\.\d{4}_/;

/**
 * Those of the files that stay as they are, whatever happens to where they come from: a file that is a mount by itself (`subPath`
 * of Kubernetes, a single file given to Docker) keeps the file that it was made with when another one takes its name, and a mount
 * out of one version of a ConfigMap keeps that version.
 */
export async function frozenFiles(files: readonly string[], read: ReadMounts): Promise<readonly string[]> {
  const mounts = parseMounts(await read());
  if (mounts.length === 0) return [];
  const real = await Promise.all(
    files.map(async (file) => ({ file, path: await realpath(file).catch(() => file) })),
  );
  return real.filter(({ path }) => mounts.some((mount) => freezes(mount, path))).map(({ file }) => file);
}

interface Mount {
  /** Path within the file system that is mounted. */
  readonly root: string;
  readonly point: string;
}

function freezes({ root, point }: Mount, path: string): boolean {
  return point === path || (VERSION.test(root) && path.startsWith(`${point}/`));
}

/** Fields 4 and 5 of each line (proc(5)): root and mount point, with spaces and the like as octal escapes. */
function parseMounts(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const [, , , root, point] = line.split(' ');
    return root === undefined || point === undefined
      ? []
      : [{ root: unescaped(root), point: unescaped(point) }];
  });
}

function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_whole, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
