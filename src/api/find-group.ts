import { type Answer, refused } from './answer.ts';

/** Groups as a person names them: by name, with region and account where that is not enough, or by a whole key. */
export interface AskedGroup {
  readonly name?: string;
  readonly region?: string;
  readonly account?: string;
}

/** Whether the group of this key (`account/region/name`) is one that is asked for; what is left out fits all. */
export function isAsked(key: string, asked: AskedGroup): boolean {
  const [account, region, ...name] = key.split('/');
  if (asked.region !== undefined && asked.region !== region) return false;
  if (asked.account !== undefined && asked.account !== account) return false;
  return asked.name === undefined || asked.name === key || asked.name === name.join('/');
}

/** The answer of `use` for the one group that is asked for; 404 when there is none, 409 when there are several. */
export function withGroup<T>(
  groups: ReadonlyMap<string, T>,
  asked: AskedGroup & { readonly name: string },
  use: (group: T, key: string) => Answer | Promise<Answer>,
): Answer | Promise<Answer> {
  const found = [...groups].filter(([key]) => isAsked(key, asked));
  const [first] = found;
  if (first === undefined)
    return refused('not_found', `there is no group ${asked.name} among those that are watched`);
  const [key, group] = first;
  return found.length === 1 ? use(group, key) : ambiguous(asked.name, found.map(([other]) => other).sort());
}

/** The answer while it is unknown which groups there are. */
export function groupsUnread(): Answer {
  return refused('groups_unread', 'the groups have not been read from the cloud yet; try again in a moment');
}

function ambiguous(name: string, keys: readonly string[]): Answer {
  const detail = `${keys.length} groups are named ${name}: give region, account, or one of these keys as the name`;
  return refused('ambiguous_group', `${detail}: ${keys.join(', ')}`, { groups: keys });
}
