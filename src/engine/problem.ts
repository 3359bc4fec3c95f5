/** What keeps rules from going into force, as the lint finds it. Closed set; shown in docs/rules.md. */
export const LINT_ERRORS = {
  'after-removal': 'an action needs the instance in its group, which an action before it has taken out',
  'allows-nothing': 'no instance type can be allowed, since what is allowed is denied, too',
  'bad-account': 'an account id is not twelve digits in quotes',
  'bad-budget':
    'budgets are neither a list with an entry nor the word `unlimited`, or an entry says nothing, or the opposite of another',
  'bad-condition': 'a condition has none, or several, of `all`, `any`, `not`, `condition` and `fact`',
  'bad-cron': 'a cron expression cannot be read, or never occurs',
  'bad-duration': 'a time is not written as one, or is 0 where it must not be',
  'bad-matcher': 'a label matcher cannot be read',
  'bad-number': 'a number is not whole, too small or too large',
  'bad-operator': 'the operator does not work on facts of this type',
  'bad-pattern': 'a glob or a regular expression cannot be read',
  'bad-range': 'a range such as `1x..2x` cannot be read, or ends below its beginning',
  'bad-ratio': 'a ratio is not above 0',
  'bad-scope': 'a cooldown counts by something that does not exist',
  'bad-share': 'a share is not from 0 to 1, or from 0% to 100%',
  'bad-timezone': 'there is no time zone of that name',
  'bad-type': 'an event type is empty',
  'bad-value': 'the value does not fit the fact or the operator',
  'cyclic-condition': 'a named condition contains itself',
  'duplicate-name': 'the name is taken already, perhaps in another file',
  'empty-condition': 'an `all` or `any` has nothing in it, and would always be true',
  'empty-list': 'an empty list would allow nothing; leave the key out',
  'internal-type': "events of that type are Coppice's own",
  'never-matches': 'the matchers or the conditions contradict each other, or ask for what never is there',
  'no-action': 'the rule does nothing',
  'no-subject': 'the subject names no label',
  'no-target': 'a scheduled rule does not say which instance it means',
  'no-trigger': 'the rule listens to nothing',
  'reserved-name': 'the name is that of a built-in rule',
  'selects-nothing': 'the policy selects no group',
  'too-many-conditions':
    'the named conditions are too many, or those of a rule once the named ones are put in their places',
  'unknown-condition': 'there is no condition of that name',
  'unknown-fact': 'there is no fact of that name',
  'unknown-operator': 'there is no operator of that name',
  'unknown-plugin': 'the settings have no plugin of that name',
  'window-too-long': 'swaps, and what rules began, are not remembered for that long',
} as const;

/** What looks unwise and stops nothing. */
export const LINT_WARNINGS = {
  'delayed-urgent': 'a rule waits before an action that is urgent, since its instance is going away',
  'missing-label': 'a cooldown counts by a label that scheduled events do not have, so all groups share it',
  'no-cooldown':
    'a rule that takes out instances, and not because they go away anyway, has no cooldown, so each repeated event may take out another',
  'no-effect': 'a parameter changes nothing, because of another one beside it',
  'short-timeout': 'an action is hardly ever done within its timeout, so it is begun and undone',
} as const;

/** Problems that are looked for: whoever made more has not meant them, and no screen holds them. */
export const MOST_PROBLEMS = 500;

export type LintError = keyof typeof LINT_ERRORS;
export type LintWarning = keyof typeof LINT_WARNINGS;
export type LintCode = LintError | LintWarning;

/**
 * A mistake in a rule file, found after its structure was read. `path` leads from the top of the file's data to the
 * place, e.g. `['rules', 3, 'when', 'all', 0, 'fact']`; whoever read the file turns it into line and column.
 */
export interface Problem {
  readonly severity: 'error' | 'warning';
  readonly code: LintCode;
  /** What is wrong and what to do, in one sentence. */
  readonly message: string;
  readonly path: readonly (string | number)[];
}
