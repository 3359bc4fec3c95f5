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
