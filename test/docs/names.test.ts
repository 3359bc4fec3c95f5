import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import test from 'node:test';
import { REJECTIONS } from '../../src/actions/asg/candidate.ts';
import { swap } from '../../src/actions/asg/swap.ts';
import { ACTIONS } from '../../src/actions/catalog.ts';
import { REPLACEMENT_LABEL } from '../../src/actions/plugin/plugin.ts';
import { PLUGIN_OUTCOMES } from '../../src/actions/plugin/sender.ts';
import { isOver, RUN_STATES, STEP_STATES } from '../../src/actions/run.ts';
import { FAILURE_CODES } from '../../src/base/failure.ts';
import { CLIENT_VARIABLES } from '../../src/config/client-variables.ts';
import { FILE_ERRORS } from '../../src/config/file-problem.ts';
import { environmentName, SETTING_NAMES } from '../../src/config/settings.ts';
import { OUTCOMES } from '../../src/engine/decision.ts';
import { describeFact, FACT_FAMILIES, FACTS } from '../../src/engine/facts.ts';
import { LINT_ERRORS, LINT_WARNINGS } from '../../src/engine/problem.ts';
import { NOT_MATCHED_REASONS, OTHER_REASONS, REFUSAL_REASONS } from '../../src/engine/reason.ts';
import { ADDRESS_LABELS, GROUP_LABELS, INSTANCE_ID_LABELS } from '../../src/engine/subject.ts';
import { createDoor } from '../../src/ingest/admission.ts';
import { REJECTION_REASONS } from '../../src/ingest/reading.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics, withProcessMetrics } from '../../src/telemetry/metrics.ts';
import { FakeInbox } from '../unit/ingest/fake-inbox.ts';
import { codeSpans, document, documents, firstColumn, ROOT, read, section, tableRows } from './documents.ts';

/** A name that ends in `_` or `.` stands for all that begin with it. */
function isKnown(name: string, known: readonly string[]): boolean {
  return known.includes(name) || (/[_.]$/.test(name) && known.some((one) => one.startsWith(name)));
}

/** Every word of all documents that the pattern finds and that is not known, with its document. */
function strangers(pattern: RegExp, known: readonly string[]): readonly string[] {
  const found = documents().flatMap(({ file, text }) =>
    [...text.matchAll(pattern)].map(([name]) => ({ file, name })),
  );
  assert.ok(found.length > 0, 'the pattern finds nothing');
  return found.filter(({ name }) => !isKnown(name, known)).map(({ file, name }) => `${file}: ${name}`);
}

test('a metric that a document names exists', () => {
  const names = withProcessMetrics(createMetrics())
    .registry.getMetricsAsArray()
    .map(({ name }) => name);
  assert.deepEqual(strangers(/\bcoppice_[a-z_]+/g, names), []);
});

test('an environment variable that a document names is read', () => {
  assert.deepEqual(
    strangers(/\bCOPPICE_[A-Z_]*/g, [...SETTING_NAMES.map(environmentName), ...CLIENT_VARIABLES]),
    [],
  );
});

test('a fact that a document names exists', () => {
  const named = documents().flatMap((doc) =>
    codeSpans(doc).filter((span) => /^(?:event|instance|group|market|history)\.[\w.*<>-]+$/.test(span)),
  );
  const families = Object.keys(FACT_FAMILIES).map((prefix) => `${prefix}<name>`);
  const isScope = (name: string): boolean =>
    name.endsWith('.*') && Object.keys(FACTS).some((fact) => fact.startsWith(name.slice(0, -1)));
  assert.ok(named.length > Object.keys(FACTS).length);
  assert.deepEqual(
    named.filter((name) => describeFact(name) === null && !families.includes(name) && !isScope(name)),
    [],
  );
});

test('a setting that a document names exists', () => {
  const sections = new Set(
    SETTING_NAMES.filter((name) => name.includes('.')).map((name) => name.split('.')[0]),
  );
  const named = documents().flatMap((doc) =>
    codeSpans(doc).filter((span) => /^[a-z]+\.[a-zA-Z]+$/.test(span) && sections.has(span.split('.')[0])),
  );
  assert.ok(named.length > SETTING_NAMES.length);
  // Rules have a key `limits`, too.
  const known: readonly string[] = [...SETTING_NAMES, 'limits.concurrent', 'limits.max', 'limits.per'];
  assert.deepEqual(
    named.filter((name) => !known.includes(name)),
    [],
  );
});

test('a reason or code in words joined by underscores is one of the closed sets', () => {
  const known: readonly string[] = [
    ...[OUTCOMES, REFUSAL_REASONS, NOT_MATCHED_REASONS, OTHER_REASONS].flatMap((table) => Object.keys(table)),
    ...[FAILURE_CODES, REJECTIONS, REJECTION_REASONS].flatMap((table) => Object.keys(table)),
    ...[...RUN_STATES, ...STEP_STATES, ...INSTANCE_ID_LABELS, ...ADDRESS_LABELS, ...GROUP_LABELS],
    ...[REPLACEMENT_LABEL, ...PLUGIN_OUTCOMES],
  ];
  const named = [document('docs/reasons.md'), document('docs/rules.md')].flatMap((doc) =>
    codeSpans(doc).filter((span) => /^[a-z]+(?:_[a-z0-9]+)+$/.test(span) && !span.startsWith('coppice_')),
  );
  assert.ok(named.length > 0);
  assert.deepEqual(
    named.filter((name) => !known.includes(name)),
    [],
  );
});

