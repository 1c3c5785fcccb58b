import { describe, expect, it } from 'vitest';
import { createEngine } from '../../src/core/cluster/cluster.js';
import type { InstanceConfig } from '../../src/core/engine.js';
import type { Tracer } from '../../src/core/trace/tracer.js';
import { smallInstance } from '../support/instances.js';
import { checkLaws } from '../support/laws.js';

const engineOf = (instance: InstanceConfig, tracer: Tracer = {}) =>
  createEngine({
    instances: [instance],
    router: 'round_robin',
    seed: 0,
    inputLatencyNs: 0,
    tracer,
  });

/** Every token as `ms #handle × count`, and every end. */
function tokens(told: string[]): Tracer {
  return {
    tokens: ({ at, handles, numTokens, count }) => {
      for (let i = 0; i < count; i++) told.push(`${at / 1e6} #${handles[i]} × ${numTokens[i]}`);
    },
    requestFinish: ({ endedAt, handle, reason, outputTokens }) =>
      told.push(`${endedAt / 1e6} #${handle} ${reason} after ${outputTokens}`),
  };
}

function run(instance: InstanceConfig, submit: (engine: ReturnType<typeof engineOf>) => void) {
  const told: string[] = [];
  const engine = engineOf(instance, tokens(told));
  submit(engine);
  engine.advanceTo(1e12);
  checkLaws(engine);
  return { told, engine };
}

