// The tables of docs/ that exist in the code, as Markdown, by the name that their markers give.
import { REJECTIONS } from '../src/actions/asg/candidate.ts';
import { API_ERRORS } from '../src/api/answer.ts';
import { FAILURE_CODES } from '../src/base/failure.ts';
import { CREDENTIAL_OPTIONS } from '../src/cli/credentials.ts';
import { describeLimits } from '../src/cli/limits.ts';
import { program } from '../src/cli/program.ts';
import { FILE_ERRORS } from '../src/config/file-problem.ts';
import {
  accessFileJsonSchema,
  ruleFileJsonSchema,
  ruleTestFileJsonSchema,
} from '../src/config/json-schema.ts';
import { environmentName, isSettingName, SETTING_NAMES, SETTINGS } from '../src/config/settings.ts';
import { OUTCOMES } from '../src/engine/decision.ts';
import { FACT_FAMILIES, FACTS } from '../src/engine/facts.ts';
import { OPERATORS } from '../src/engine/operators.ts';
import { limitsOf } from '../src/engine/policies.ts';
import { LINT_ERRORS, LINT_WARNINGS } from '../src/engine/problem.ts';
import { NOT_MATCHED_REASONS, OTHER_REASONS, REFUSAL_REASONS } from '../src/engine/reason.ts';
import { TARGET_PICKS } from '../src/engine/rule.ts';
import { ADDRESS_LABELS, GROUP_LABELS, INSTANCE_ID_LABELS } from '../src/engine/subject.ts';
import { REJECTION_REASONS } from '../src/ingest/reading.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';

/** Every block that some document must have, once, by name. */
export const BLOCKS = {
  ...factBlocks(),
  operators: () => operators(),
  'target-picks': () => meanings('pick', TARGET_PICKS),
  'subject-labels': () => subjectLabels(),
  'rule-keys': () => keyTable(fileSchema('rules'), new Map()),
  'trigger-keys': () => triggerKeys(),
  'action-keys': () => actionKeys(),
  'policy-keys': () => keyTable(fileSchema('policies'), defaultLimits()),
  'test-keys': () => keyTable(outermost(testSchema()), new Map()),
  'test-cloud': () => keyTable(testSchema().properties.cloud, new Map()),
  'test-events': () => keyTable(testSchema().properties.events.items, new Map(), 'events[].'),
  'test-decisions': () => keyTable(expectation('outcome'), new Map()),
  'test-runs': () => keyTable(expectation('run'), new Map()),
  'test-facts': () => keyTable(outermost(expectation('facts')), new Map()),
  'access-tokens': () => accessKeys('tokens'),
  'access-passwords': () => accessKeys('passwords'),
  'access-certificates': () => accessKeys('certificates'),
  'access-jwt-hollowtrees': () => accessKeys('jwt', 'hollowtrees'),
  'access-jwt': () => accessKeys('jwt', 'issuer'),
  'lint-errors': () => meanings('code', sorted({ ...LINT_ERRORS, ...FILE_ERRORS })),
  'lint-warnings': () => meanings('code', sorted(LINT_WARNINGS)),
  outcomes: () => meanings('outcome', OUTCOMES),
  refusals: () => meanings('reason', REFUSAL_REASONS),
  'not-matched': () => meanings('reason', NOT_MATCHED_REASONS),
  'other-reasons': () => meanings('reason', OTHER_REASONS),
  failures: () => meanings('code', FAILURE_CODES),
  'candidate-rejections': () => meanings('code', REJECTIONS),
  'event-rejections': () => meanings('reason', REJECTION_REASONS),
  'api-errors': () => apiErrors(),
  settings: () => settings(),
  metrics: () => metrics(),
  ...commandBlocks(),
};

