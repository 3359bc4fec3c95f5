import assert from 'node:assert/strict';
import test from 'node:test';
import { formatRemark } from '../../../../src/config/hollowtrees/remark.ts';
import { type Path, readYaml } from '../../../../src/config/yaml-source.ts';
import { type Imported, imported, saidOf } from './build.ts';

/** Every key of v1 and of v2, and each section with one that is unknown. */
const WHOLE = {
  v1: `
global: { bindAddr: ":1", bufferSize: 1, defaultActionFlowConcurrency: 2, odd: 1 }
log: { format: text, level: info, odd: 1 }
odd: 1
action_plugins:
  - { name: aws-asg, address: a, type: grpc, properties: {}, odd: 1 }
  - { name: f, address: a, type: fn, properties: { app: a, function: b } }
  - { name: g, address: a, type: grpc }
action_flows:
  - name: a
    description: b
    event_type: prometheus.server.alert.SpotInstanceTooExpensive
    match: { x: y }
    action_plugins: [aws-asg]
    concurrent_flows: 1
    flow_cooldown: 1m
    group_by: [z]
    repeat_cooldown: 1m
    retries: 1
    odd: 1
  - { name: b, event_type: c, match: [{ x: y }], action_plugins: [aws-asg, g, f], retries: 3 }
  - { name: c, event_type: prometheus.server.alert.SpotTerminationNotice, match: {}, action_plugins: aws-asg, group_by: [], retries: 0 }
`,
  v2: `
environment: x
debug: true
log: { format: json, level: info, noColor: true, odd: 1 }
odd: 1
healthcheck: { listenAddress: ":1", endpoint: /x, odd: 1 }
promalert: { listenAddress: ":1", useJWTAuth: false, jwtSigningKey: "", odd: 1 }
plugins:
  - { name: aws-asg, type: grpc, address: a, odd: 1 }
  - { name: g, type: grpc, address: a }
flows:
  a:
    name: A
    description: b
    allowedEvents: [prometheus.server.alert.SpotInstanceTooExpensive]
    plugins: [aws-asg, internal-demo]
    filters: { x: y }
    groupBy: [z, id]
    cooldown: 1m
    odd: 1
  b: { name: B, plugins: [g], filters: { x: y }, groupBy: [], cooldown: 0s }
`,
} as const;

/** The keys of all maps, as the report writes them. */
function keysOf(data: unknown, label = ''): readonly string[] {
  if (typeof data !== 'object' || data === null) return [];
  return Object.entries(data).flatMap(([key, value]) => {
    const own = Array.isArray(data) ? `${label}[${key}]` : `${label}.${key}`.replace(/^\./, '');
    return [...(Array.isArray(data) ? [] : [own]), ...keysOf(value, own)];
  });
}

function isWithin(key: string, outer: string): boolean {
  return key.startsWith(`${outer}.`) || key.startsWith(`${outer}[`);
}

/** Whether the report says what became of the key: by itself, of all its parts, or of what it is a part of that is gone. */
function isAccounted({ remarks }: Imported, key: string): boolean {
  return remarks.some(
    (remark) =>
      remark.key === key ||
      isWithin(remark.key, key) ||
      (isWithin(key, remark.key) && (remark.fate === 'not carried' || remark.fate === 'unknown')),
  );
}

for (const [version, text] of Object.entries(WHOLE)) {
  const result = imported(text);
  const keys = keysOf(readYaml('config.yaml', text).source?.data);

  test(`${version}: the report says of every key what became of it`, () => {
    assert.ok(keys.length > 40);
    assert.deepEqual(
      keys.filter((key) => !isAccounted(result, key)),
      [],
    );
  });

  test(`${version}: every key that Hollowtrees does not know is told as such`, () => {
    const odd = keys.filter((key) => /(?:^|\.)odd$/.test(key));
    assert.ok(odd.length >= 4);
    for (const key of odd) assert.match(saidOf(result, key).join(), /^unknown: /);
  });
}

test('a remark stands at the place of its key, in the order of the file', () => {
  const { remarks } = imported(WHOLE.v2);
  const place = readYaml('config.yaml', WHOLE.v2).source?.place;
  const path: Path = ['flows', 'a', 'cooldown'];
  const remark = remarks.find(({ key }) => key === 'flows.a.cooldown');
  assert.ok(remark !== undefined && place !== undefined);
  assert.deepEqual({ line: remark.line, column: remark.column }, place(path, 'key'));
  assert.match(
    formatRemark(remark),
    /^config\.yaml:19:5: warning: flows\.a\.cooldown: it is the cooldown after success/,
  );
  assert.deepEqual(
    remarks.map(({ line, column }) => line * 1000 + column),
    remarks.map(({ line, column }) => line * 1000 + column).sort((a, b) => a - b),
  );
});

test('a misspelt key is told with the one that was probably meant', () => {
  const result = imported('action_flows: [{ name: a, event_typ: b }]\n');
  assert.match(saidOf(result, 'action_flows[0].event_typ').join(), /did you mean 'event_type'\?$/);
});

test('a key given in two cases is told', () => {
  const result = imported('action_flows: [{ name: a, Name: b }]\n');
  assert.match(saidOf(result, 'action_flows[0].Name').join(), /given twice/);
});
