import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { TlsMaterial } from '../access/tls-material.ts';
import { openToAll } from './access-file.ts';
import { type FileProblem, isError, wholeFile } from './file-problem.ts';
import type { ReadOne } from './read-together.ts';

/** PEM files, by their paths. */
export interface TlsFiles {
  /** The certificate, and those of the authorities between it and a root. */
  readonly cert: string;
  readonly key: string;
  /** Authorities whose client certificates are believed; null when clients are not asked for any. */
  readonly clientCa: string | null;
  readonly clientCertificates: TlsMaterial['clientCertificates'];
}

/** A certificate and its key, that belong together. */
export interface TlsPair {
  readonly material: TlsMaterial;
  /** Of the certificate, as one line. */
  readonly subject: string;
  /** When it, and all of its chain, begin and end to be valid; ms since the epoch. */
  readonly validFrom: number;
  readonly validTo: number;
}

/** What was read of the files. */
export interface TlsRead {
  /** Null when there are errors. */
  readonly pair: TlsPair | null;
  /** Warnings too, which refuse nothing. */
  readonly problems: readonly FileProblem[];
}

/** Reads the files of a server's TLS and tries them out. Whether it is the time for the certificate is for the caller to judge. */
export async function readTls(files: TlsFiles, read: ReadOne): Promise<TlsRead> {
  const found = new Found(read);
  const chain = await found.certificates(files.cert);
  const key = await found.key(files.key);
  const authorities = files.clientCa === null ? null : await found.certificates(files.clientCa);
  const { problems } = found;
  if (chain.length > 0 && key !== null) problems.push(...strangers(chain, key.object, files));
  if (problems.some(isError) || key === null) return { pair: null, problems };
  const material: TlsMaterial = {
    cert: pemOf(chain),
    key: key.pem,
    clientCa: authorities === null ? null : pemOf(authorities),
    clientCertificates: files.clientCertificates,
  };
  const refusal = triedOut(material);
  if (refusal !== null)
    return { pair: null, problems: [...problems, wholeFile(files.cert, 'bad-certificate', refusal)] };
  return { pair: pairOf(material, chain), problems };
}

interface PlacedCertificate {
  readonly certificate: X509Certificate;
  readonly pem: string;
  /** Where it begins in its file, from 1. */
  readonly line: number;
}

const CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/** What is found in the files, and what is wrong with them. */
class Found {
  readonly problems: FileProblem[] = [];
  readonly #read: ReadOne;

  constructor(read: ReadOne) {
    this.#read = read;
  }

  async certificates(file: string): Promise<readonly PlacedCertificate[]> {
    const text = (await this.#text(file, 'certificates'))?.text ?? null;
    if (text === null) return [];
    const blocks = [...text.matchAll(CERTIFICATE)];
    const found = blocks.flatMap(({ 0: pem, index }) => {
      const line = text.slice(0, index).split('\n').length;
      const certificate = certificateOf(pem);
      if (certificate !== null) return [{ certificate, pem, line }];
      this.#refuse(file, 'this certificate cannot be read', line);
      return [];
    });
    if (blocks.length === 0)
      this.#refuse(file, 'there is no certificate in the file: no -----BEGIN CERTIFICATE-----');
    return found;
  }

  async key(file: string): Promise<{ readonly object: KeyObject; readonly pem: string } | null> {
    const found = await this.#text(file, 'the private key');
    if (found === null) return null;
    if (found.isOpenToAll) this.problems.push(openToAll(file));
    const object = keyOf(found.text);
    if (typeof object !== 'string') return { object, pem: found.text };
    this.#refuse(file, object);
    return null;
  }

  async #text(
    file: string,
    what: string,
  ): Promise<{ readonly text: string; readonly isOpenToAll: boolean } | null> {
    const found = await this.#read(file);
    // PEM is ASCII; whatever else stands in the file is not looked at.
    if (found.kind === 'read')
      return { text: found.bytes.toString('latin1'), isOpenToAll: found.isOpenToAll };
    this.problems.push(wholeFile(file, found.code, `the file of ${what} ${found.message}`));
    return null;
  }

  #refuse(file: string, message: string, line = 1): void {
    this.problems.push({ ...wholeFile(file, 'bad-certificate', message), line });
  }
}

function certificateOf(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

/** Or what is wrong with it. */
function keyOf(pem: string): KeyObject | string {
  if (pem.includes('ENCRYPTED'))
    return 'the private key is encrypted, and there is nobody to ask for the passphrase; store it without one';
  try {
    return createPrivateKey(pem);
  } catch {
    return 'there is no private key in the file that can be read: no -----BEGIN PRIVATE KEY-----';
  }
}

/** What does not belong together. */
function strangers(
  chain: readonly PlacedCertificate[],
  key: KeyObject,
  { cert, key: keyFile }: TlsFiles,
): readonly FileProblem[] {
  const owner = chain.findIndex(({ certificate }) => certificate.checkPrivateKey(key));
  if (owner === -1) {
    const message = `the key and the certificate in ${cert} do not belong together`;
    return [wholeFile(keyFile, 'bad-certificate', message)];
  }
  const line = chain[owner]?.line ?? 1;
  if (owner > 0)
    return [
      {
        ...wholeFile(cert, 'bad-certificate', 'the certificate of the key begins here; it must be the first'),
        line,
      },
    ];
  return chain.slice(1).flatMap(({ certificate, line: at }, index) => {
    if (chain[index]?.certificate.checkIssued(certificate) === true) return [];
    const message =
      'this certificate did not issue the one before it; some clients will not find the way from one to the other';
    return [{ ...wholeFile(cert, 'bad-certificate', message), line: at, severity: 'warning' }];
  });
}

function pemOf(list: readonly PlacedCertificate[]): string {
  return list.map(({ pem }) => `${pem}\n`).join('');
}

/** What OpenSSL, which will use it, has against it, e.g. a key that is too short; null when nothing. */
function triedOut({ cert, key, clientCa }: TlsMaterial): string | null {
  try {
    createSecureContext({ cert, key, ...(clientCa !== null && { ca: clientCa }) });
    return null;
  } catch (thrown) {
    const reason = thrown instanceof Error && 'reason' in thrown ? String(thrown.reason) : 'no reason given';
    return `OpenSSL does not take the certificate and the key: ${reason}`;
  }
}

function pairOf(material: TlsMaterial, chain: readonly PlacedCertificate[]): TlsPair {
  const certificates = chain.map(({ certificate }) => certificate);
  return {
    material,
    subject: certificates[0]?.subject.replaceAll('\n', ',') ?? '',
    validFrom: Math.max(...certificates.map(({ validFromDate }) => validFromDate.getTime())),
    validTo: Math.min(...certificates.map(({ validToDate }) => validToDate.getTime())),
  };
}
