import { describe, expect, it } from 'vitest';
import { createEngine } from '../../src/core/cluster/cluster.js';
import { onClock } from '../../src/core/units.js';
import { ManualClock, UnpacedClock, WallClock } from '../../src/pipeline/clock.js';
import { LagMeter } from '../../src/pipeline/lag.js';
import { LiveCluster, type RequestEvent } from '../../src/pipeline/live-cluster.js';
import { smallInstance } from '../support/instances.js';

/** Ten milliseconds a step, whatever is in it. */
function cluster(clock: ManualClock | WallClock | UnpacedClock = new ManualClock()) {
  const live = new LiveCluster({
    clock,
    createEngine: (tracer) =>
      createEngine({
        instances: [smallInstance({ stepMs: 10 })],
        router: 'round_robin',
        seed: 0,
        inputLatencyNs: 0,
        tracer,
      }),
  });
  return { live, clock };
}

const ms = (n: number) => n * 1e6;
const told = (event: RequestEvent) =>
  event.kind === 'tokens'
    ? `${event.at / 1e6} +${event.numTokens}`
    : `${event.at / 1e6} ${event.outcome.reason}`;

describe('LiveCluster', () => {
  it('releases each token when its step is over', () => {
    const { live, clock } = cluster();
    const manual = clock as ManualClock;
    const events: string[] = [];
    live.request$({ promptTokens: 5, maxTokens: 3 }).subscribe((event) => events.push(told(event)));
    manual.advance(ms(9.9));
    expect(events).toEqual([]);
    manual.advance(ms(0.1));
    expect(events).toEqual(['10 +1']);
    manual.advance(ms(100));
    expect(events).toEqual(['10 +1', '20 +1', '30 +1', '30 length']);
  });

  it('gives one who comes during a step the next one', () => {
    const { live, clock } = cluster();
    const manual = clock as ManualClock;
    const events: string[] = [];
    live.request$({ promptTokens: 5, maxTokens: 4 }).subscribe();
    manual.advance(ms(13));
    live.request$({ promptTokens: 5, maxTokens: 1 }).subscribe((event) => events.push(told(event)));
    manual.advance(ms(100));
    expect(events).toEqual(['30 +1', '30 length']);
  });

  it('frees the KV of one who goes away, at once', () => {
    const { live, clock } = cluster();
    const manual = clock as ManualClock;
    const free = live.snapshot()[0]!.freeBlocks;
    const events: string[] = [];
    const subscription = live
      .request$({ promptTokens: 40, maxTokens: 100 })
      .subscribe((event) => events.push(told(event)));
    manual.advance(ms(35));
    expect(live.snapshot()[0]!.freeBlocks).toBeLessThan(free);
    subscription.unsubscribe();
    manual.advance(ms(1));
    expect(live.snapshot()[0]!.freeBlocks).toBe(free);
    expect(live.numUnfinished).toBe(0);
    expect(events).toEqual(['10 +1', '20 +1', '30 +1']);
    expect(live.counts).toMatchObject({ submitted: 1, aborted: 1, completed: 0 });
  });

  it('tells when nothing is left to do, and wakes nobody after that', async () => {
    const { live, clock } = cluster();
    const manual = clock as ManualClock;
    const idle: number[] = [];
    live.idle$.subscribe((at) => idle.push(at / 1e6));
    live.request$({ promptTokens: 5, maxTokens: 2 }).subscribe();
    const drained = live.drained();
    manual.advance(ms(50));
    await drained;
    expect(idle).toEqual([20]);
    expect(manual.wakesAt).toBeUndefined();
  });

  it('ends every stream with an error when it is closed', () => {
    const { live } = cluster();
    const errors: string[] = [];
    live
      .request$({ promptTokens: 5, maxTokens: 2 })
      .subscribe({ error: (error: Error) => errors.push(error.message) });
    let outcomesComplete = false;
    live.outcomes$.subscribe({ complete: () => (outcomesComplete = true) });
    live.close(new Error('shutting down'));
    expect(errors).toEqual(['shutting down']);
    expect(outcomesComplete).toBe(true);
    expect(live.numUnfinished).toBe(0);
  });

  it('keeps nothing of a thousand requests that came and went', () => {
    const { live, clock } = cluster();
    const manual = clock as ManualClock;
    const free = live.snapshot()[0]!.freeBlocks;
    for (let i = 0; i < 1000; i++) {
      const subscription = live.request$({ promptTokens: 5, maxTokens: 50 }).subscribe();
      manual.advance(ms(7));
      subscription.unsubscribe();
    }
    manual.advance(ms(100));
    expect(live.numUnfinished).toBe(0);
    expect(live.snapshot()[0]).toMatchObject({ freeBlocks: free, numRunning: 0, numWaiting: 0 });
  });

  it('jumps from event to event when it is not paced', async () => {
    const { live } = cluster(new UnpacedClock());
    const events: string[] = [];
    live.request$({ promptTokens: 5, maxTokens: 3 }).subscribe((event) => events.push(told(event)));
    await live.drained();
    expect(events).toEqual(['10 +1', '20 +1', '30 +1', '30 length']);
  });

  it('follows the wall clock at the speed asked for', async () => {
    const { live } = cluster(new WallClock(100));
    const events: string[] = [];
    live.request$({ promptTokens: 5, maxTokens: 2 }).subscribe((event) => events.push(event.kind));
    await live.drained();
    expect(events).toEqual(['tokens', 'tokens', 'end']);
    live.close();
  });
});

describe('LagMeter', () => {
  it('warns once a minute when more than 5 ms late', () => {
    const warnings: number[] = [];
    let now = 0;
    const meter = new LagMeter(
      (lag) => warnings.push(lag),
      () => now,
    );
    for (const [at, lag] of [
      [0, 4],
      [1, 6],
      [59_000, 9],
      [60_002, 7],
    ] as const) {
      now = at;
      meter.note(lag);
    }
    expect(warnings).toEqual([6, 7]);
    expect(meter.ms.max).toBe(9);
  });
});

describe('a step of ten milliseconds', () => {
  it('is a whole number of ticks', () => expect(onClock(0.01) % 65536).toBe(0));
});
