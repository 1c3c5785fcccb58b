import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadModel } from '../../../src/config/models.js';
import { ConfigError } from '../../../src/core/errors.js';
import { numParameters } from '../../../src/core/model/model-shape.js';
import { explainStep } from '../../../src/core/perf/explain.js';
import type { ResolvedPool } from '../../../src/core/perf/resolve.js';
import { stepSeconds } from '../../../src/core/perf/step-cost.js';
import {
  SPECULATIVE_METHODS,
  type SpeculationSpec,
  type SpeculativeMethod,
} from '../../../src/core/scenario.js';
import { drawnAcceptance } from '../../../src/core/sched/acceptance.js';
import { simulate } from '../../../src/core/simulate.js';
import { batch, type Case, physicalFloor, pool } from './support.js';

const LLAMA_8B = { model: 'meta-llama/Llama-3.1-8B-Instruct', hardware: 'H100' };
const LLAMA_1B = loadModel('meta-llama/Llama-3.2-1B-Instruct');

function speculation(method: SpeculativeMethod, k = 3, rate?: number): SpeculationSpec {
  return {
    method,
    numSpeculativeTokens: k,
    ...(method === 'draft_model' && { draft: LLAMA_1B }),
    ...(rate !== undefined && { acceptance: { kind: 'rates', rates: [rate] } }),
  };
}

const speculative = (method: SpeculativeMethod, k = 3, rest: Partial<Case> = {}) =>
  pool({ ...LLAMA_8B, ...rest, speculation: speculation(method, k) });

/** Decodes that verify k drafts each. */
const verifying = (numDecodes: number, context: number, k: number, more = {}) => ({
  ...batch({ numDecodes, context, ...more }),
  draftTokens: numDecodes * k,
});

/** A request alone, whose time is all there is. */
function lone(resolved: ResolvedPool, maxTokens: number, promptTokens = 100) {
  let given = false;
  const { scheduler, cost, spec } = resolved;
  const acceptance = spec.speculation && drawnAcceptance(spec.speculation);
  return simulate({
    instances: [{ pool: 0, scheduler, cost, ...(acceptance && { acceptance }) }],
    router: 'round_robin',
    seed: 0,
    inputLatencyNs: 0,
    workload: {
      next() {
        if (given) return undefined;
        given = true;
        return { at: 0, spec: { promptTokens, maxTokens } };
      },
    },
    exact: true,
  });
}

const SYNCHRONOUS = { options: { asyncScheduling: false } };
const alone = (method: SpeculativeMethod, rate: number, maxTokens: number) =>
  lone(pool({ ...LLAMA_8B, ...SYNCHRONOUS, speculation: speculation(method, 3, rate) }), maxTokens);

