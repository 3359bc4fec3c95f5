/** An Auto Scaling group, named by account, region and name. */
export interface GroupName {
  /** Twelve digits. */
  readonly account: string;
  readonly region: string;
  readonly name: string;
}

/** The group's key in maps and in the store. Account and region have no `/`, so two groups never share a key. */
export function groupKey(group: GroupName): string {
  return `${group.account}/${group.region}/${group.name}`;
}

/** The group that the key stands for; null for a text that is no key. */
export function groupOfKey(key: string): GroupName | null {
  const [account = '', region = '', ...rest] = key.split('/');
  const name = rest.join('/');
  return account === '' || region === '' || name === '' ? null : { account, region, name };
}
