import { resolve } from 'node:path';
import { type GroupName, groupKey } from '../../base/group-name.ts';
import type { NamedRuleFile, PreparedTest } from '../../config/rule-test-loader.ts';
import type { Outcome } from '../../engine/decision.ts';
import { selects } from '../../engine/selection.ts';
import type { TestRecord } from './rehearse.ts';

/** A rule that is switched on, or a policy, and what tests have made of it. */
export interface CoverageItem {
  readonly kind: 'rule' | 'policy';
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** A rule: a test had it dispatched or shadowed. A policy: a decision was made on a group that it selects. */
  readonly covered: boolean;
  /** Outcomes that tests have seen of a rule; none of a policy. */
  readonly outcomes: readonly Outcome[];
}

/** Outcomes with which a rule has shown what it is there for. */
const ACTING: ReadonlySet<Outcome> = new Set(['dispatched', 'shadowed']);

/** Collects what tests exercise. Rules and policies are known by file and name. */
export class Coverage {
  readonly #outcomes = new Map<string, Set<Outcome>>();
  readonly #policies = new Set<string>();

  /** Takes in what one test came to. */
  add({ ruleFiles, policyFiles }: PreparedTest, { decisions, fleets }: TestRecord): void {
    const fileOf = new Map(
      ruleFiles.flatMap(({ file, rules }) => rules.map(({ name }) => [name, file] as const)),
    );
    for (const { rule, outcome } of decisions) {
      const file = rule === null ? undefined : fileOf.get(rule);
      if (rule !== null && file !== undefined) this.#seen(keyOf(file, rule), outcome);
    }
    const groups = fleets
      .flatMap((fleet) => [...fleet.groups.values()])
      .filter(({ group }) =>
        decisions.some(({ rule, subject }) => rule !== null && isSame(subject.group, group)),
      );
    for (const { file, policies } of policyFiles) {
      for (const { name, spec } of policies) {
        if (groups.some((group) => selects(spec, group))) this.#policies.add(keyOf(file, name));
      }
    }
  }

  /** Of everything in the files, in their order. A rule that is switched off cannot be exercised. */
  of(files: readonly NamedRuleFile[]): readonly CoverageItem[] {
    return files.flatMap(({ file, rules, policies }) => [
      ...rules
        .filter(({ spec }) => spec.enabled)
        .map(({ name, source, path }) => {
          const outcomes = [...(this.#outcomes.get(keyOf(file, name)) ?? [])].sort();
          const covered = outcomes.some((outcome) => ACTING.has(outcome));
          return { kind: 'rule' as const, name, file, ...source.place([...path, 'name']), covered, outcomes };
        }),
      ...policies.map(({ name, source, path }) => {
        const covered = this.#policies.has(keyOf(file, name));
        return {
          kind: 'policy' as const,
          name,
          file,
          ...source.place([...path, 'name']),
          covered,
          outcomes: [],
        };
      }),
    ]);
  }

  #seen(key: string, outcome: Outcome): void {
    const seen = this.#outcomes.get(key) ?? new Set();
    this.#outcomes.set(key, seen.add(outcome));
  }
}

/** The same file may have been named in two ways. */
function keyOf(file: string, name: string): string {
  return `${resolve(file)} ${name}`;
}

function isSame(a: GroupName | null, b: GroupName): boolean {
  return a !== null && groupKey(a) === groupKey(b);
}

/** What is missing, in a sentence; null where nothing is. */
export function gapOf({ kind, name, covered, outcomes }: CoverageItem): string | null {
  if (covered) return null;
  if (kind === 'policy') return `policy ${name}: no test decides anything on a group that it selects`;
  const seen = outcomes.length === 0 ? 'no test looks at it' : `it was only ${outcomes.join(', ')}`;
  return `rule ${name}: no test has it act; ${seen}`;
}

/** Share of what is covered, in percent; all of nothing is covered. */
export function percentOf(items: readonly CoverageItem[]): number {
  const covered = items.filter((item) => item.covered).length;
  return items.length === 0 ? 100 : (100 * covered) / items.length;
}
