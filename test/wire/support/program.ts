import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The real programs that wire tests speak to, and how to get each. */
const PROGRAMS = {
  moto_server: "pip install 'moto[server]'",
  'prometheus-alertmanager': 'apt-get install prometheus-alertmanager',
  protoc: 'apt-get install protobuf-compiler',
  grpc_python_plugin: 'apt-get install protobuf-compiler-grpc',
} as const;

export type ProgramName = keyof typeof PROGRAMS;

/** Where a program is, or why it cannot be used. */
type Program = { readonly path: string } | { readonly missing: string };

/** Looks a program up in PATH. */
function program(name: ProgramName): Program {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const path = folders.map((folder) => join(folder, name)).find(isExecutable);
  return path === undefined ? { missing: `${name} is not installed (${PROGRAMS[name]})` } : { path };
}

/** The path of a program. Throws when it is missing. */
export function pathOf(name: ProgramName): string {
  const found = program(name);
  if ('path' in found) return found.path;
  throw new Error(found.missing);
}

/**
 * For the `skip` option of a test: the reason when a program is missing. In CI never: there the test runs and fails,
 * so that a broken image cannot pass for a green suite.
 */
export function skipWithout(...names: readonly ProgramName[]): string | false {
  if (process.env['CI'] === 'true') return false;
  const missing = names.map(program).flatMap((found) => ('missing' in found ? found.missing : []));
  return missing.length === 0 ? false : missing.join('; ');
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