function table(titles, rows) {
  const line = (cells) => `| ${cells.map(cellText).join(' | ')} |`;
  return [line(titles), `|${titles.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

/** `<name>` would be taken for HTML, but not within a code span, which has every other place between backticks. */
function cellText(cell) {
  const spans = String(cell).replaceAll('|', '\\|').split('`');
  return spans.map((text, index) => (index % 2 === 0 ? text.replaceAll('<', '&lt;') : text)).join('`');
}

function code(text) {
  return `\`${text}\``;
}

function meanings(title, entries) {
  return table(
    [title, 'meaning'],
    Object.entries(entries).map(([name, meaning]) => [code(name), meaning]),
  );
}

function sorted(entries) {
  return Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** One table a scope: `facts event`, `facts instance`, … */
function factBlocks() {
  const families = Object.entries(FACT_FAMILIES).map(([prefix, fact]) => [`${prefix}<name>`, fact]);
  const facts = [...Object.entries(FACTS), ...families];
  return Object.fromEntries(
    Map.groupBy(facts, ([, { scope }]) => scope)
      .entries()
      .map(([scope, rows]) => [
        `facts ${scope}`,
        () =>
          table(
            ['fact', 'type', 'unit', 'definition'],
            rows.map(([name, { type, unit, definition }]) => [code(name), type, unit ?? '', definition]),
          ),
      ]),
  );
}

const OPERANDS = {
  same: 'a value of the type of the fact, or `{ fact: … }`',
  list: 'a list of such values',
  regex: 'a regular expression',
  glob: 'a glob',
  flag: '`true` (or nothing), or `false`',
};

function operators() {
  return table(
    ['operator', 'facts', 'value', 'true when'],
    Object.entries(OPERATORS).map(([name, { facts, operand, definition }]) => [
      code(name),
      facts.length === 3 ? 'any' : facts.join(', '),
      OPERANDS[operand],
      definition,
    ]),
  );
}

function subjectLabels() {
  const names = (labels) => labels.map(code).join(', ');
  return table(
    ['finds', 'labels, in this order'],
    [
      ['the instance, by its id', names(INSTANCE_ID_LABELS)],
      ['the instance, by its private DNS name or address', names(ADDRESS_LABELS)],
      ['the group, by its name', names(GROUP_LABELS)],
    ],
  );
}

function fileSchema(section) {
  return ruleFileJsonSchema().properties[section].items;
}

function testSchema() {
  return ruleTestFileJsonSchema().properties.tests.items;
}

/** The form of an expectation that has the key. */
function expectation(key) {
  return testSchema().properties.expect.items.anyOf.find(({ properties }) => Object.hasOwn(properties, key));
}

/** Keys of the entries of a section of access files; of several forms, of the one that has the key. */
function accessKeys(section, form) {
  const { items } = accessFileJsonSchema().properties[section];
  const schema = items.anyOf?.find(({ properties }) => Object.hasOwn(properties, form)) ?? items;
  return table(
    ['key', 'meaning', ''],
    keysOf(schema, '').map(({ path, key: { description }, required }) => [
      code(path),
      description,
      required ? 'required' : '',
    ]),
  );
}

/** The schema of a map without what is inside its keys. */
function outermost({ properties, required }) {
  const flat = Object.entries(properties).map(([name, { description, default: fallback }]) => [
    name,
    { description, default: fallback },
  ]);
  return { properties: Object.fromEntries(flat), required };
}

/** What holds where a policy says nothing, by key, in the words of `coppice check`. */
function defaultLimits() {
  const silent = limitsOf({ name: 'silent', description: null, groups: {} });
  return new Map(describeLimits(silent).map(([key, value]) => [key.trim(), value]));
}

function keyTable(schema, defaults, prefix = '') {
  return table(
    ['key', 'meaning', 'default'],
    keysOf(schema, prefix).map(({ path, key, required }) => [
      code(path),
      meaningOf(key),
      required ? 'required' : shownDefault(defaults.get(path) ?? key.default),
    ]),
  );
}

/** Every key of a map, those of maps inside it behind it; parameters of actions have a page of their own. */
function keysOf({ properties = {}, required = [] }, prefix) {
  return Object.entries(properties).flatMap(([name, key]) => {
    const path = `${prefix}${name}`;
    const entries = [key, ...(key.anyOf ?? [])].flatMap(({ items }) => [items, ...(items?.anyOf ?? [])]);
    const entry = entries.find((one) => one?.properties !== undefined);
    const inside =
      path === 'then' ? [] : entry === undefined ? keysOf(key, `${path}.`) : keysOf(entry, `${path}[].`);
    return [{ path, key, required: required.includes(name) }, ...inside];
  });
}

/** With the words that it may be; of a long list the text of the document says where it is. */
function meaningOf({ description, enum: values }) {
  const told =
    values === undefined || values.length > 20 || values.every((value) => description.includes(value));
  return told ? description : `${description} One of ${values.map(code).join(', ')}.`;
}

function shownDefault(value) {
  if (value === undefined) return '';
  if (typeof value === 'string' && value.includes(' ')) return value;
  if (Array.isArray(value)) return code(`[${value.join(', ')}]`);
  // What is in a map has rows of its own.
  if (typeof value === 'object') return Object.keys(value).length === 0 ? code('{}') : '';
  return code(value);
}

function triggerKeys() {
  const forms = ruleFileJsonSchema().$defs.trigger.anyOf;
  const properties = Object.assign({}, ...forms.map((form) => form.properties));
  const order = ['alert', 'type', 'every', 'cron', 'timezone', 'matchers', 'status', 'repeats'];
  const names = Object.keys(properties).sort((a, b) => order.indexOf(a) - order.indexOf(b));
  return keyTable(
    { properties: Object.fromEntries(names.map((name) => [name, properties[name]])) },
    new Map(forms.flatMap(({ required }) => required.map((name) => [name, 'one of these four']))),
  );
}

/** What all forms of an action have in common. */
function actionKeys() {
  const [first, ...others] = ruleFileJsonSchema().$defs.action.anyOf.map(({ properties }) => properties);
  const common = Object.entries(first).filter(([name]) => others.every((form) => Object.hasOwn(form, name)));
  return keyTable({ properties: Object.fromEntries(common) }, new Map());
}

function apiErrors() {
  return table(
    ['status', 'error', 'meaning'],
    Object.entries(API_ERRORS).map(([name, { status, meaning }]) => [status, code(name), meaning]),
  );
}

function settings() {
  return table(
    ['setting', 'variable', 'default', 'meaning', 'must be'],
    SETTING_NAMES.map((name) => {
      const { type, default: fallback, doc } = SETTINGS[name];
      const shown = type.show(fallback);
      const text = Array.isArray(shown) ? shown.join(', ') : (shown ?? '');
      return [code(name), code(environmentName(name)), text === '' ? 'none' : code(text), doc, type.expected];
    }),
  );
}

function metrics() {
  return table(
    ['metric', 'type', 'labels', 'help'],
    createMetrics()
      .registry.getMetricsAsArray()
      .map((metric) => [
        code(metric.name),
        metric.constructor.name.toLowerCase(),
        metric.labelNames.map(code).join(', '),
        metric.help.replace(/ Labeled by .*$/, ''),
      ]),
  );
}

/** One block a command that does something: `command serve`, `command runs get`, … */
function commandBlocks() {
  const io = { out() {}, err() {}, colors: false, env: {} };
  const root = program(io, { version: '', rules: '' });
  const commands = leaves(root, []);
  const shared = commands.map(({ command }) => command.options.filter(isCredentialOption));
  return {
    'credential-options': () => optionTable(shared.find((options) => options.length > 0) ?? []),
    ...Object.fromEntries(
      commands.map(({ words, command }) => [`command ${words.join(' ')}`, () => commandHelp(command)]),
    ),
  };
}

/** Those that every command has that asks a daemon: they are shown once. */
function isCredentialOption({ helpGroupHeading }) {
  return helpGroupHeading === CREDENTIAL_OPTIONS;
}

function optionTable(options) {
  return table(
    ['option', 'meaning'],
    options.map((option) => [code(option.flags), optionText(option)]),
  );
}

function leaves(command, words) {
  if (command.commands.length === 0) return [{ words, command }];
  return command.commands.flatMap((inner) => leaves(inner, [...words, inner.name()]));
}

function commandHelp(command) {
  const help = command.createHelp();
  const usage = `    ${help.commandUsage(command)}`;
  const options = help.visibleOptions(command).filter((option) => !isCredentialOption(option));
  // The settings have a page of their own; a command without them may have an option of the same name.
  const takesSettings = options.some(({ long }) => long === '--config');
  const ownOptions = options.filter(({ long }) => !takesSettings || !isSettingName(long.slice(2)));
  const rows = [
    ...help.visibleArguments(command).map((argument) => [argument.name(), argument.description]),
    ...ownOptions.filter(({ long }) => long !== '--help').map((option) => [option.flags, optionText(option)]),
  ].map(([name, text]) => [code(name), text]);
  return rows.length === 0 ? usage : `${usage}\n\n${table(['argument or option', 'meaning'], rows)}`;
}

function optionText({ description, argChoices, defaultValue, mandatory }) {
  const choices = argChoices === undefined ? '' : `: ${argChoices.map(code).join(', ')}`;
  const fallback =
    defaultValue === undefined || defaultValue === false ? '' : `; default ${code(defaultValue)}`;
  return `${description}${choices}${fallback}${mandatory ? '; required' : ''}`;
}
