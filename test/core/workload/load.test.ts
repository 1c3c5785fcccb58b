import { describe, expect, it } from 'vitest';
import type { RequestSpec } from '../../../src/core/engine.js';
import type { RequestOutcome } from '../../../src/core/trace/tracer.js';
import {
  buildLoad,
  checkLoad,
  DEFAULT_LENGTHS,
  type LoadOptions,
} from '../../../src/core/workload/load.js';
import type { Arrival, Workload } from '../../../src/core/workload/workload.js';

const random = (lengths = {}): LoadOptions['source'] => ({
  kind: 'random',
  ...DEFAULT_LENGTHS,
  ...lengths,
});

function drain(load: Workload): Arrival[] {
  const all: Arrival[] = [];
  for (let arrival = load.next(); arrival; arrival = load.next()) all.push(arrival);
  return all;
}

const times = (load: Workload): number[] => drain(load).map((arrival) => arrival.at);

const build = (options: Partial<LoadOptions>, seed = 1) =>
  buildLoad({ source: random(), ...options }, seed);

/** Mean and coefficient of variation of the gaps. */
function gapStats(at: readonly number[]): { mean: number; cv: number } {
  const gaps = at.map((t, i) => t - (at[i - 1] ?? 0));
  const mean = gaps.reduce((a, b) => a + b) / gaps.length;
  const variance = gaps.reduce((a, b) => a + (b - mean) ** 2, 0) / gaps.length;
  return { mean, cv: Math.sqrt(variance) / mean };
}