describe('the engine', () => {
  it('gives one token a step', () => {
    const { told } = run(smallInstance(), (engine) => {
      engine.submit(5e5, { promptTokens: 10, maxTokens: 3 });
    });
    expect(told).toEqual(['1.5 #0 × 1', '2.5 #0 × 1', '3.5 #0 × 1', '3.5 #0 length after 3']);
  });

  it('counts what a live server spent on reading a request as part of its input latency', () => {
    const seen: number[][] = [];
    const engine = createEngine({
      instances: [smallInstance()],
      router: 'round_robin',
      seed: 0,
      inputLatencyNs: 3e6,
      tracer: {
        requestFinish: ({ arrivedAt, scheduledAt, firstTokenAt }) =>
          seen.push([arrivedAt, scheduledAt!, firstTokenAt!].map((ns) => ns / 1e6)),
      },
    });
    const one = { promptTokens: 4, maxTokens: 1 };
    engine.submit(10e6, one, 2e6);
    engine.submit(20e6, one, 50e6);
    engine.advanceTo(Infinity);
    // Of 3 ms, 2 have passed; and never more than 3.
    expect(seen).toEqual([
      [8, 11, 12],
      [17, 20, 21],
    ]);
  });

  it('tokenises one prompt after the other, in the order of their arrival', () => {
    const scheduledMs: number[] = [];
    const engine = createEngine({
      instances: [smallInstance()],
      router: 'round_robin',
      seed: 0,
      inputLatencyNs: 1e6,
      tokenizingNsPerToken: 5e5,
      tracer: { requestFinish: ({ scheduledAt }) => scheduledMs.push(scheduledAt! / 1e6) },
    });
    const prompt = (promptTokens: number) => ({ promptTokens, maxTokens: 1 });
    engine.submit(0, prompt(4));
    engine.submit(0, prompt(6));
    engine.submit(10e6, prompt(2));
    engine.advanceTo(Infinity);
    // 2 ms and then 3 ms of tokenising, each and 1 ms of hand-over; the third finds nobody before it.
    expect(scheduledMs).toEqual([3, 6, 12]);
  });

  it('ends at the context window, saying so', () => {
    const { told } = run(smallInstance({ scheduler: { maxModelLen: 12 } }), (engine) => {
      engine.submit(0, { promptTokens: 10, maxTokens: 50, finishReason: 'stop' });
      engine.submit(0, { promptTokens: 12, maxTokens: 1 });
    });
    expect(told.at(-1)).toBe('2 #0 length after 2');
    expect(told).toContain('0 #1 rejected after 0');
  });

  it('lets an arrival wait for the step under way, and asynchronously for one more', () => {
    const arrive = (asyncScheduling: boolean) =>
      run(smallInstance({ scheduler: { asyncScheduling } }), (engine) => {
        engine.submit(0, { promptTokens: 4, maxTokens: 9 });
        engine.submit(15e5, { promptTokens: 4, maxTokens: 1 });
      }).told.find((line) => line.includes('#1 length'));
    expect(arrive(false)).toBe('3 #1 length after 1');
    expect(arrive(true)).toBe('4 #1 length after 1');
  });

  it('frees the blocks of a cancelled request at once', () => {
    const engine = engineOf(smallInstance());
    const handle = engine.submit(0, { promptTokens: 20, maxTokens: 9 });
    engine.advanceTo(15e5);
    expect(engine.snapshot()[0]).toMatchObject({ freeBlocks: 94, numRunning: 1, busy: true });
    engine.cancel(16e5, handle);
    engine.advanceTo(16e5);
    expect(engine.snapshot()[0]).toMatchObject({ freeBlocks: 100, numRunning: 0 });
    expect(engine.report()).toMatchObject({ aborted: 1, unfinished: 0 });
  });

  it('does not compute what another request has computed', () => {
    const shared = { content: 1, length: 40 };
    const enablePrefixCaching = true;
    const { told, engine } = run(
      smallInstance({ scheduler: { enablePrefixCaching } }),
      (engine) => {
        engine.submit(0, { promptTokens: 40, maxTokens: 1, prompt: [shared] });
        // Without a hit its prompt would take two steps.
        engine.submit(5e6, {
          promptTokens: 80,
          maxTokens: 1,
          prompt: [shared, { content: 2, length: 40 }],
        });
      },
    );
    expect(told.at(-1)).toBe('6 #1 length after 1');
    expect(engine.report().instances[0]).toMatchObject({ prefixQueries: 120, prefixHits: 40 });
    expect(engine.report().totalCachedTokens).toBe(40);
    expect(engine.snapshot()[0]).toMatchObject({ freeBlocks: 100, cachedBlocks: 20 });
  });

  it('lets a preempted request find its own blocks again', () => {
    const scheduler = {
      enablePrefixCaching: true,
      numGpuBlocks: 9,
      schedulerReserveFullIsl: false,
    };
    const { engine } = run(smallInstance({ scheduler }), (engine) => {
      engine.submit(0, { promptTokens: 12, maxTokens: 12 });
      engine.submit(0, { promptTokens: 12, maxTokens: 12 });
    });
    const { completed, instances } = engine.report();
    expect([completed, instances[0]!.numPreemptions]).toEqual([2, 1]);
    // It was preempted with four full blocks; until it came back the other one had taken two of them.
    expect(instances[0]!.prefixHits).toBe(8);
  });

  it('generates the drafts that hold at once', () => {
    const scheduler = { numSpeculativeTokens: 3 };
    const instance = {
      ...smallInstance({ scheduler }),
      acceptance: () => ({
        accepted: (_: unknown, numDrafts: number) => Math.min(numDrafts, 2),
      }),
    };
    const { told, engine } = run(instance, (engine) => {
      engine.submit(0, { promptTokens: 4, maxTokens: 8 });
    });
    expect(told).toEqual(['1 #0 × 1', '2 #0 × 3', '3 #0 × 3', '4 #0 × 1', '4 #0 length after 8']);
    expect(engine.report().instances[0]!.speculation).toEqual({
      numDrafts: 3,
      draftTokens: 9,
      acceptedTokens: 6,
      acceptedPerPosition: [3, 3, 0],
    });
    // Tokens of one step share their instant: seven gaps, four of them nothing.
    expect(engine.report().itl).toMatchObject({ count: 7, minMs: 0, maxMs: 1 });
  });
});
