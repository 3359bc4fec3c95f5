/** Environment variables of the commands that ask a daemon. None is a setting, however near it is to the name of one. */
export const CLIENT_VARIABLES = [
  'COPPICE_SERVER',
  'COPPICE_TOKEN',
  'COPPICE_TOKEN_FILE',
  'COPPICE_USER',
  'COPPICE_PASSWORD_FILE',
  'COPPICE_CA_FILE',
  'COPPICE_CERT_FILE',
  'COPPICE_KEY_FILE',
] as const;
export type ClientVariable = (typeof CLIENT_VARIABLES)[number];

const NAMES: ReadonlySet<string> = new Set(CLIENT_VARIABLES);

export function isClientVariable(name: string): name is ClientVariable {
  return NAMES.has(name);
}
