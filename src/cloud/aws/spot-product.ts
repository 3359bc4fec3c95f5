/** The products whose spot prices EC2 tells apart; each also has a name from the days of EC2-Classic. */
export type SpotProduct = 'Linux/UNIX' | 'Red Hat Enterprise Linux' | 'SUSE Linux' | 'Windows';

/**
 * What the platforms of images (PlatformDetails; EC2 user guide, "AMI billing information fields") are sold as on the spot
 * market, the first row that fits. What is brought along with a licence of one's own, or paid for by the hour beside the
 * instance, costs the same on every type of a size, so the product below it ranks the markets as well.
 */
const PLATFORMS: readonly (readonly [begins: string, product: SpotProduct])[] = [
  ['Linux/UNIX', 'Linux/UNIX'],
  ['Red Hat BYOL', 'Linux/UNIX'],
  ['Red Hat Enterprise Linux', 'Red Hat Enterprise Linux'],
  ['SUSE Linux', 'SUSE Linux'],
  ['SQL Server', 'Linux/UNIX'],
  ['Ubuntu Pro', 'Linux/UNIX'],
  ['Windows BYOL', 'Linux/UNIX'],
  ['Windows', 'Windows'],
];

/** What an image or an instance is billed as; an emulator may only tell Windows from the rest. */
export function platformOf(described: {
  readonly PlatformDetails?: string | undefined;
  readonly Platform?: string | undefined;
}): string {
  return described.PlatformDetails ?? (described.Platform === undefined ? 'Linux/UNIX' : 'Windows');
}

/** The product of an image's platform; null for one that is not known, whose prices are then unknown. */
export function spotProduct(platform: string): SpotProduct | null {
  return PLATFORMS.find(([begins]) => platform.startsWith(begins))?.[1] ?? null;
}
