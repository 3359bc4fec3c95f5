import { z } from 'zod';
import type { CertificateCredential, ClusterName } from '../access/credentials.ts';
import { passwordHashProblem } from '../access/password.ts';
import { SCOPES } from '../access/scope.ts';
import { type Complaint, mistake, oneFormOf, unless } from './schema-issues.ts';
import { isLoopback } from './setting-types.ts';

const DAY_MS = 86_400_000;

const name = z
  .string()
  .regex(/^[\w.@-]{1,64}$/, {
    error: mistake('bad-name', 'must be 1 to 64 letters, digits and the signs . _ @ -'),
  })
  .describe('Who it is, for the log; of a password the user. No two entries have the same.');

const scopes = z
  .array(z.enum(SCOPES))
  .min(1, { error: mistake('empty', `must name a scope: ${SCOPES.join(', ')}`) })
  .describe('What it is good for: `ingest`, `read`, `act`. None includes another.');

const cluster = z
  .string()
  .regex(/^[^/\s]+\/[^/\s]+$/, { error: mistake('wrong-value', 'must be ORG/CLUSTER, such as 2/17') })
  .transform((text): ClusterName => {
    const [orgId = '', clusterId = ''] = text.split('/');
    return { orgId, clusterId };
  });

const clusters = z
  .array(cluster)
  // Not the advice to delete the key: that would mean all of them.
  .min(1, { error: mistake('empty', 'must name a cluster; without the key it is all of them') })
  .nullable()
  .default(null)
  .describe('Alerts of these clusters only, each as `org_id/cluster_id`; all when left out.');

const TIME = mistake(
  'wrong-value',
  'must be a date such as 2027-06-30, or a time such as 2027-06-30T18:00:00Z',
);

/** A plain date is the whole of that day, wherever it is read. */
const expires = z
  .union(
    [
      z.iso.date().transform((date) => Date.parse(date) + DAY_MS),
      z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
    ],
    { error: TIME },
  )
  .nullable()
  .default(null)
  .describe(
    'Until when: a time (RFC 3339), or a date, which means the end of that day in UTC; for ever when left out.',
  );

const path = z.string().min(1);

const token = z.strictObject({
  name,
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, {
      error: mistake(
        'bad-hash',
        'must be 64 digits 0-9 a-f, the SHA-256 of the token; `coppice auth token` makes both',
      ),
    })
    .describe('SHA-256 of the token, 64 digits. `coppice auth token` makes both.'),
  scopes,
  clusters,
  expires,
});

const password = z.strictObject({
  name,
  hash: z
    .string()
    .refine((text) => passwordHashProblem(text) === null, {
      error: ({ input }) =>
        mistake(
          'bad-hash',
          `must be the scrypt hash of a password: ${passwordHashProblem(String(input)) ?? ''}`,
        ),
    })
    .describe('scrypt of the password, as `coppice auth password` makes it.'),
  scopes,
  clusters,
  expires,
});

const SUBJECT_KINDS = ['subject', 'dns', 'uri', 'commonName'] as const;

const certificate = z
  .strictObject({
    name,
    subject: z
      .string()
      .min(1)
      .optional()
      .describe('The whole subject, in the order of the certificate: `CN=engine,O=Example`.'),
    dns: z.string().min(1).optional().describe('One of its DNS names.'),
    uri: z.string().min(1).optional().describe('One of its URIs, e.g. of SPIFFE.'),
    commonName: z.string().min(1).optional().describe('The common name of its subject. One of these four.'),
    scopes,
    clusters,
    expires,
  })
  .transform(unless((one) => exactlyOne(one, SUBJECT_KINDS)))
  .transform(({ subject, dns, uri, commonName, ...grant }) => ({
    ...grant,
    match: matchOf({ subject, dns, uri, commonName }),
  }));

function matchOf(
  names: Readonly<Record<(typeof SUBJECT_KINDS)[number], string | undefined>>,
): CertificateCredential['match'] {
  const [kind = 'subject'] = SUBJECT_KINDS.filter((one) => names[one] !== undefined);
  const value = names[kind] ?? '';
  return kind === 'subject' ? { kind, subject: value } : { kind, value };
}

function exactlyOne(map: object, keys: readonly string[]): readonly Complaint[] {
  const given = keys.filter((key) => (map as Readonly<Record<string, unknown>>)[key] !== undefined);
  const [first, ...others] = given;
  if (first === undefined)
    return [{ path: [], message: mistake('missing-key', `must have one of the keys ${keys.join(', ')}`) }];
  const message = mistake('mixed-keys', `cannot stand beside ${first}; delete one of them`);
  return others.map((key) => ({ path: [key], message }));
}

const hollowtrees = z.strictObject({
  name,
  hollowtrees: z
    .strictObject({
      secretFile: path.describe(
        'File of the signing key, at least 32 bytes; an end of line at its end is left out.',
      ),
    })
    .describe(
      "Tokens as Hollowtrees' users have them (HS256); each is good for the alerts of its own cluster.",
    ),
});

const JWKS_KINDS = ['jwksFile', 'jwksUrl'] as const;

const issuer = z
  .strictObject({
    name,
    issuer: z.string().min(1).describe('Who signs the tokens (RS256, ES256), as in `iss`.'),
    audience: z.string().min(1).describe('For whom they must be, as in `aud`.'),
    jwksFile: path.optional().describe("File of the issuer's public keys."),
    jwksUrl: z
      .string()
      .refine(isKeyUrl, {
        error: mistake('bad-url', 'must be an https address without a user; http is for 127.0.0.1 only'),
      })
      .optional()
      .describe('Where they are read instead; one of the two.'),
    subjects: z
      .array(z.string().min(1))
      .min(1, { error: mistake('empty', 'must name a subject; without the key it is all of the issuer') })
      .nullable()
      .default(null)
      .describe('Only these, as in `sub`; all of the issuer when left out.'),
    scopes,
    clusters,
  })
  .transform(unless((one) => exactlyOne(one, JWKS_KINDS)));

function isKeyUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return false;
  const isHere = isLoopback({ host: url.hostname.replace(/^\[|\]$/g, ''), port: 0 });
  return url.protocol === 'https:' || (url.protocol === 'http:' && isHere);
}

/** What an access file may hold. */
export const accessSchema = z.strictObject({
  tokens: z.array(token).default([]),
  passwords: z.array(password).default([]),
  certificates: z.array(certificate).default([]),
  jwt: z.array(z.union([hollowtrees, issuer], { error: oneFormOf('hollowtrees', 'issuer') })).default([]),
});

export type AccessSpec = z.infer<typeof accessSchema>;
