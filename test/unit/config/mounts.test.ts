import assert from 'node:assert/strict';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { frozenFiles, readMounts } from '../../../src/config/mounts.ts';
import { fill, temporaryDirectory } from './temp-directory.ts';

/** Lines of /proc/self/mountinfo as a container on a node of Kubernetes has them. */
const POD = '/var/lib/kubelet/pods/0b4d2f6c/volumes/kubernetes.io~configmap/rules';
const ROOT = '1021 912 0:310 / / rw,relatime master:412 - overlay overlay rw,lowerdir=/var/lib/x';
const PROC = '1022 1021 0:313 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw';

const MOUNTS: readonly [rule: string, mount: (directory: string) => string, frozen: readonly string[]][] = [
  ['nothing is frozen in a directory that is no mount', () => PROC, []],
  [
    'nor in a whole volume, which the kubelet keeps up to date',
    (d) => `1030 1021 8:1 ${POD} ${d} ro - ext4 /dev/sda1 rw`,
    [],
  ],
  [
    'a file mounted by subPath is',
    (d) =>
      `1031 1021 8:1 ${POD}/..2026_11_22_13_20_00.123456789/a.yaml ${d}/a.yaml ro,relatime - ext4 /dev/sda1 rw`,
    ['a.yaml'],
  ],
  [
    'so is a single file of a host, which Docker mounts',
    (d) => `1032 1021 8:1 /home/me/rules.yaml ${d}/below/b.yaml rw - ext4 /dev/sda1 rw`,
    ['below/b.yaml'],
  ],
  [
    'and all files of a directory mounted by subPath, of a Secret that is in memory, too',
    (d) => `1033 1021 0:44 /..2026_11_22_13_20_00.123456789/below ${d}/below ro - tmpfs tmpfs rw`,
    ['below/b.yaml'],
  ],
  [
    'a space in a path is an escape there',
    (d) => `1034 1021 8:1 /x ${d}/with\\040space.yaml rw - ext4 /dev/sda1 rw`,
    ['with space.yaml'],
  ],
  [
    'what only begins with the name of a mount is not in it',
    (d) => `1035 1021 0:44 /..2026_11_22_13_20_00.1/x ${d}/bel ro - tmpfs tmpfs rw`,
    [],
  ],
];
for (const [rule, mount, frozen] of MOUNTS) {
  test(rule, async (context) => {
    const d = await fill(await temporaryDirectory(context), {
      'a.yaml': '',
      'below/b.yaml': '',
      'with space.yaml': '',
    });
    const files = ['a.yaml', 'below/b.yaml', 'with space.yaml'].map((file) => join(d, file));
    const text = `${ROOT}\n${PROC}\n${mount(d)}\n`;
    assert.deepEqual(
      await frozenFiles(files, () => Promise.resolve(text)),
      frozen.map((file) => join(d, file)),
    );
  });
}

test('a link to a frozen file is frozen, too', async (context) => {
  const d = await fill(await temporaryDirectory(context), { 'a.yaml': '' });
  await symlink('a.yaml', join(d, 'link.yaml'));
  const text = `1036 1021 8:1 /x ${d}/a.yaml rw - ext4 /dev/sda1 rw\n`;
  assert.deepEqual(await frozenFiles([join(d, 'link.yaml')], () => Promise.resolve(text)), [
    join(d, 'link.yaml'),
  ]);
});

test('where there is no list of mounts, nothing is frozen', async (context) => {
  const d = await fill(await temporaryDirectory(context), { 'a.yaml': '' });
  assert.deepEqual(await frozenFiles([join(d, 'a.yaml')], () => Promise.resolve('')), []);
});

test('the list of mounts of this machine can be read, and has no file of a test', async (context) => {
  const d = await fill(await temporaryDirectory(context), { 'a.yaml': '' });
  assert.deepEqual(await frozenFiles([join(d, 'a.yaml')], readMounts), []);
});
