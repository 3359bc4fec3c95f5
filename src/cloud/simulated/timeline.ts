/** What will happen by itself, in the order in which it falls due; ties in the order of their making. */
export class Timeline<T> {
  /** Latest first, so that the next one is taken off the end. */
  readonly #entries: { readonly due: number; readonly what: T }[] = [];

  add(due: number, what: T): void {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const entry = this.#entries[middle];
      // Equal times: the newcomer goes before its elders in the list, so it is taken after them.
      if (entry !== undefined && entry.due > due) low = middle + 1;
      else high = middle;
    }
    this.#entries.splice(low, 0, { due, what });
  }

  /** Takes the next entry that is due at `until` or before; null when there is none. */
  take(until: number): { readonly due: number; readonly what: T } | null {
    const next = this.#entries.at(-1);
    if (next === undefined || next.due > until) return null;
    this.#entries.pop();
    return next;
  }
}