/** Names that no source file but those that define them has as a literal. */
function unused(names: readonly string[], ...definedIn: readonly string[]): readonly string[] {
  const sources = globSync('src/**/*.ts', { cwd: ROOT }).filter((file) => !definedIn.includes(file));
  const code = sources.map(read).join('\n');
  // As a literal, or as the key of a table that maps onto it.
  return names.filter((name) => !code.includes(`'${name}'`) && !new RegExp(`^ +${name}: `, 'm').test(code));
}

test('the reasons that are reserved are those that nothing gives', () => {
  const [, sentence = ''] = /^Reserved, .*: (.*)\.$/m.exec(read('docs/reasons.md')) ?? [];
  const reasons = [REFUSAL_REASONS, NOT_MATCHED_REASONS, OTHER_REASONS].flatMap((table) =>
    Object.keys(table),
  );
  assert.deepEqual(
    [...sentence.matchAll(/`(\w+)`/g)].map(([, name]) => name),
    unused(reasons, 'src/engine/reason.ts'),
  );
});

test('every code of a mistake is given somewhere', () => {
  const codes = [LINT_ERRORS, LINT_WARNINGS, FILE_ERRORS].flatMap((table) => Object.keys(table));
  assert.deepEqual(unused(codes, 'src/engine/problem.ts', 'src/config/file-problem.ts'), []);
});

test('no code of a mistake is defined twice', () => {
  const codes = [LINT_ERRORS, LINT_WARNINGS, FILE_ERRORS].flatMap((table) => Object.keys(table));
  assert.equal(new Set(codes).size, codes.length);
});

test('every failure and every rejection is given somewhere', () => {
  assert.deepEqual(unused(Object.keys(FAILURE_CODES), 'src/base/failure.ts'), []);
  assert.deepEqual(unused(Object.keys(REJECTIONS), 'src/actions/asg/candidate.ts'), []);
  assert.deepEqual(unused(Object.keys(REJECTION_REASONS), 'src/ingest/reading.ts'), []);
});

test('every state of runs and steps has its row, in order', () => {
  const states = section(document('docs/reasons.md'), '## States of runs and steps');
  assert.deepEqual(firstColumn(states), [...RUN_STATES, ...STEP_STATES]);
});

test("the swap's page has its steps, in order", () => {
  for (const [index, title] of ['## Launch first', '## Detach first'].entries()) {
    const steps = tableRows(section(document('docs/swap.md'), title)).flatMap(([number = '', name = '']) =>
      /^\d+$/.test(number) ? [name.replaceAll('`', '')] : [],
    );
    assert.deepEqual(
      steps,
      swap.orders[index]?.map(({ name }) => name),
    );
  }
});

test('the steps of the other actions are named where the action is described', () => {
  const described = { detach: 'detach and terminate', terminate: 'detach and terminate', http: 'http' };
  for (const [kind, heading] of Object.entries(described)) {
    const { text } = section(document('docs/rules.md'), `### ${heading}`);
    const [steps = []] = ACTIONS[kind as keyof typeof described].orders;
    assert.deepEqual(
      steps.map(({ name }) => name).filter((name) => !text.includes(`\`${name}\``)),
      [],
    );
  }
});

const LABELS = tableRows(section(document('docs/metrics.md'), '## Labels'));

function labelValues(title: string): readonly string[] {
  const [, values = ''] = LABELS.find(([first]) => first === title) ?? [];
  return [...(values.split(':')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, value = '']) => value);
}

test('every label of a metric has its row, and no other', () => {
  const labels = createMetrics()
    .registry.getMetricsAsArray()
    .flatMap((metric) => ('labelNames' in metric ? (metric.labelNames as readonly string[]) : []));
  const own = ['version', 'node'];
  const named = LABELS.map(([first = '']) => /^`(\w+)`/.exec(first)?.[1] ?? '');
  assert.deepEqual(
    [...new Set(named)].sort(),
    [...new Set(labels)].filter((one) => !own.includes(one)).sort(),
  );
});

test('the values of labels that are closed sets are all there', async () => {
  const metrics = createMetrics();
  createDoor({ inbox: new FakeInbox(), log: silentLog, metrics });
  const { values } = await metrics.eventsReceived.get();
  assert.deepEqual(
    labelValues('`source`'),
    values.map(({ labels }) => labels.source),
  );
  assert.deepEqual(labelValues('`outcome` of runs and swaps'), RUN_STATES.filter(isOver));
  assert.deepEqual(labelValues('`action`'), Object.keys(ACTIONS));
  assert.deepEqual(labelValues('`outcome` of calls of plugins'), PLUGIN_OUTCOMES);
});
