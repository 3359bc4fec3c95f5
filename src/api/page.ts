import type { Page } from '../actions/store.ts';

/**
 * One page of a list that is held in memory, ordered by key. The cursor is the last key shown, so a page is right
 * also when that item has gone since.
 */
export function pageOf<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  query: { readonly limit: number; readonly cursor?: string },
): Page<T> {
  const { limit, cursor } = query;
  const keyed = items.map((item) => ({ key: keyOf(item), item }));
  const rest = keyed.filter(({ key }) => cursor === undefined || key > cursor).sort(byKey);
  const shown = rest.slice(0, limit);
  return {
    items: shown.map(({ item }) => item),
    next: rest.length > limit ? (shown.at(-1)?.key ?? null) : null,
  };
}

function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : Number(a.key > b.key);
}
