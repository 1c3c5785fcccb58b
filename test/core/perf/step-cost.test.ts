import { describe, expect, it } from 'vitest';
import { type EngineProfile, tokensComputed } from '../../../src/core/perf/engine-profile.js';
import { touchedExperts } from '../../../src/core/perf/expert-routing.js';
import { explainStep } from '../../../src/core/perf/explain.js';
import { LazyTable } from '../../../src/core/perf/lazy-table.js';
import { softMax } from '../../../src/core/perf/operator.js';
import { AnalyticStepCost, stepSeconds } from '../../../src/core/perf/step-cost.js';
import { batch, pool } from './support.js';

const H100 = { model: 'meta-llama/Llama-3.1-8B-Instruct', hardware: 'H100' };

const withoutListing = ({ deployment }: ReturnType<typeof pool>): AnalyticStepCost =>
  new AnalyticStepCost({
    ...deployment,
    engine: { ...deployment.engine, hostSecondsPerContextToken: 0 },
  });

describe('Step cost', () => {
  it('splits a lone decode of 8B on H100 into weight reads, gaps and host work', () => {
    const { rows, bottleneck } = explainStep(pool(H100), batch({ numDecodes: 1, context: 1000 }));
    const named = Object.fromEntries(rows.map((row) => [row.name, row]));
    // 2 × 4096 × 14336 weights of 2 bytes in each of 32 layers, and one row of activations.
    expect(named['gate and up projection']?.bytes).toBe(
      32 * (2 * 4096 * 14336 * 2 + 4096 * 2 + 2 * 14336 * 2),
    );
    expect(named['gate and up projection']?.bound).toBe('memory');
    expect(named['gate and up projection']?.flop).toBe(32 * 2 * 4096 * 2 * 14336);
    expect(named['decode attention']?.bytes).toBe(1000 * 2 * 8 * 128 * 2 * 32);
    expect(named['scheduling and launch (CPU)']?.bound).toBe('host');
    expect(bottleneck.name).toBe('gate and up projection');
  });

  it('reads the weights once for prefill and decode together', () => {
    const { cost } = pool(H100);
    const together = stepSeconds(cost, batch({ numDecodes: 64, context: 500, prefill: 64 }));
    const apart =
      stepSeconds(cost, batch({ numDecodes: 64, context: 500 })) +
      stepSeconds(cost, batch({ prefill: 64 }));
    // What is saved is at least one reading of the matrices: 7.5 billion weights of 2 bytes.
    expect(apart - together).toBeGreaterThan((7.5e9 * 2) / 3350e9);
  });

  it('reads KV once per query head where a kernel leaves contexts whole: above 512 sequences × heads', () => {
    const slope = (engine: string, numDecodes: number) =>
      pool({ ...H100, hardware: 'MI300X', engine }).cost.contextSlope(batch({ numDecodes }));
    expect(slope('vllm-0.6', 17)).toBeGreaterThan(2 * slope('vllm-0.6', 16));
    expect(slope('vllm-0.6', 1000)).toBe(slope('vllm-0.6', 17));
    expect(slope('vllm-0.6.3', 17)).toBe(slope('vllm-0.6.3', 16));
    const { rows } = explainStep(
      pool({ ...H100, hardware: 'MI300X', engine: 'vllm-0.6' }),
      batch({ numDecodes: 17, context: 100 }),
    );
    const attention = rows.find(({ name }) => name === 'decode attention (contexts not split)');
    expect(attention?.constants).toContain('unsplit_kv_memory');
  });

  it('fills decodes up to the captured graph, where an engine pads them', () => {
    const { engine } = pool(H100).deployment;
    const padded: EngineProfile = { ...engine, graphSizes: [8, 64] };
    const tokens = (shape: Parameters<typeof batch>[0], profile = padded): number =>
      tokensComputed(profile, batch(shape));
    expect(tokens({ numDecodes: 9, context: 10 })).toBe(64);
    expect(tokens({ numDecodes: 8, context: 10 })).toBe(8);
    expect(tokens({ numDecodes: 65, context: 10 })).toBe(65);
    expect(tokens({ numDecodes: 9, context: 10, prefill: 100 })).toBe(109);
    expect(tokens({ numDecodes: 9, context: 10 }, engine)).toBe(9);
    const cost = new AnalyticStepCost({ ...pool(H100).deployment, engine: padded });
    const plain = pool(H100).cost;
    const seconds = (numDecodes: number, of = plain): number =>
      stepSeconds(of, batch({ numDecodes }));
    expect(seconds(9, cost)).toBeGreaterThan(1.02 * seconds(9));
    expect(seconds(9, cost)).toBeLessThan(seconds(64));
    expect(seconds(64, cost)).toBe(seconds(64));
  });

  it('counts what was computed earlier: a chunk after 8k of context costs more than the first', () => {
    const { cost } = pool(H100);
    const first = stepSeconds(cost, batch({ prefill: 512 }));
    const later = stepSeconds(cost, batch({ prefill: 512, history: 8192 }));
    const flop = 4 * 32 * 128 * 32 * 512 * 8192;
    expect(later - first).toBeGreaterThan(flop / 989.4e12);
  });

  it('chooses tokens from the logits of the whole vocabulary, on one GPU', () => {
    const sampling = (tp: number): number | undefined => {
      const resolved = pool({ ...H100, options: { tensorParallelSize: tp } });
      const { rows } = explainStep(resolved, batch({ numDecodes: 100, context: 500 }));
      const { samplingBytesPerLogit } = resolved.engine;
      return rows.find(({ name }) => name === 'sampling')!.bytes / samplingBytesPerLogit;
    };
    expect(sampling(1)).toBeCloseTo(100 * 128_256, 3);
    expect(sampling(4)).toBe(sampling(1));
  });

  it('is the same asked at once as in its three parts', () => {
    const hosts = [H100, { ...H100, engine: 'vllm-0.6' }, { ...H100, model: 'openai/gpt-oss-20b' }];
    for (const { deployment } of hosts.map(pool)) {
      const cost = new AnalyticStepCost(deployment);
      for (const prefill of [0, 300, 3000]) {
        const plain = batch({ numDecodes: 20, context: 700, prefill, window: cost.window });
        for (const shape of [plain, { ...plain, draftTokens: 60 }]) {
          expect(cost.seconds(shape)).toBe(stepSeconds(cost, shape));
        }
      }
    }
  });

  it('costs nothing for a call that schedules nothing', () => {
    expect(pool(H100).cost.emptyStep).toBe(0);
  });

  it('caps windowed layers at their window', () => {
    const { cost } = pool({ model: 'openai/gpt-oss-20b', hardware: 'H100' });
    expect(cost.window).toBe(128);
    const shape = batch({ numDecodes: 8, context: 4096, window: 128 });
    expect(shape.decodeWindowContext).toBe(8 * 128);
    expect(cost.windowSlope(shape)).toBe(cost.contextSlope(shape)); // 12 layers of each kind
  });

  it('pays the dispatch floor only above the captured graphs', () => {
    const pp = pool({
      model: 'meta-llama/Llama-3.1-70B-Instruct',
      hardware: 'B200',
      options: { tensorParallelSize: 8 },
    });
    const { rows } = explainStep(pp, batch({ prefill: 513 }));
    expect(rows.some((row) => row.name.includes('dispatch floor'))).toBe(true);
    const below = explainStep(pp, batch({ prefill: 512 })).rows;
    expect(below.some((row) => row.name.includes('dispatch floor'))).toBe(false);
    expect(stepSeconds(pp.cost, batch({ prefill: 513 }))).toBeGreaterThanOrEqual(
      80 * pp.engine.dispatchSecondsPerLayer,
    );
  });

  it('verifies drafts for little where weights are what is read, and not for nothing', () => {
    const { cost } = pool(H100);
    const plain = batch({ numDecodes: 8, context: 1000 });
    const drafted = { ...plain, draftTokens: 8 * 3 };
    const ratio = stepSeconds(cost, drafted) / stepSeconds(cost, plain);
    expect(ratio).toBeGreaterThan(1);
    expect(ratio).toBeLessThan(1.1);
  });

  it('is that of all pipeline stages together, and of sending between them', () => {
    const one = pool({ ...H100, options: { asyncScheduling: false } }).cost;
    const four = pool({ ...H100, options: { pipelineParallelSize: 4 } });
    for (const shape of [batch({ numDecodes: 1, context: 100 }), batch({ prefill: 2000 })]) {
      const sends = explainStep(four, shape).rows.find(({ name }) => name.startsWith('send'))!;
      expect(sends.seconds).toBeGreaterThan(0);
      const difference = stepSeconds(four.cost, shape) - stepSeconds(one, shape);
      expect(difference).toBeCloseTo(sends.seconds, 7);
    }
  });

  it('lists the KV blocks of every sequence anew in vLLM V0, and says so', () => {
    const decodes = (context: number) => batch({ numDecodes: 64, context });
    const v0 = pool({ ...H100, engine: 'vllm-0.7' });
    const perToken = v0.deployment.engine.hostSecondsPerContextToken;
    const listing = (p: typeof v0) =>
      explainStep(p, decodes(1500)).rows.find((row) =>
        row.constants.includes('host_s_per_context_token'),
      );
    expect(listing(v0)).toMatchObject({ bound: 'host', seconds: 64 * 1500 * perToken });
    expect(listing(pool({ ...H100, engine: 'vllm-0.9' }))).toBeUndefined();
    const grown = ({ cost }: typeof v0) =>
      stepSeconds(cost, decodes(1500)) - stepSeconds(cost, decodes(500));
    const gpu = grown({ ...v0, cost: withoutListing(v0) });
    expect(grown(v0) - gpu).toBeCloseTo(64 * 1000 * perToken, 9);
  });

  it('adds what asynchronous scheduling hides of the CPU: what the generation before it has', () => {
    const seconds = (engine: string, asyncScheduling?: boolean): number => {
      const options = asyncScheduling === undefined ? {} : { asyncScheduling };
      return pool({ ...H100, engine, options }).engine.hostSecondsPerStep;
    };
    expect(seconds('vllm-0.14', false)).toBe(seconds('vllm-0.10'));
    expect(seconds('vllm-0.10', true)).toBe(seconds('vllm-0.14'));
    expect(seconds('vllm-0.14')).toBeLessThan(seconds('vllm-0.10'));
    expect(seconds('sglang', false)).toBe(seconds('sglang'));
  });

  it('lets the experts of data-parallel ranks see the tokens of all', () => {
    const { cost } = pool({
      ...H100,
      model: 'mistralai/Mixtral-8x7B-Instruct-v0.1',
      options: { dataParallelSize: 4, enableExpertParallel: true },
    });
    const own = batch({ numDecodes: 4, context: 100 });
    const alone = stepSeconds(cost, { ...own, otherTokens: 0 });
    const equal = stepSeconds(cost, { ...own, otherTokens: 12 });
    expect(equal).toBeGreaterThan(alone);
    expect(stepSeconds(cost, own)).toBe(equal);
  });
});

