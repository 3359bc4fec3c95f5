/**
 * The default branch of a switch over a union: does not compile when a member has no case, and throws when
 * data from outside the type system gets there all the same.
 */
export function assertNever(what: string, value: never): never {
  throw new Error(`unexpected ${what}: ${JSON.stringify(value)}`);
}
