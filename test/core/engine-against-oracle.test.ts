/**
 * The engine against the oracle: the same decisions and the same times, on random scenarios.
 *
 * Recorded traces alone miss planted faults of a run engine, so thousands of small nasty scenarios are
 * drawn. Each is replayed undisturbed and with its runs cut at random instants, which must change
 * nothing. `PROPERTY_RUNS` multiplies the number of cases.
 */

import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.js';
import { engineReplayers } from '../parity/engine-replay.js';
import { compare, type GoldenScenario, type Replay } from '../parity/golden.js';
import { runInTime } from '../support/in-time.js';
import { replay } from '../support/oracle/replay.js';
import { replayInTime } from '../support/oracle/timed.js';
import { type Features, randomScenario, randomTimedScenario } from '../support/random-scenario.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 1);

const FEATURES: readonly (readonly [string, Features, number])[] = [
  ['as vLLM batches without cache', {}, 700],
  ['with priorities', { priority: true }, 200],
  ['asynchronously', { async: true }, 300],
  ['asynchronously, with priorities', { async: true, priority: true }, 100],
  ['with a prefix cache', { prefixCaching: true }, 500],
  ['with a prefix cache and priorities', { prefixCaching: true, priority: true }, 200],
  ['with a prefix cache, asynchronously', { prefixCaching: true, async: true }, 300],
  ['with drafts', { speculation: true }, 300],
  ['with drafts, asynchronously', { speculation: true, async: true }, 200],
  ['with drafts and a prefix cache', { speculation: true, prefixCaching: true }, 300],
  ['with drafts and priorities', { speculation: true, priority: true }, 100],
  ['with everything', { prefixCaching: true, async: true, priority: true, speculation: true }, 300],
  ['with adapters', { lora: true }, 300],
  ['with adapters, asynchronously', { lora: true, async: true }, 200],
  [
    'with adapters and everything else',
    { lora: true, prefixCaching: true, async: true, priority: true, speculation: true },
    300,
  ],
  ['with all but drafts', { prefixCaching: true, async: true, priority: true }, 200],
];

/** Of which there are no traces on a step clock: with stages, several batches are under way at once. */
const IN_TIME: typeof FEATURES = [
  ...FEATURES,
  ['with pipeline stages', { stages: true }, 500],
  ['with pipeline stages and priorities', { stages: true, priority: true }, 200],
  ['with pipeline stages and adapters', { stages: true, lora: true }, 200],
  ['with pipeline stages and a prefix cache', { stages: true, prefixCaching: true }, 300],
  ['with pipeline stages and drafts', { stages: true, speculation: true }, 300],
];

/** A livelock is cut in the middle of a step: what that step generates is nobody's business. */
function withoutCut<T extends { readonly scenario: GoldenScenario } & Replay>(replay: T): T {
  const { lines, summary, scenario } = replay;
  if (summary.end !== 'max_steps') return replay;
  const whole = lines?.filter(({ s }) => s < Math.max(...lines.map((line) => line.s)));
  const req = scenario.requests.map((_, id) => [id, 'unfinished', null, 0, 0, null, null] as const);
  return { ...replay, ...(whole && { lines: whole }), summary: { ...summary, req } };
}

describe('the engine on a step clock', () => {
  for (const [name, features, cases] of FEATURES) {
    it(`decides like the oracle ${name}`, () => {
      for (let seed = 1; seed <= cases * RUNS; seed++) {
        const scenario = randomScenario(seed, features);
        const expected = withoutCut({ scenario, ...replay(scenario) });
        for (const replayer of engineReplayers) {
          const got = withoutCut({ scenario, ...replayer.replay(scenario) });
          const difference = compare(expected, got, replayer.without);
          expect(difference && { seed, replayer: replayer.name, ...difference }).toBeUndefined();
        }
      }
    });
  }
});

describe('the engine in time', () => {
  for (const [name, features, cases] of IN_TIME) {
    it(`reaches the oracle's times ${name}, wherever its runs are cut`, () => {
      for (let seed = 1; seed <= cases * RUNS; seed++) {
        const scenario = randomTimedScenario(seed, features);
        const oracle = replayInTime(scenario);
        if (oracle.summary.end === 'max_steps') continue;
        const expected = oracle.requests.map((row) => ({
          ...row,
          end: row.end === 'unfinished' ? 'abort' : row.end,
        }));
        const ended = (rows: readonly { readonly id: number }[]) =>
          rows.filter(({ id }) => oracle.requests[id]!.end !== 'unfinished');
        for (const cuts of [undefined, new Rng(seed).stream('cuts')]) {
          const rows = runInTime(scenario, { cuts });
          expect({ seed, cuts: cuts !== undefined, rows: ended(rows) }).toEqual({
            seed,
            cuts: cuts !== undefined,
            rows: ended(expected),
          });
        }
      }
    });
  }
});
