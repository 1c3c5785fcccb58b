import { describe, expect, it } from 'vitest';
import { createEngine } from '../../../src/core/cluster/cluster.js';
import type { KvTierConfig, PromptSegment, RequestSpec } from '../../../src/core/engine.js';
import { Rng } from '../../../src/core/rng.js';
import { runInTime } from '../../support/in-time.js';
import { smallInstance } from '../../support/instances.js';
import { checkLaws } from '../../support/laws.js';
import { randomTiers, randomTimedScenario } from '../../support/random-scenario.js';

const MS = 1e6;

/** One tier: 1 ms to the first block and 1 ms for each. */
const tier = (name: string, capacityBlocks: number, config: Partial<KvTierConfig> = {}) => ({
  name,
  capacityBlocks,
  bytesPerBlock: 100,
  readNsPerBlock: 1 * MS,
  writeNsPerBlock: 1 * MS,
  latencyNs: 1 * MS,
  ...config,
});

/** A pool of ten blocks of four tokens; steps of 1 ms. */
function world(kvTiers: readonly KvTierConfig[], numGpuBlocks = 11) {
  const told: string[] = [];
  const scheduler = { numGpuBlocks, enablePrefixCaching: true, kvTiers };
  const engine = createEngine({
    instances: [smallInstance({ scheduler })],
    router: 'round_robin',
    seed: 0,
    inputLatencyNs: 0,
    tracer: {
      requestFinish: ({ spec, cachedTokens, scheduledAt, endedAt, reason }) => {
        const times = scheduledAt === undefined ? '' : `${scheduledAt / MS} to ${endedAt / MS} ms`;
        told.push(
          `${spec.id}: ${cachedTokens} cached, ${times}${reason === 'abort' ? ' abort' : ''}`,
        );
      },
    },
  });
  const [instance] = engine.instances as [(typeof engine.instances)[0]];
  return {
    engine,
    kv: instance.kv,
    told,
    ask(atMs: number, id: string, prompt: PromptSegment[], more: Partial<RequestSpec> = {}) {
      const promptTokens = prompt.reduce((sum, { length }) => sum + length, 0);
      return engine.submit(atMs * MS, { id, promptTokens, maxTokens: 1, prompt, ...more });
    },
    run(untilMs = 1e6) {
      for (let at = engine.nextEventAt(); at !== undefined; at = engine.nextEventAt()) {
        if (at > untilMs * MS) break;
        engine.advanceTo(at);
        checkLaws(engine);
      }
      engine.advanceTo(untilMs * MS);
      return told;
    },
    report: () => engine.report().instances[0]!.kvTiers!,
  };
}

const whole = (content: number, length: number): PromptSegment[] => [{ content, length }];

