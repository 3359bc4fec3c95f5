/** As long as a name of a rule may be (config/rule-schema.ts), less room for a number. */
const LONGEST = 58;

/**
 * Gives names in kebab-case, each once: `Spot_toDrainer` is `spot-to-drainer`, the second one `spot-to-drainer-2`.
 */
export class Names {
  readonly #taken: Set<string>;
  /** Where to go on counting for a name that came before, so that many like it do not take ever longer. */
  readonly #next = new Map<string, number>();

  constructor(taken: readonly string[]) {
    this.#taken = new Set(taken);
  }

  take(...words: readonly string[]): string {
    const base = kebab(words.join(' ')) || 'flow';
    let number = this.#next.get(base) ?? 1;
    let name = number === 1 ? base : `${base}-${number}`;
    while (this.#taken.has(name)) name = `${base}-${++number}`;
    this.#next.set(base, number);
    this.#taken.add(name);
    return name;
  }
}

/** Letters without their accents; everything that is neither letter nor digit parts words, and so does camelCase. */
function kebab(text: string): string {
  return text
    .slice(0, 4 * LONGEST)
    .normalize('NFKD')
    .replaceAll(/\p{Mn}/gu, '')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, LONGEST)
    .replaceAll(/^-+|-+$/g, '');
}
