import { dirname, resolve } from 'node:path';
import type { Credentials, TokenIssuer } from '../access/credentials.ts';
import { keySetProblem } from '../access/jwt.ts';
import { type AccessSpec, accessSchema } from './access-schema.ts';
import { byPlace, type FileProblem, isError, wholeFile } from './file-problem.ts';
import type { FileRead, ReadOne } from './read-together.ts';
import { allProblems } from './rule-file.ts';
import { checkSecretly, type Mistake } from './schema-issues.ts';
import { readYaml, type YamlSource } from './yaml-source.ts';

/** What was read of an access file and the files that it names. */
export interface AccessRead {
  /** Null when there are errors. */
  readonly credentials: Credentials | null;
  /** All of all files, by their places. Warnings too, which refuse nothing. No message repeats a value. */
  readonly problems: readonly FileProblem[];
  /** Whether the file holds nothing at all: an editor may just be writing it. */
  readonly isBlank: boolean;
}

const NOBODY: Credentials = { tokens: [], passwords: [], certificates: [], issuers: [] };

/**
 * Reads an access file, strictly, and the secrets and keys that it names, whose paths lead on from its folder. A file that names nobody is
 * no error: it shuts everything that is locked.
 */
export async function readAccess(file: string, read: ReadOne): Promise<AccessRead> {
  const found = await read(file);
  if (found.kind === 'unread')
    return refused([wholeFile(file, found.code, `the access file ${found.message}`)]);
  const text = textOf(found.bytes);
  if (text === null)
    return refused([wholeFile(file, 'unreadable', 'the access file cannot be read: it is not UTF-8 text')]);
  const warnings = found.isOpenToAll ? [openToAll(file)] : [];
  const { source, problems: unread } = readYaml(file, text);
  if (unread.some(({ code }) => code === 'empty-file'))
    return { credentials: NOBODY, problems: [...warnings, shut(file)], isBlank: true };
  if (source === null) return refused([...warnings, ...unread.map(covered)]);
  const checked = checkSecretly(accessSchema, source.data);
  const mistakes = checked.kind === 'ok' ? duplicates(checked.value) : checked.mistakes;
  const problems = [...warnings, ...allProblems(source, unread.map(covered), mistakes)];
  if (checked.kind === 'wrong') return refused(problems);
  const issuers = await readIssuers(checked.value, source, read);
  const credentials = { ...withoutSpec(checked.value), issuers: issuers.issuers };
  const all = [...problems, ...issuers.problems, ...(isEmpty(checked.value) ? [shut(file)] : [])];
  if (all.some(isError)) return refused(all);
  return { credentials, problems: all.toSorted(byPlace), isBlank: false };
}

function refused(problems: readonly FileProblem[]): AccessRead {
  return { credentials: null, problems: problems.toSorted(byPlace), isBlank: false };
}

function warning(problem: FileProblem): FileProblem {
  return { ...problem, severity: 'warning' };
}

function shut(file: string): FileProblem {
  const message = 'the file names nobody, so everything but the health routes is shut';
  return warning(wholeFile(file, 'empty-file', message));
}

/** Also of the private key of a certificate. */
export function openToAll(file: string): FileProblem {
  const message = 'everybody on this machine can read the file; take that away: chmod o-r';
  return warning(wholeFile(file, 'open-to-all', message));
}