describe('KV tiers', () => {
  it('give back what the GPU has forgotten, and make its reader wait for it', () => {
    const { ask, run, report, kv } = world([tier('cpu', 4)]);
    ask(0, 'first', whole(1, 17)); // Five blocks, four of them full.
    ask(10, 'other', whole(2, 37)); // Ten blocks: all of the pool, nine of them full.
    ask(20, 'again', whole(1, 17));
    expect(run()).toEqual([
      'first: 0 cached, 0 to 1 ms',
      'other: 0 cached, 10 to 11 ms',
      // 1 ms of latency and four blocks of 1 ms, then its step.
      'again: 16 cached, 25 to 26 ms',
    ]);
    // The four blocks of the first; then five of other made room for again: in the tier they are newer.
    expect(report()).toMatchObject([
      { queryTokens: 17 + 37 + 17, hitTokens: 16, numBlocks: 4, readBytes: 400, evictedBlocks: 4 },
    ]);
    expect(kv.free).toBe(10);
  });

  it('are asked in turn, each for what the faster ones do not have', () => {
    const far = tier('far', Infinity, { latencyNs: 10 * MS });
    const { ask, run, report } = world([tier('near', 2), far]);
    ask(0, 'first', whole(1, 17));
    ask(10, 'other', whole(2, 37));
    ask(20, 'again', whole(1, 17));
    // Its last two blocks were forgotten first: they are far by now, two ms behind ten.
    expect(run().at(-1)).toBe('again: 16 cached, 32 to 33 ms');
    expect(report()).toMatchObject([
      { queryTokens: 71, hitTokens: 8, numBlocks: 2 },
      { queryTokens: 63, hitTokens: 8 },
    ]);
  });

  it('go on where the GPU has the beginning', () => {
    const { ask, run } = world([tier('cpu', 10)]);
    ask(0, 'first', whole(1, 33));
    ask(10, 'other', whole(2, 21)); // Six blocks: two blank ones, then the last four of the first.
    ask(20, 'again', [...whole(1, 25), ...whole(3, 1)]);
    // Four blocks on the GPU, two in the tier.
    expect(run().at(-1)).toBe('again: 24 cached, 23 to 24 ms');
  });

  it('let others pass while one waits, and share what has come', () => {
    const { ask, run } = world([tier('cpu', 10)], 21);
    ask(0, 'first', whole(1, 17));
    ask(10, 'other', whole(2, 77));
    ask(20, 'again', whole(1, 17), { maxTokens: 2 });
    ask(20, 'plain', whole(3, 4));
    ask(27, 'late', whole(1, 17));
    expect(run().slice(2)).toEqual([
      'plain: 0 cached, 20 to 21 ms',
      'again: 16 cached, 25 to 27 ms',
      'late: 16 cached, 27 to 28 ms',
    ]);
  });

  it('read over one link, one after another', () => {
    const { ask, run } = world([tier('cpu', 20)], 21);
    ask(0, 'a', whole(1, 9));
    ask(1, 'b', whole(2, 9));
    ask(10, 'other', whole(3, 77));
    ask(20, 'a again', whole(1, 9));
    ask(20, 'b again', whole(2, 9));
    expect(run().slice(3)).toEqual([
      'a again: 8 cached, 23 to 24 ms',
      'b again: 8 cached, 25 to 26 ms',
    ]);
  });

  it('free at once what a caller who left was waiting for', () => {
    const { ask, run, engine, kv } = world([tier('cpu', 4)]);
    ask(0, 'first', whole(1, 17));
    ask(10, 'other', whole(2, 37));
    const handle = ask(20, 'again', whole(1, 17));
    run(21);
    expect(kv.free).toBe(6);
    engine.cancel(22 * MS, handle);
    engine.advanceTo(22 * MS);
    checkLaws(engine);
    expect(kv.free).toBe(10);
    expect(run().at(-1)).toBe('again: 0 cached,  abort');
    expect(engine.report()).toMatchObject({ stuck: false, aborted: 1 });
  });

  it('never leave the pool full of those who wait', () => {
    // Two prompts of five blocks and a sixth: both are loaded, neither could be admitted.
    const { ask, run, engine } = world([tier('cpu', 40, { latencyNs: 0, readNsPerBlock: 0 })]);
    ask(0, 'a', whole(1, 21));
    ask(2, 'b', whole(2, 21));
    ask(4, 'other', whole(3, 37));
    ask(10, 'a again', [...whole(1, 20), ...whole(4, 17)]);
    ask(10, 'b again', [...whole(2, 20), ...whole(5, 17)]);
    expect(run()).toHaveLength(5);
    expect(engine.report()).toMatchObject({ completed: 5, stuck: false });
  });

  it('separate adapters and salts', () => {
    const { ask, run } = world([tier('cpu', 20)]);
    ask(0, 'first', whole(1, 17), { lora: 'a' });
    ask(10, 'other', whole(2, 37));
    ask(20, 'plain', whole(1, 17));
    ask(30, 'again', whole(1, 17), { lora: 'a' });
    expect(run().slice(2)).toEqual([
      'plain: 0 cached, 20 to 21 ms',
      'again: 16 cached, 35 to 36 ms',
    ]);
  });

  it('hold the laws on random scenarios, and give the same times wherever runs are cut', () => {
    let hits = 0;
    for (let seed = 1; seed <= 400; seed++) {
      const features = { prefixCaching: true, async: seed % 2 === 0, priority: seed % 3 === 0 };
      const staged = seed % 7 === 0 && { stages: true, async: false };
      const all = { ...features, lora: seed % 5 === 0, speculation: seed % 4 === 0, ...staged };
      const scenario = randomTimedScenario(seed, all);
      if (!scenario.config.enable_prefix_caching) continue;
      const kvTiers = randomTiers(seed);
      const run = (cuts?: Rng) =>
        runInTime(scenario, {
          kvTiers,
          cuts: cuts?.stream('cuts'),
          onEnd: ({ instances: [instance] }) => {
            const { kv, scheduler } = instance!;
            if (scheduler.numUnfinished === 0) expect(kv.free).toBe(kv.capacity);
            for (const { hitTokens } of kv.tiers!.report()) hits += hitTokens;
          },
        });
      expect({ seed, rows: run(new Rng(seed)) }).toEqual({ seed, rows: run() });
    }
    expect(hits).toBeGreaterThan(1000);
  });
});
