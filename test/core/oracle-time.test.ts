/**
 * The oracle in time: exact instants in a tiny world, and the step clock as a special case of it.
 */

import { describe, expect, it } from 'vitest';
import type { StepCost } from '../../src/core/engine.js';
import { TICKS_PER_NS } from '../../src/core/units.js';
import type { GoldenScenario, StepLine } from '../parity/golden.js';
import { small } from '../support/oracle/build.js';
import { replay } from '../support/oracle/replay.js';
import { replayInTime, type TimedScenario } from '../support/oracle/timed.js';
import { type Features, randomScenario, randomTimedScenario } from '../support/random-scenario.js';

/** Every step takes so many ticks, empty ones as well if asked for. */
const fixed = (ticks: number, emptyStep = 0): StepCost => ({
  base: () => ticks,
  contextSlope: () => 0,
  windowSlope: () => 0,
  window: Number.POSITIVE_INFINITY,
  emptyStep,
});

const timed = (
  asks: Parameters<typeof small>[0],
  config: Parameters<typeof small>[1],
  cost: StepCost,
  cancels: Readonly<Record<number, number>> = {},
): TimedScenario => {
  const { name, config: all, requests } = small(asks, config);
  const withCancels = requests.map(({ abort: _, ...request }, id) =>
    cancels[id] === undefined ? request : { ...request, cancelAt: cancels[id] },
  );
  return { name, config: all, cost, requests: withCancels };
};

/** Two nanoseconds a step: even instants are boundaries, odd ones are inside a step. */
function inTwos({ name, config, requests, max_steps }: GoldenScenario): TimedScenario {
  return {
    name,
    config,
    cost: fixed(2 * TICKS_PER_NS, 2 * TICKS_PER_NS),
    maxCalls: max_steps ?? Number.POSITIVE_INFINITY,
    requests: requests.map(({ abort, ...request }) => {
      const at = request.at * 2;
      if (!abort) return { ...request, at };
      return { ...request, at, cancelAt: abort[0] * 2 + (abort[1] === 'during' ? 1 : 0) };
    }),
  };
}

const ALL: Features = { priority: true, prefixCaching: true, speculation: true };

describe('the oracle in time', () => {
  it('adds what a step costs, and carries the fraction', () => {
    const cost = { ...fixed(TICKS_PER_NS + 3 * (TICKS_PER_NS / 4)), contextSlope: () => 1 };
    const { steps, requests } = replayInTime(timed([{ at: 5, prompt: 4, out: 3 }], {}, cost));
    expect(steps.map(({ end }) => end)).toEqual([
      { ns: 6, ticks: 49152 },
      { ns: 8, ticks: 32768 + 5 },
      { ns: 10, ticks: 16384 + 11 },
    ]);
    expect(requests[0]).toMatchObject({
      end: 'length',
      scheduledAt: 5,
      firstTokenAt: 6,
      lastTokenAt: 10,
      endedAt: 10,
      outputTokens: 3,
    });
  });

  it('tells what is in a step', () => {
    const { steps } = replayInTime(
      timed(
        [
          { prompt: 6, out: 3 },
          { at: 1, prompt: 20, out: 1 },
        ],
        { max_num_batched_tokens: 8 },
        { ...fixed(2 * TICKS_PER_NS), window: 5 },
      ),
    );
    expect(steps[2]?.shape).toEqual({
      numDecodes: 1,
      decodeContext: 8,
      decodeWindowContext: 5,
      prefillTokens: 7,
      numPrefills: 1,
      prefillPairs: 8 + 9 + 10 + 11 + 12 + 13 + 14,
      prefillWindowPairs: 35,
      prefillHistory: 7,
      numSampled: 1,
      loraTokens: 0,
      numAdapters: 0,
    });
  });

  it('sees an arrival at the first boundary at or after it', () => {
    const asks = [6, 7].map((at) => ({ at, prompt: 1, out: 1 }));
    const first = { prompt: 1, out: 9 };
    const { requests } = replayInTime(timed([first, ...asks], {}, fixed(2 * TICKS_PER_NS)));
    expect(requests.map(({ scheduledAt }) => scheduledAt)).toEqual([0, 6, 8]);
  });

  it('cancels inside a step at that instant, and at a boundary before the call', () => {
    const asks = [0, 1].map(() => ({ prompt: 1, out: 9 }));
    const cost = fixed(4 * TICKS_PER_NS);
    const { requests, lines } = replayInTime(timed(asks, {}, cost, { 0: 6, 1: 8 }));
    expect(requests.map(({ endedAt, outputTokens }) => [endedAt, outputTokens])).toEqual([
      [6, 1],
      [8, 2],
    ]);
    expect(lines.map(({ abort, abort2 }) => [abort, abort2])).toEqual([
      [undefined, undefined],
      [undefined, [0]],
      [[1], undefined],
    ]);
  });

  it('sleeps when a call can do nothing, until a command wakes it', () => {
    const asks = [
      { prompt: 44, out: 1 },
      { prompt: 1, out: 1 },
    ];
    const stuck = replayInTime(timed(asks, {}, fixed(TICKS_PER_NS)));
    expect([stuck.summary.end, stuck.summary.calls, stuck.end.ns]).toEqual(['stuck', 1, 0]);
    const woken = replayInTime(timed(asks, {}, fixed(TICKS_PER_NS), { 0: 50 }));
    expect(woken.requests.map(({ endedAt }) => endedAt)).toEqual([50, 51]);
  });

  it('asynchronous: schedules a batch while the one before runs', () => {
    const { requests, steps } = replayInTime(
      timed(
        [
          { prompt: 4, out: 3 },
          { at: 1, prompt: 4, out: 1 },
        ],
        { async_scheduling: true },
        fixed(10 * TICKS_PER_NS),
      ),
    );
    expect(steps.map(({ start, end }) => [start.ns, end.ns])).toEqual([
      [0, 10],
      [10, 20],
      [20, 30],
    ]);
    // Seen at 10, when the batch that runs until 20 is already fixed.
    expect(requests[1]).toMatchObject({ scheduledAt: 10, firstTokenAt: 30 });
    expect(requests[0]).toMatchObject({ firstTokenAt: 10, lastTokenAt: 30 });
  });

  it('decides on a clock of equal steps what it decides on the step clock', () => {
    const onSteps = ({ s: _, ...line }: StepLine) => line;
    for (let seed = 0; seed < 200; seed++) {
      const scenario = randomScenario(seed, ALL);
      const plain = replay(scenario);
      const inTime = replayInTime(inTwos(scenario));
      expect(inTime.lines.map(onSteps), `seed ${seed}`).toEqual(plain.lines.map(onSteps));
      expect(inTime.summary.end, `seed ${seed}`).toBe(plain.summary.end);
    }
  });
});

describe('random scenarios', () => {
  const features: Features = { ...ALL, async: true };

  it('repeat themselves by seed', () => {
    expect(randomScenario(7, features)).toEqual(randomScenario(7, features));
    expect(randomTimedScenario(7, features).requests).toEqual(
      randomTimedScenario(7, features).requests,
    );
  });

  it('conserve requests and bring all blocks home', () => {
    for (let seed = 0; seed < 200; seed++) {
      const scenario = randomScenario(seed, features);
      const { lines, summary } = replay(scenario);
      if (summary.end !== 'done') continue;
      const last = lines.at(-1)!;
      expect(last.free?.[1], `seed ${seed}`).toBe(scenario.config.num_gpu_blocks - 1);
      expect(summary.req.every(([, end]) => end !== 'unfinished')).toBe(true);
    }
  });
});