describe('Soft maximum', () => {
  it('is the sum for p = 1 and tends to the maximum', () => {
    expect(softMax(3, 4, 1)).toBeCloseTo(7, 12);
    expect(softMax(3, 4, 2)).toBeCloseTo(5, 12);
    expect(softMax(3, 4, 200)).toBeCloseTo(4, 6);
    expect(softMax(0, 0, 3)).toBe(0);
  });
});

describe('Experts touched', () => {
  it('are k for one token, and all of them in the end', () => {
    expect(touchedExperts(8, 2, 1)).toBeCloseTo(2, 12);
    expect(touchedExperts(8, 2, 2)).toBeCloseTo(8 * (1 - 0.75 ** 2), 12);
    expect(touchedExperts(256, 8, 1e5)).toBeCloseTo(256, 9);
  });
});

describe('LazyTable', () => {
  it('is exact at knots and for straight lines, and computes each knot once', () => {
    const asked: number[] = [];
    const table = new LazyTable((x) => {
      asked.push(x);
      return 3 + 2 * x;
    });
    for (const x of [0, 0.5, 7, 8, 9, 511, 512, 1000, 300_000])
      expect(table.at(x)).toBeCloseTo(3 + 2 * x, 6);
    table.at(1000);
    expect(asked).toHaveLength(new Set(asked).size);
  });

  it('says the same whatever it was asked before', () => {
    const square = (x: number): number => x * x;
    const [up, down] = [new LazyTable(square), new LazyTable(square)];
    const asked = [0, 1, 2, 7, 9, 9.5, 63, 64, 1001, 16_383, 16_384, 50_001];
    const rising = asked.map((x) => up.at(x));
    expect(asked.toReversed().map((x) => down.at(x))).toEqual(rising.toReversed());
    expect(asked.map((x) => up.at(x))).toEqual(rising);
    expect(rising.slice(0, 6)).toEqual([0, 1, 4, 49, 82, 91]);
  });
});