/** What YAML says against a text may repeat it, behind a colon or in quotes; and that may be a secret. */
function covered(problem: FileProblem): FileProblem {
  const [, known] = /^((?:this is not YAML: )?[^:"'*&]*)/.exec(problem.message) ?? [];
  return { ...problem, message: known === undefined ? problem.message : known.trimEnd() };
}

function textOf(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function isEmpty({ tokens, passwords, certificates, jwt }: AccessSpec): boolean {
  return [tokens, passwords, certificates, jwt].every((list) => list.length === 0);
}

function withoutSpec({ tokens, passwords, certificates }: AccessSpec): Omit<Credentials, 'issuers'> {
  const grant = <T extends { readonly expires: number | null }>({ expires: expiresAt, ...rest }: T) => ({
    ...rest,
    expiresAt,
  });
  return {
    tokens: tokens.map(grant),
    passwords: passwords.map(grant),
    certificates: certificates.map(grant),
  };
}

/** Two entries of one name could not be told apart in the log; and of two that the same opens only one would count. */
function duplicates({ tokens, passwords, certificates, jwt }: AccessSpec): readonly Mistake[] {
  const names = Object.entries({ tokens, passwords, certificates, jwt }).flatMap(([section, list]) =>
    list.map(({ name }, index) => ({ path: [section, index, 'name'], value: name })),
  );
  const at = (section: string, key: string | null, values: readonly string[]) =>
    values.map((value, index) => ({
      path: key === null ? [section, index] : [section, index, key],
      value,
    }));
  return [
    ...repeated(names, 'another entry has this name already; give each its own'),
    ...repeated(
      at(
        'tokens',
        'sha256',
        tokens.map(({ sha256 }) => sha256),
      ),
      'another entry is opened by this token already; give each its own',
    ),
    ...repeated(
      at(
        'passwords',
        'hash',
        passwords.map(({ hash }) => hash),
      ),
      'another entry is opened by this password already; give each its own',
    ),
    ...repeated(
      at(
        'certificates',
        null,
        certificates.map(({ match }) => JSON.stringify(match)),
      ),
      'another entry is opened by this certificate already; put their scopes together',
    ),
  ];
}

function repeated(
  values: readonly { readonly path: readonly PropertyKey[]; readonly value: string }[],
  message: string,
): readonly Mistake[] {
  const known = new Set<string>();
  return values.flatMap(({ path, value }): readonly Mistake[] => {
    if (known.has(value)) return [{ path, at: 'value', code: 'duplicate-credential', message }];
    known.add(value);
    return [];
  });
}

interface Issuers {
  readonly issuers: readonly TokenIssuer[];
  readonly problems: readonly FileProblem[];
}

async function readIssuers({ jwt }: AccessSpec, source: YamlSource, read: ReadOne): Promise<Issuers> {
  const issuers: TokenIssuer[] = [];
  const problems: FileProblem[] = [];
  for (const [index, spec] of jwt.entries()) {
    const named = namedFile(spec);
    const file = named === null ? null : resolve(dirname(source.file), named.name);
    const made = await readIssuer(spec, file, read);
    if (typeof made !== 'string') issuers.push(made);
    else if (named !== null)
      problems.push({
        ...wholeFile(source.file, 'bad-secret', `${named.name}: ${made}`),
        ...source.place(['jwt', index, ...named.path]),
      });
    problems.push(...(await exposedSecret(spec, file, read)));
  }
  return { issuers, problems };
}

/** Of keys that are public nobody need be warned. The file has been read already. */
async function exposedSecret(
  spec: IssuerSpec,
  file: string | null,
  read: ReadOne,
): Promise<readonly FileProblem[]> {
  if (file === null || !('hollowtrees' in spec)) return [];
  const found = await read(file);
  return found.kind === 'read' && found.isOpenToAll ? [openToAll(file)] : [];
}

/** What `keySetProblem` finds nothing wrong with. */
type KeySet = Extract<Extract<TokenIssuer, { kind: 'jwks' }>['keys'], { kind: 'set' }>['set'];

type IssuerSpec = AccessSpec['jwt'][number];

function namedFile(spec: IssuerSpec): { readonly name: string; readonly path: readonly string[] } | null {
  if ('hollowtrees' in spec)
    return { name: spec.hollowtrees.secretFile, path: ['hollowtrees', 'secretFile'] };
  return spec.jwksFile === undefined ? null : { name: spec.jwksFile, path: ['jwksFile'] };
}

/** Or what is wrong with its file. */
async function readIssuer(
  spec: IssuerSpec,
  file: string | null,
  read: ReadOne,
): Promise<TokenIssuer | string> {
  const found = file === null ? null : await read(file);
  if (found?.kind === 'unread') return `the file ${found.message}`;
  if ('hollowtrees' in spec) return hollowtreesIssuer(spec.name, found);
  const { name, issuer, audience, subjects, scopes, clusters, jwksUrl = '' } = spec;
  const known = { kind: 'jwks', name, issuer, audience, subjects, scopes, clusters } as const;
  if (found === null) return { ...known, keys: { kind: 'url', url: jwksUrl } };
  const set = jsonOf(found.bytes);
  return keySetProblem(set) ?? { ...known, keys: { kind: 'set', set: set as KeySet } };
}

/** HS256 is no stronger than its key; RFC 7518, 3.2 asks for as many bits as the hash has. */
const LEAST_SECRET_BYTES = 32;

function hollowtreesIssuer(name: string, found: FileRead | null): TokenIssuer | string {
  const secret = found?.kind === 'read' ? withoutEndOfLine(found.bytes) : Buffer.alloc(0);
  if (secret.length < LEAST_SECRET_BYTES)
    return `the signing key must have at least ${LEAST_SECRET_BYTES} bytes: whoever guesses a shorter one can sign tokens`;
  return { kind: 'hollowtrees', name, secret: new Uint8Array(secret) };
}

/** Editors and `echo` put one there. */
function withoutEndOfLine(bytes: Buffer): Buffer {
  const end = bytes.at(-1) === 0x0a ? (bytes.at(-2) === 0x0d ? 2 : 1) : 0;
  return bytes.subarray(0, bytes.length - end);
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}
