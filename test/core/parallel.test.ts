/** Pipeline stages and ranks in lock-step, in tiny worlds with exact answers. */

import { describe, expect, it } from 'vitest';
import { createEngine } from '../../src/core/cluster/cluster.js';
import type {
  InstanceConfig,
  RequestSpec,
  SchedulerConfig,
  StepShape,
} from '../../src/core/engine.js';
import { nsFromMs, onClock } from '../../src/core/units.js';
import { SMALL_SCHEDULER } from '../support/instances.js';
import { checkLaws } from '../support/laws.js';

interface World {
  readonly instances: readonly InstanceConfig[];
  /** Arrival in milliseconds, and what is asked for. */
  readonly requests: readonly (readonly [atMs: number, RequestSpec])[];
}

/** Milliseconds at which each request got tokens. */
function tokenTimes({ instances, requests }: World) {
  const times = new Map<number, number[]>();
  const engine = createEngine({
    instances,
    router: 'round_robin',
    seed: 0,
    inputLatencyNs: 0,
    tracer: {
      tokens({ at, count, handles }) {
        for (let i = 0; i < count; i++) times.get(handles[i]!)!.push(at / 1e6);
      },
    },
  });
  for (const [atMs, spec] of requests) times.set(engine.submit(nsFromMs(atMs), spec), []);
  for (let at = engine.nextEventAt(); at !== undefined; at = engine.nextEventAt()) {
    engine.advanceTo(at);
    checkLaws(engine);
  }
  return { tokens: [...times.values()], report: engine.report() };
}

function instance(
  ms: (shape: StepShape) => number,
  scheduler: Partial<SchedulerConfig> = {},
  lockStepGroup?: number,
): InstanceConfig {
  return {
    pool: 0,
    scheduler: { ...SMALL_SCHEDULER, ...scheduler },
    cost: {
      base: (shape) => onClock(ms(shape) / 1e3),
      contextSlope: () => 0,
      windowSlope: () => 0,
      window: Infinity,
      emptyStep: 0,
    },
    ...(lockStepGroup !== undefined && { lockStepGroup }),
  };
}

describe('pipeline stages', () => {
  const one = { maxNumBatchedTokens: 4, maxNumScheduledTokens: 4 };
  const twoStages = instance(() => 10, { ...one, pipelineParallelSize: 2 });

  it('give a lone request no more than the sum of the stages', () => {
    const { tokens, report } = tokenTimes({
      instances: [twoStages],
      requests: [[0, { promptTokens: 4, maxTokens: 3 }]],
    });
    expect(tokens).toEqual([[10, 20, 30]]);
    expect(report.instances[0]).toMatchObject({ numSteps: 3, busyNs: 30e6, workNs: 15e6 });
  });

  it('compute two batches at once, one behind the other', () => {
    const { tokens, report } = tokenTimes({
      instances: [twoStages],
      requests: [
        [0, { promptTokens: 4, maxTokens: 3 }],
        [0, { promptTokens: 4, maxTokens: 3 }],
      ],
    });
    expect(tokens).toEqual([
      [10, 20, 30],
      [15, 25, 35],
    ]);
    // The last stage idles for the first 5 ms, the first one for the last 5.
    expect(report.instances[0]).toMatchObject({ numSteps: 6, busyNs: 35e6, workNs: 30e6 });
  });

  it('take the next chunk of a prompt before the one ahead has come through', () => {
    const { tokens } = tokenTimes({
      instances: [twoStages],
      requests: [[0, { promptTokens: 8, maxTokens: 2 }]],
    });
    expect(tokens).toEqual([[15, 25]]);
  });

  it('let an arrival in while batches are under way, when one comes back', () => {
    const { tokens } = tokenTimes({
      instances: [twoStages],
      requests: [
        [0, { promptTokens: 4, maxTokens: 3 }],
        [2, { promptTokens: 1, maxTokens: 2 }],
      ],
    });
    // The core waits for the batch under way, with nothing else to schedule; at 10 both share one.
    expect(tokens).toEqual([
      [10, 20, 30],
      [20, 30],
    ]);
  });
});

describe('ranks in lock-step', () => {
  const tokensOf = ({ numDecodes, prefillTokens }: StepShape) => numDecodes + prefillTokens;
  const rank = (scheduler: Partial<SchedulerConfig> = {}) =>
    instance((shape) => 1 + tokensOf(shape) + 0.5 * (shape.otherTokens ?? 0), scheduler, 0);

  it('wait for the slowest, and pay for the tokens of all', () => {
    const { tokens, report } = tokenTimes({
      instances: [rank(), rank()],
      requests: [
        [0, { promptTokens: 4, maxTokens: 2 }],
        [2, { promptTokens: 2, maxTokens: 2 }],
      ],
    });
    // 1 + 4; then the larger of 1 + 1 + 2/2 and 1 + 2 + 1/2; then 1 + 1.
    expect(tokens).toEqual([
      [5, 8.5],
      [8.5, 10.5],
    ]);
    expect(report.instances.map(({ busyNs, workNs }) => [busyNs, workNs])).toEqual([
      [10.5e6, 8e6],
      [10.5e6, 5.5e6],
    ]);
  });

  it('do so asynchronously as well', () => {
    const { tokens } = tokenTimes({
      instances: [rank({ asyncScheduling: true }), rank({ asyncScheduling: true })],
      requests: [
        [0, { promptTokens: 4, maxTokens: 3 }],
        [2, { promptTokens: 2, maxTokens: 2 }],
      ],
    });
    // The second call, at 0, is of one token: 2 ms. What arrives at 2 is called at 5, and begins at 7.
    expect(tokens).toEqual([
      [5, 7, 10.5],
      [10.5, 12.5],
    ]);
  });

  it('leave ranks of another group alone', () => {
    const alone = instance(tokensOf);
    const { tokens } = tokenTimes({
      instances: [rank(), alone],
      requests: [
        [0, { promptTokens: 4, maxTokens: 1 }],
        [0, { promptTokens: 4, maxTokens: 2 }],
      ],
    });
    expect(tokens).toEqual([[5], [4, 5]]);
  });
});