describe('Speculation', () => {
  it.each(SPECULATIVE_METHODS)(
    'of %s yields four tokens a step when three drafts hold',
    (method) => {
      const report = alone(method, 1, 1 + 4 * 25);
      expect(report.instances[0]!.numSteps).toBe(1 + 25);
      expect(report.instances[0]!.speculation).toEqual({
        numDrafts: 25,
        draftTokens: 75,
        acceptedTokens: 75,
        acceptedPerPosition: [25, 25, 25],
      });
    },
  );

  it.each(SPECULATIVE_METHODS)('of %s that never holds is slower than none', (method) => {
    const report = alone(method, 0, 101);
    expect(report.instances[0]!.numSteps).toBe(101);
    const without = lone(pool({ ...LLAMA_8B, ...SYNCHRONOUS }), 101);
    expect(report.e2el.meanMs).toBeGreaterThan(without.e2el.meanMs);
  });

  it('passes through pipeline stages as a batch of any other kind', () => {
    const options = { pipelineParallelSize: 2 };
    const report = lone(pool({ ...LLAMA_8B, options, speculation: speculation('mtp', 3, 1) }), 101);
    expect(report.instances[0]!.speculation).toMatchObject({ numDrafts: 25, acceptedTokens: 75 });
  });

  it('takes a lone request the sum of its steps', () => {
    const resolved = pool({
      ...LLAMA_8B,
      ...SYNCHRONOUS,
      speculation: speculation('eagle', 3, 1),
    });
    let seconds = stepSeconds(resolved.cost, { ...batch({ prefill: 100 }), draftTokens: 0 });
    for (let known = 101; known < 141; known += 4) {
      seconds += stepSeconds(resolved.cost, verifying(1, known + 3, 3));
    }
    expect(lone(resolved, 41).e2el.meanMs).toBeCloseTo(seconds * 1e3, 4);
  });

  it('is scheduled as vLLM schedules its method', () => {
    const scheduled = SPECULATIVE_METHODS.map((m) => speculative(m).scheduler.speculativeMethod);
    expect(scheduled).toEqual(['ngram', 'draft_model', 'eagle', 'eagle', 'eagle']);
    expect(speculative('mtp', 5).scheduler.numSpeculativeTokens).toBe(5);
  });

  it('turns asynchronous scheduling off for ngram alone, and says so', () => {
    expect(speculative('ngram').scheduler.asyncScheduling).toBe(false);
    expect(speculative('ngram').notes).toContain('ngram turns asynchronous scheduling off');
    expect(speculative('eagle').scheduler.asyncScheduling).toBe(true);
    expect(() => speculative('ngram', 3, { options: { asyncScheduling: true } })).toThrow(
      /^--async-scheduling: expected false with ngram/,
    );
  });

  it('names its assumption', () => {
    expect(speculative('mtp').notes.join()).toContain(
      'a draft of mtp is assumed to hold with probability 0.85',
    );
    const given = pool({ ...LLAMA_8B, speculation: speculation('mtp', 3, 0.5) });
    expect(given.notes.join()).not.toContain('assumed');
  });

  it('says when a recording has fewer drafts than are asked for', () => {
    const recorded = (counts: number[][]) =>
      pool({
        ...LLAMA_8B,
        speculation: { ...speculation('mtp'), acceptance: { kind: 'recorded', counts } },
      }).notes.join();
    expect(recorded([[1], [2, 0]])).toContain('at most 2 drafts held at once');
    expect(recorded([[1], [3, 0]])).not.toContain('at most');
  });

  it('spreads a drafter over all GPUs, or holds it whole on each', () => {
    const on = (draftTensorParallelSize: number) =>
      pool({
        ...LLAMA_8B,
        options: { tensorParallelSize: 4 },
        speculation: { ...speculation('draft_model'), draftTensorParallelSize },
      }).kv.draftWeightBytes;
    expect(on(1)).toBe(2 * numParameters(LLAMA_1B));
    expect(on(4)).toBeLessThan(0.26 * on(1));
    expect(() => on(2)).toThrow(
      '--speculative-config: expected draft_tensor_parallel_size of 1 or 4, the tensor-parallel size, got 2',
    );
  });

  it('refuses a draft model that cannot be spread as asked', () => {
    const draft = loadModel('qwen/Qwen2.5-0.5B-Instruct');
    const refused = () =>
      pool({
        ...LLAMA_8B,
        options: { tensorParallelSize: 8 },
        speculation: { method: 'draft_model', numSpeculativeTokens: 2, draft },
      });
    expect(refused).toThrow(ConfigError);
    expect(refused).toThrow(/^--speculative-config: expected a divisor of the 14 attention heads/);
  });
});

describe('Memory of a drafter', () => {
  const plain = pool(LLAMA_8B).kv;

  it('is the weights and the KV of a draft model', () => {
    const { kv } = speculative('draft_model');
    expect(kv.draftWeightBytes).toBe(2 * numParameters(LLAMA_1B));
    expect(kv.bytesPerToken - plain.bytesPerToken).toBe(2 * 16 * 8 * 64 * 2);
    expect(kv.weightBytes).toBe(plain.weightBytes);
    const used = kv.weightBytes + kv.draftWeightBytes + kv.activationBytes + kv.nonTorchBytes;
    expect(used + kv.kvBytes).toBeCloseTo(kv.memoryBytes * kv.utilization, -1);
  });

  it('is one layer, and what joins hidden states, for eagle', () => {
    const { kv } = speculative('eagle');
    const layer = 4096 * (4096 + 2 * 1024) + 4096 * 4096 + 3 * 4096 * 14336;
    expect(kv.draftWeightBytes / (2 * (layer + 2 * 4096 ** 2))).toBeCloseTo(1, 3);
    expect(kv.bytesPerToken).toBe((33 / 32) * plain.bytesPerToken);
    expect(speculative('eagle3').kv.draftWeightBytes - kv.draftWeightBytes).toBe(2 * 4096 ** 2);
  });

  it('keeps the experts of a model with MTP', () => {
    const v3 = { model: 'deepseek-ai/DeepSeek-V3', hardware: 'H200' };
    const options = { tensorParallelSize: 8 };
    const { kv } = speculative('mtp', 1, { ...v3, options });
    expect(kv.draftWeightBytes / kv.weightBytes).toBeGreaterThan(1 / 61);
    expect(kv.draftWeightBytes / kv.weightBytes).toBeLessThan(1.5 / 61);
    expect(kv.bytesPerToken).toBe(62 * 576 * 2);
  });

  it('is nothing for ngram', () => {
    expect(speculative('ngram').kv).toEqual({ ...plain, draftWeightBytes: 0 });
  });
});

