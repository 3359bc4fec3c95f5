import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** PEM texts. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface Subject {
  readonly commonName: string;
  /** `DNS:localhost`, `IP:127.0.0.1`, `URI:…`; none for a client that is known by its common name. */
  readonly names?: readonly string[];
  /** How long it is good for; as long as everything when left out. */
  readonly days?: string;
}

/** An authority that lives as long as its test. */
export interface Authority {
  readonly cert: string;
  /** A certificate for servers and clients with a key of its own. */
  issue(subject: Subject): Pair;
}

/** Everything is made when the test runs and is good for two days from then, so that nothing expires by the calendar. */
const DAYS = '2';
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** Makes an authority of that name with the program `openssl`. */
export function newAuthority(commonName = 'authority'): Authority {
  const ca = inFolder((folder) => {
    const subject = ['-subj', `/CN=${commonName}`, '-days', DAYS];
    openssl(folder, ['req', '-x509', ...NEW_KEY, '-keyout', 'key', '-out', 'cert', ...subject]);
    return pairIn(folder);
  });
  return {
    cert: ca.cert,
    issue: ({ commonName: name, names = [], days = DAYS }) =>
      inFolder((folder) => {
        writeFileSync(join(folder, 'ca'), ca.cert);
        writeFileSync(join(folder, 'ca.key'), ca.key);
        const alternatives = names.length === 0 ? [] : [`subjectAltName=${names.join(',')}`];
        const extensions = ['basicConstraints=CA:FALSE', ...alternatives];
        writeFileSync(join(folder, 'extensions'), extensions.join('\n'));
        openssl(folder, ['req', ...NEW_KEY, '-keyout', 'key', '-out', 'request', '-subj', `/CN=${name}`]);
        const by = ['-CA', 'ca', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'extensions'];
        openssl(folder, ['x509', '-req', '-in', 'request', ...by, '-days', days, '-out', 'cert']);
        return pairIn(folder);
      }),
  };
}

/** What is needed for TLS in which both sides show a certificate. */
export interface Ends {
  /** The authority of both. */
  readonly ca: string;
  readonly server: Pair;
  readonly client: Pair;
}

/** Both ends of a connection to a server of that name, under an authority of their own. */
export function newEnds(serverName: string): Ends {
  const authority = newAuthority();
  const server = authority.issue({ commonName: 'server', names: [`DNS:${serverName}`] });
  return { ca: authority.cert, server, client: authority.issue({ commonName: 'client' }) };
}

/** Of Debian's package of that name, which is nearly everywhere. */
const PROGRAM = 'openssl';

function openssl(folder: string, args: readonly string[]): void {
  execFileSync(PROGRAM, args, { cwd: folder, stdio: 'pipe' });
}

function pairIn(folder: string): Pair {
  const text = (name: string): string => readFileSync(join(folder, name), 'utf8');
  return { cert: text('cert'), key: text('key') };
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'coppice-certificates-'));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
