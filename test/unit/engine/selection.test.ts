import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PolicySpec } from '../../../src/engine/policy.ts';
import { selects, whyUnmanaged } from '../../../src/engine/selection.ts';
import { group, silent } from './build.ts';

const WEB = group([], { tags: { env: 'prod', team: 'a' } });

const SELECTS: readonly [rule: string, groups: PolicySpec['groups'], selected: boolean][] = [
  ['a policy without criteria selects nothing', {}, false],
  ['an empty list of names selects nothing', { names: [] }, false],
  ['* selects every group', { names: ['*'] }, true],
  ['a name selects the group', { names: ['web'] }, true],
  ['a name is not searched for a part', { names: ['we'] }, false],
  ['a glob selects', { names: ['w*'] }, true],
  ['any name of the list is enough', { names: ['api', 'web'] }, true],
  ['a name is no regular expression', { names: ['w.b'] }, false],
  ['a tag selects', { tags: { env: 'prod' } }, true],
  ['all tags must be there', { tags: { env: 'prod', team: 'b' } }, false],
  ['a tag that the group lacks', { tags: { owner: '' } }, false],
  ['a tag of the prototype', { tags: { constructor: 'x' } }, false],
  ['an empty map of tags is no criterion', { tags: {} }, false],
  ['a region selects', { regions: ['us-east-1', 'eu-west-1'] }, true],
  ['another region does not', { regions: ['us-east-1'] }, false],
  ['an account selects', { accounts: ['111111111111'] }, true],
  ['another account does not', { accounts: ['222222222222'] }, false],
  ['all criteria given must match', { names: ['web'], regions: ['us-east-1'] }, false],
];

describe('selects', () => {
  for (const [rule, groups, selected] of SELECTS) {
    it(rule, () => assert.equal(selects(silent({ groups }), WEB), selected));
  }
});

const prod = silent({ name: 'prod', groups: { names: ['web'], tags: { env: 'prod', team: 'b' } } });
const other = silent({ name: 'other', groups: { names: ['api-*', 'job'] } });

const WHY: readonly [rule: string, policies: readonly PolicySpec[], why: string][] = [
  [
    'nothing is said of policies that lack more than one thing',
    [silent({ groups: { names: ['x'], regions: ['y'] } })],
    'no policy selects the group web',
  ],
  [
    'the one tag that lacks is named',
    [prod],
    'no policy selects the group web; prod asks for the tag team=b',
  ],
  ['so are the names', [other], 'no policy selects the group web; other asks for a name like api-* or job'],
  [
    'of several the first one is named',
    [prod, other],
    'no policy selects the group web; prod asks for the tag team=b, and 1 more could be met as easily',
  ],
  ['without policies there is nothing to say', [], 'no policy selects the group web'],
];

describe('whyUnmanaged', () => {
  for (const [rule, policies, why] of WHY) it(rule, () => assert.equal(whyUnmanaged(policies, WEB), why));
});
