import { lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { simulate } from '../../src/core/simulate.js';
import type { Workload } from '../../src/core/workload/workload.js';
import { ManualClock } from '../../src/pipeline/clock.js';
import { ofKind, type SimulationEvent } from '../../src/pipeline/events.js';
import {
  type RunOptions,
  simulation$,
  simulationChunks,
} from '../../src/pipeline/run-simulation.js';
import { smallInstance } from '../support/instances.js';

/** `count` requests of 6 tokens in, 3 out, one every 5 ms. */
function workload(count: number): Workload {
  let i = 0;
  return {
    next: () =>
      i < count ? { at: i++ * 5e6, spec: { promptTokens: 6, maxTokens: 3 } } : undefined,
  };
}

const options = (count: number, more: Partial<RunOptions> = {}): RunOptions => ({
  instances: [smallInstance({ stepMs: 10 })],
  router: 'round_robin',
  seed: 0,
  inputLatencyNs: 0,
  workload: workload(count),
  detail: 'tokens',
  ...more,
});

describe('a simulation as a stream', () => {
  it('tells everything in time order, and the report last', async () => {
    const events = await lastValueFrom(simulation$(options(2)).pipe(toArray()));
    const line = (event: SimulationEvent) => `${event.at / 1e6} ${event.kind}`;
    expect(events.map(line)).toEqual([
      '0 request-arrive',
      '0 request-schedule',
      '10 step-end',
      '10 tokens',
      '10 request-arrive',
      '10 request-schedule',
      '20 step-end',
      '20 tokens',
      '30 step-end',
      '30 tokens',
      '30 request-finish',
      '40 step-end',
      '40 tokens',
      '40 request-finish',
      '40 report',
    ]);
  });

  it('gives the report of the plain run, whatever is asked for', async () => {
    const { workload: _, ...plain } = options(50);
    const expected = simulate({ ...plain, workload: workload(50) });
    for (const detail of ['report', 'requests', 'steps', 'tokens'] as const) {
      const { report } = await lastValueFrom(
        simulation$(options(50, { detail })).pipe(ofKind('report')),
      );
      expect(JSON.stringify(report)).toBe(JSON.stringify(expected));
    }
  });

  it('simulates no further than somebody reads', async () => {
    let asked = 0;
    const source = workload(1e9);
    const counted: Workload = {
      next() {
        asked++;
        return source.next();
      },
    };
    const chunks = simulationChunks(options(0, { workload: counted, chunkSize: 100 }));
    await chunks.next();
    const first = asked;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(asked).toBe(first);
    expect(first).toBeLessThan(200);
    await chunks.return();
  });

  it('waits for the clock it is given', async () => {
    const clock = new ManualClock();
    const seen: string[] = [];
    const subscription = simulation$(options(1, { clock, detail: 'requests' })).subscribe((event) =>
      seen.push(event.kind),
    );
    const settle = () => new Promise((resolve) => setTimeout(resolve, 5));
    await settle();
    clock.advance(25e6);
    await settle();
    expect(seen).toEqual(['request-arrive', 'request-schedule']);
    clock.advance(5e6);
    await settle();
    expect(seen).toEqual(['request-arrive', 'request-schedule', 'request-finish', 'report']);
    subscription.unsubscribe();
  });

  it('stops when it is told to', async () => {
    const abort = new AbortController();
    const chunks = simulationChunks(options(1e9, { chunkSize: 10, signal: abort.signal }));
    await chunks.next();
    abort.abort(new Error('enough'));
    await expect(chunks.next()).rejects.toThrow('enough');
  });
});
