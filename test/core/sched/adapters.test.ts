import { describe, expect, it } from 'vitest';
import { createEngine } from '../../../src/core/cluster/cluster.js';
import { Adapters } from '../../../src/core/sched/adapters.js';
import { onClock } from '../../../src/core/units.js';
import { smallInstance } from '../../support/instances.js';
import { checkLaws } from '../../support/laws.js';

/** Loading takes 1 tick, fetching 100. */
const slots = (maxLoras: number, maxCpuLoras: number) =>
  new Adapters({ maxLoras, maxCpuLoras, loadTicks: 1, fetchTicks: 100 });

describe('Adapters', () => {
  it('run side by side as long as there are slots', () => {
    const adapters = slots(2, 2);
    expect(['a', 'a', 'b'].map((name) => adapters.enter(name))).toEqual([101, 0, 101]);
    expect(['a', 'b', 'c'].map((name) => adapters.admits(name))).toEqual([true, true, false]);
    adapters.leave('a', 1);
    expect(adapters.admits('c')).toBe(false);
    adapters.leave('a', 2);
    expect(adapters.admits('c')).toBe(true);
  });

  it('keep their slots until another needs them, the one used longest ago first', () => {
    const adapters = slots(2, 3);
    for (const [call, name] of ['a', 'b'].entries()) {
      adapters.enter(name);
      adapters.leave(name, call);
    }
    expect(adapters.enter('a')).toBe(0);
    adapters.leave('a', 2);
    expect(adapters.enter('c')).toBe(101); // Takes the slot of b, which stays in host memory.
    adapters.leave('c', 3);
    expect(adapters.enter('b')).toBe(1); // Takes the slot of a.
    expect(adapters.stats).toMatchObject({ loads: 4, fetches: 3, evictions: 2, cpuEvictions: 0 });
  });

  it('that leave host memory leave the GPU as well', () => {
    const adapters = slots(1, 1);
    adapters.enter('a');
    adapters.leave('a', 1);
    adapters.enter('b');
    expect(adapters.stats).toMatchObject({ evictions: 1, cpuEvictions: 1, loadTicks: 202 });
  });
});

describe('a step with adapters', () => {
  const lora = { maxLoras: 1, maxCpuLoras: 2, loadTicks: onClock(2e-3), fetchTicks: onClock(5e-3) };

  function run(submit: (engine: ReturnType<typeof createEngine>) => void): string[] {
    const told: string[] = [];
    const engine = createEngine({
      instances: [smallInstance({ scheduler: { lora } })],
      router: 'round_robin',
      seed: 0,
      inputLatencyNs: 0,
      tracer: {
        requestFinish: ({ spec, scheduledAt, endedAt }) =>
          told.push(`${spec.id}: ${scheduledAt! / 1e6} to ${endedAt / 1e6} ms`),
      },
    });
    submit(engine);
    engine.advanceTo(1e12);
    checkLaws(engine);
    expect(engine.report().instances[0]!.lora).toMatchObject({ evictions: 1, cpuEvictions: 0 });
    return told;
  }

  it('waits for those that are not there; others are passed over, not waited for', () => {
    const ask = (id: string, name?: string, maxTokens = 2) => ({
      id,
      promptTokens: 4,
      maxTokens,
      ...(name !== undefined && { lora: name }),
    });
    expect(
      run((engine) => {
        engine.submit(0, ask('first', 'a'));
        engine.submit(0, ask('other', 'b'));
        engine.submit(0, ask('plain', undefined, 1));
        engine.submit(0, ask('same', 'a', 1));
      }),
    ).toEqual([
      // One step of 1 ms, after 5 ms from disk and 2 ms to the GPU.
      'plain: 0 to 8 ms',
      'same: 0 to 8 ms',
      'first: 0 to 9 ms',
      'other: 9 to 18 ms',
    ]);
  });
});
