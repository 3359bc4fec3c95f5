import assert from 'node:assert/strict';
import test from 'node:test';
import { PLAN } from '../../../src/cli/run-answer.ts';
import { drawCandidates } from '../../../src/cli/run-view.ts';

const CANDIDATES = {
  candidates: [{ market: 'm5.large/eu-west-1b/spot', price: 0.04, scores: { total: 0.9 }, rejected: null }],
  chosen: 'm5.large/eu-west-1b/spot',
};

const ROWS: readonly (readonly [rule: string, ranking: object, line: string])[] = [
  ['nothing of the ranking that is usual', { ranking: { by: 'coppice', because: null } }, ''],
  ['nothing where an older daemon tells nothing', {}, ''],
  [
    'when another recommender ranked',
    { ranking: { by: 'recommender', because: null } },
    'ranked by the recommender\n',
  ],
  [
    'why another recommender did not rank',
    { ranking: { by: 'coppice', because: 'the recommender was asked: no answer within 2 s' } },
    'ranked by coppice; the recommender was asked: no answer within 2 s\n',
  ],
];
for (const [rule, ranking, line] of ROWS) {
  test(`below the candidates stands ${rule}`, () => {
    const plan = PLAN.parse({ ...CANDIDATES, ...ranking });
    const text = drawCandidates(plan, false);
    assert.match(text, /^ +MARKET .*\n\* .*\n/);
    assert.equal(text.split('\n').slice(2).join('\n'), line);
  });
}