describe('load', () => {
  it('sends everything at once when the rate is infinite', () => {
    expect(times(build({ numPrompts: 3, requestRate: Infinity }))).toEqual([0, 0, 0]);
    expect(times(build({ numPrompts: 3 }))).toEqual([0, 0, 0]);
  });

  it('spaces requests evenly when burstiness is infinite', () => {
    expect(times(build({ numPrompts: 4, requestRate: 8, burstiness: Infinity }))).toEqual([
      125e6, 250e6, 375e6, 500e6,
    ]);
  });

  it.each([0.25, 1, 4])(
    'ends at exactly n / rate and varies by 1/√burstiness (%d)',
    (burstiness) => {
      const at = times(build({ numPrompts: 20_000, requestRate: 50, burstiness }));
      expect(Math.abs(at.at(-1)! - 400e9)).toBeLessThanOrEqual(1);
      expect(at.every((t, i) => i === 0 || t >= at[i - 1]!)).toBe(true);
      expect(gapStats(at).cv).toBeCloseTo(1 / Math.sqrt(burstiness), 1);
    },
  );

  it('is the same load, compressed, at twice the rate', () => {
    const slow = times(build({ numPrompts: 100, requestRate: 4 }));
    const fast = times(build({ numPrompts: 100, requestRate: 8 }));
    expect(fast.every((t, i) => Math.abs(2 * t - slow[i]!) <= 2)).toBe(true);
  });

  it('repeats itself for one seed and differs for another', () => {
    const options = { numPrompts: 50, requestRate: 8, source: random({ rangeRatio: 0.5 }) };
    expect(drain(build(options, 7))).toEqual(drain(build(options, 7)));
    expect(times(build(options, 7))).not.toEqual(times(build(options, 8)));
  });

  it('ramps by request index, linearly and exponentially', () => {
    const rampUp = { strategy: 'linear', startRps: 1, endRps: 4 } as const;
    const options = { numPrompts: 4, burstiness: Infinity };
    expect(times(build({ ...options, rampUp }))).toEqual([
      1e9, 1.5e9, 1_833_333_333, 2_083_333_333,
    ]);
    const steep = { strategy: 'exponential', startRps: 1, endRps: 8 } as const;
    expect(times(build({ ...options, rampUp: steep }))).toEqual([1e9, 1.5e9, 1.75e9, 1.875e9]);
  });

  it('starts a linear ramp from 0 at its first rate that is not 0', () => {
    const rampUp = { strategy: 'linear', startRps: 0, endRps: 2 } as const;
    const at = times(build({ numPrompts: 3, burstiness: Infinity, rampUp }));
    expect(at).toEqual([1e9, 2e9, 2.5e9]);
  });

  it('draws lengths uniformly, ends included, and never below 1', () => {
    const source = random({ inputLen: 10, outputLen: 1, rangeRatio: 0.5 });
    const specs = drain(build({ numPrompts: 2000, source })).map((arrival) => arrival.spec);
    expect(new Set(specs.map((s) => s.promptTokens))).toEqual(
      new Set([5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
    );
    expect(new Set(specs.map((s) => s.maxTokens))).toEqual(new Set([1, 2]));
  });

  it('spreads inputs and outputs each by its own ratio', () => {
    const source = random({ inputLen: 10, outputLen: 4, rangeRatio: 0, outputRangeRatio: 0.5 });
    const specs = drain(build({ numPrompts: 500, source })).map((arrival) => arrival.spec);
    expect(new Set(specs.map((s) => s.promptTokens))).toEqual(new Set([10]));
    expect(new Set(specs.map((s) => s.maxTokens))).toEqual(new Set([2, 3, 4, 5, 6]));
  });

  it('puts a common prefix before a body of its own', () => {
    const source = random({ inputLen: 10, prefixLen: 32 });
    const [first, second] = drain(build({ numPrompts: 2, source })).map((a) => a.spec);
    expect(first).toEqual({
      promptTokens: 42,
      maxTokens: 128,
      prompt: [
        { content: 0, length: 32 },
        { content: 1, length: 10 },
      ],
    });
    expect(second!.prompt![0]).toEqual(first!.prompt![0]);
    expect(second!.prompt![1]!.content).toBe(2);
  });
});

describe('trace load', () => {
  const rows: Arrival[] = [0, 100, 250].map((at, i) => ({
    at,
    spec: { promptTokens: 10 + i, maxTokens: 5 },
  }));
  const recorded = (speed = 1, onClose = () => {}): LoadOptions['source'] => ({
    kind: 'trace',
    speed,
    open() {
      let i = 0;
      return { next: () => rows[i++], close: onClose };
    },
  });

  it('replays rows at their times, faster by the speed', () => {
    expect(drain(buildLoad({ source: recorded() }, 0))).toEqual(rows);
    expect(times(buildLoad({ source: recorded(2) }, 0))).toEqual([0, 50, 125]);
  });

  it('stops after --num-prompts rows and lets go of the file', () => {
    let closed = 0;
    const source = recorded(1, () => closed++);
    expect(times(buildLoad({ source, numPrompts: 2 }, 0))).toEqual([0, 100]);
    expect(closed).toBe(1);
  });

  it('takes the lengths only, when a rate is given', () => {
    const load = buildLoad({ source: recorded(), requestRate: 2, burstiness: Infinity }, 0);
    expect(drain(load).map((a) => [a.at, a.spec.promptTokens])).toEqual([
      [0.5e9, 10],
      [1e9, 11],
      [1.5e9, 12],
    ]);
  });
});

describe('closed loop', () => {
  const end = (load: Workload, endedAt: number) =>
    load.ended!({ endedAt, spec: {} as RequestSpec } as RequestOutcome);

  it('sends when the time has come and a slot is free', () => {
    const load = build({ numPrompts: 4, requestRate: 1, burstiness: Infinity, maxConcurrency: 2 });
    expect([load.next()!.at, load.next()!.at, load.next()]).toEqual([1e9, 2e9, undefined]);
    end(load, 3.5e9);
    expect(load.next()!.at).toBe(3.5e9); // its time was 3 s: it waited for the slot
    expect(load.next()).toBeUndefined();
    end(load, 3.6e9);
    expect(load.next()!.at).toBe(4e9); // the slot was free before its time
    end(load, 5e9);
    end(load, 5e9);
    expect(load.next()).toBeUndefined();
    expect(load.numRequests).toBe(4);
  });
});

describe('checkLoad', () => {
  const refuse = (options: Partial<LoadOptions>) => () =>
    checkLoad({ source: random(), ...options }, (field) => `workload.${field}`);

  it('accepts what makes sense', () => {
    expect(
      refuse({ requestRate: Infinity, burstiness: Infinity, maxConcurrency: 1 }),
    ).not.toThrow();
  });

  it.each<[Partial<LoadOptions>, string]>([
    [
      { requestRate: -1 },
      'workload.request_rate: expected requests per second above 0, or inf, got -1',
    ],
    [{ requestRate: 0 }, 'workload.request_rate: expected'],
    [{ burstiness: 0 }, 'workload.burstiness: expected a number above 0'],
    [{ numPrompts: 0 }, 'workload.num_prompts: expected a whole number of at least 1, got 0'],
    [{ maxConcurrency: 1.5 }, 'workload.max_concurrency: expected a whole number'],
    [{ source: random({ outputLen: 0 }) }, 'workload.random_output_len: expected'],
    [
      { source: random({ rangeRatio: 1 }) },
      'workload.random_range_ratio: expected a number in [0, 1)',
    ],
    [
      { rampUp: { strategy: 'exponential', startRps: 0, endRps: 1 } },
      'workload.ramp_up_start_rps: expected a rate above 0, got 0',
    ],
    [
      { rampUp: { strategy: 'linear', startRps: 2, endRps: 1 } },
      'workload.ramp_up_end_rps: expected a rate not below the start',
    ],
    [
      { requestRate: 2, rampUp: { strategy: 'linear', startRps: 1, endRps: 2 } },
      'workload.request_rate: expected nothing beside a ramp',
    ],
  ])('refuses %o', (options, message) => {
    expect(refuse(options)).toThrow(message);
  });
});