describe('Cost of speculation', () => {
  const cases = fc.record({
    method: fc.constantFrom(...SPECULATIVE_METHODS),
    k: fc.integer({ min: 1, max: 8 }),
    place: fc.constantFrom<Case>(
      LLAMA_8B,
      { ...LLAMA_8B, hardware: 'L40S' },
      {
        model: 'meta-llama/Llama-3.1-70B-Instruct',
        hardware: 'H200',
        options: { tensorParallelSize: 4 },
      },
      { model: 'deepseek-ai/DeepSeek-V3', hardware: 'H200', options: { tensorParallelSize: 8 } },
      { ...LLAMA_8B, options: { pipelineParallelSize: 2 } },
      { model: 'openai/gpt-oss-20b', hardware: 'H100' },
      {
        model: 'qwen/Qwen3-Next-80B-A3B-Instruct',
        hardware: 'H200',
        options: { tensorParallelSize: 2 },
      },
      { model: 'google/gemma-2-27b-it', hardware: 'H100', options: { tensorParallelSize: 2 } },
    ),
    numDecodes: fc.integer({ min: 1, max: 256 }),
    context: fc.integer({ min: 10, max: 30_000 }),
    prefill: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 8192 })),
  });
  const RUNS = { numRuns: 400, seed: 7 };

  it('is never below the FLOP and bytes of verifying and of every pass', () => {
    fc.assert(
      fc.property(cases, ({ method, k, place, numDecodes, context, prefill }) => {
        const { cost, deployment, drafting } = speculative(method, k, place);
        const shape = verifying(numDecodes, context, k, { prefill, window: cost.window });
        let floor = physicalFloor(deployment, shape);
        const drafter = drafting!.drafter?.deployment;
        if (drafter) {
          const window = drafter.model.slidingWindow?.tokens ?? Infinity;
          const first = verifying(numDecodes, context, k, { prefill, window });
          floor += physicalFloor(drafter, { ...first, numSampled: 0 });
          floor += (k - 1) * physicalFloor(drafter, batch({ numDecodes, context, window }));
        }
        expect(stepSeconds(cost, shape)).toBeGreaterThanOrEqual(0.999 * floor);
      }),
      RUNS,
    );
  });

  it('is explained by rows that add up to it', () => {
    fc.assert(
      fc.property(cases, ({ method, k, place, numDecodes, context, prefill }) => {
        const resolved = speculative(method, k, place);
        const { window } = resolved.cost;
        const shape = verifying(numDecodes, context, k, { prefill, window });
        const { rows, seconds } = explainStep(resolved, shape);
        const sum = rows.reduce((total, row) => total + row.seconds, 0);
        expect(Math.abs(sum / seconds - 1)).toBeLessThan(0.01);
        for (const row of rows) expect(row.efficiency, row.name).toBeLessThanOrEqual(1 + 1e-9);
        const drafts = rows.filter(({ name }) => /^draft|looking drafts up/.test(name));
        expect(drafts.length).toBeGreaterThan(0);
      }),
      RUNS,
    );
  });

  it('is affine in context, in whole ticks', () => {
    fc.assert(
      fc.property(cases, ({ method, k, place, numDecodes }) => {
        const { cost } = speculative(method, k, place);
        const short = verifying(numDecodes, 100, k);
        const long = verifying(numDecodes, 9000, k);
        expect(cost.base(short)).toBe(cost.base(long));
        expect(cost.contextSlope(short)).toBe(cost.contextSlope(long));
        expect(cost.windowSlope(short)).toBe(cost.windowSlope(long));
        const whole = [cost.base(short), cost.contextSlope(short), cost.windowSlope(short)];
        expect(whole.every(Number.isSafeInteger)).toBe(true);
      }),
      RUNS,
    );
  });

  it('computes for every draft where reading the cache is not what bounds attention', () => {
    const v3 = { model: 'deepseek-ai/DeepSeek-V3', hardware: 'H200' };
    const { cost } = pool({ ...v3, options: { tensorParallelSize: 8 } });
    const plain = cost.contextSlope(batch({ numDecodes: 8, context: 1000 }));
    expect(cost.contextSlope(verifying(8, 1000, 7))).toBeGreaterThan(plain);
  });

  it('reads the weights of a draft model k times', () => {
    const shape = (k: number) => verifying(1, 1000, k);
    const proposing = (k: number) => {
      const { rows } = explainStep(speculative('draft_model', k), shape(k));
      return rows.filter(({ name }) => name.startsWith('draft: ')).reduce((s, r) => s + r.bytes, 0);
    };
    const matrices = 2 * (numParameters(LLAMA_1B) - LLAMA_1B.numOtherParameters);
    expect(proposing(4) / 4 / matrices).toBeGreaterThan(1);
    expect(proposing(4) / 4 / matrices).toBeLessThan(1.1);
  });

  it('is small for ngram, and grows with sequences and context', () => {
    const none = pool({ ...LLAMA_8B, options: { asyncScheduling: false } }).cost;
    const ngram = speculative('ngram').cost;
    const added = (n: number, context: number) =>
      stepSeconds(ngram, verifying(n, context, 3)) - stepSeconds(none, verifying(n, context, 3));
    expect(added(10, 1000)).toBeCloseTo(10 * 10e-6 + 10 * 1000 * 1e-9, 9);
  });
});
