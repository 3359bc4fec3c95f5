import { DOORS, type DoorName, type LockFiles } from './lock.ts';
import { isLoopback } from './setting-types.ts';
import type { SettingName, Settings } from './settings.ts';

/** The files that lock a door. */
export function lockFilesOf(settings: Settings, door: DoorName): LockFiles {
  const { [`${door}.tls.cert` as const]: cert, [`${door}.tls.key` as const]: key } = settings;
  const clientCa = settings[`${door}.tls.clientCa`];
  const clientCertificates = settings[`${door}.tls.clientCertificates`];
  return {
    auth: settings[`${door}.auth.file`],
    tls: cert === null || key === null ? null : { cert, key, clientCa, clientCertificates },
  };
}

/** What contradicts itself in the settings of the locks, or leaves a door open to other machines; each with the setting to blame. */
export function lockProblems(
  settings: Settings,
): readonly { readonly name: SettingName; readonly message: string }[] {
  return DOORS.flatMap((door) => {
    const [cert, key, clientCa] = [`${door}.tls.cert`, `${door}.tls.key`, `${door}.tls.clientCa`] as const;
    const clientCertificates = `${door}.tls.clientCertificates` as const;
    const has = (name: SettingName): boolean => settings[name] !== null;
    const problems: readonly (readonly [wrong: boolean, name: SettingName, message: string])[] = [
      [has(cert) && !has(key), cert, `${cert} needs ${key} beside it: the private key of the certificate`],
      [has(key) && !has(cert), key, `${key} needs ${cert} beside it: the certificate of the key`],
      [
        has(clientCa) && !has(cert) && !has(key),
        clientCa,
        `${clientCa} needs ${cert} and ${key} beside it: only a server with TLS asks clients for certificates`,
      ],
      [
        settings[clientCertificates] === 'required' && !has(clientCa),
        clientCertificates,
        `${clientCertificates} can be required only where ${clientCa} says which authorities are believed`,
      ],
      [isExposed(settings, door), `${door}.listen`, exposed(door)],
    ];
    return problems.filter(([wrong]) => wrong).map(([, name, message]) => ({ name, message }));
  });
}

function isExposed(settings: Settings, door: DoorName): boolean {
  if (settings['insecure.noAuth'] || settings[`${door}.auth.file`] !== null) return false;
  return !isLoopback(settings[`${door}.listen`]);
}

function exposed(door: DoorName): string {
  return (
    `${door}.listen can be reached by other machines, so set ${door}.auth.file, an access file that says who may do what ` +
    '(`coppice auth token NAME --scopes ingest` makes a token and its entry; client certificates alone give no scopes). ' +
    'Else listen on 127.0.0.1, or accept that whoever reaches it can have instances replaced: --insecure-no-auth'
  );
}
