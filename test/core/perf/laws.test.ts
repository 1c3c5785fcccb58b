/** Laws of the cost model over all GPUs × models × layouts × random batches. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadPerfData } from '../../../src/config/engines.js';
import { listHardware } from '../../../src/config/hardware.js';
import { listModels, loadModel } from '../../../src/config/models.js';
import type { StepCost, StepShape } from '../../../src/core/engine.js';
import { attentionCost } from '../../../src/core/perf/attention.js';
import { efficiencyFor } from '../../../src/core/perf/efficiency.js';
import { explainStep } from '../../../src/core/perf/explain.js';
import { type Deployment, headOperators, layerOperators } from '../../../src/core/perf/layers.js';
import { resolvePrecision } from '../../../src/core/perf/precision.js';
import { AnalyticStepCost, stepSeconds } from '../../../src/core/perf/step-cost.js';
import { batch, physicalFloor } from './support.js';

const GPUS = listHardware();
const MODELS = listModels().map(loadModel);
const ENGINES = ['vllm-0.6', 'vllm-0.9', 'vllm', 'trtllm-0.15', 'trtllm', 'sglang'].map(
  loadPerfData,
);
const QUANTIZATIONS = [undefined, 'fp8', 'int8', 'awq', 'nvfp4'];

const deployments = fc
  .record({
    gpu: fc.constantFrom(...GPUS),
    model: fc.constantFrom(...MODELS),
    data: fc.constantFrom(...ENGINES),
    quantization: fc.constantFrom(...QUANTIZATIONS),
    kvCacheDtype: fc.constantFrom('auto', 'fp8'),
    tp: fc.constantFrom(1, 2, 4, 8),
    pp: fc.constantFrom(1, 1, 2, 4),
    expertParallel: fc.boolean(),
  })
  .filter(({ model, tp }) => model.numHeads % tp === 0)
  .map(({ gpu, model, data, quantization, kvCacheDtype, tp, pp, expertParallel }): Deployment => {
    const efficiency = efficiencyFor(data.efficiency, gpu, data.engine);
    const precision = resolvePrecision(model, gpu, efficiency, {
      quantization: quantization ?? model.quantization,
      kvCacheDtype,
    });
    const layout = { tp, pp, dp: 1, expertParallel: expertParallel && model.moe !== undefined };
    return { gpu, model, layout, precision, efficiency, engine: data.engine };
  });

const batches = fc
  .record({
    numDecodes: fc.oneof(fc.integer({ min: 0, max: 16 }), fc.integer({ min: 0, max: 1024 })),
    context: fc.integer({ min: 1, max: 32_768 }),
    prefill: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 16_384 })),
    history: fc.integer({ min: 0, max: 32_768 }),
  })
  .filter((b) => b.numDecodes + b.prefill > 0);

const shapeFor = (d: Deployment, b: Parameters<typeof batch>[0]): StepShape =>
  batch({ ...b, window: d.model.slidingWindow?.tokens ?? Number.POSITIVE_INFINITY });

/** Whether decode attention gives each context to one block. */
const leavesContextsWhole = (d: Deployment, { numDecodes }: { numDecodes: number }): boolean =>
  numDecodes > attentionCost(d).unsplitAbove;

const RUNS = { numRuns: 1500, seed: 7 };

describe('cost of a step', () => {
  it('is never below FLOP over peak or bytes over bandwidth', () => {
    fc.assert(
      fc.property(deployments, batches, (d, b) => {
        const shape = shapeFor(d, b);
        // The table's chords stay within a per mille of the exact curve.
        expect(stepSeconds(new AnalyticStepCost(d), shape)).toBeGreaterThanOrEqual(
          0.999 * physicalFloor(d, shape),
        );
      }),
      RUNS,
    );
  });

  it('keeps every operator above its own ceilings', () => {
    fc.assert(
      fc.property(deployments, fc.integer({ min: 1, max: 20_000 }), (d, tokens) => {
        for (const op of [...layerOperators(d, tokens), ...headOperators(d, tokens)]) {
          const compute = op.peak > 0 ? op.flop / op.peak : 0;
          const memory = op.bytes / d.gpu.memoryBytesPerS;
          const link = op.linkBytes / d.gpu.link.bytesPerS;
          expect(op.seconds, op.name).toBeGreaterThanOrEqual(
            Math.max(compute, memory, link) * (1 - 1e-12),
          );
        }
        const attention = attentionCost(d);
        expect(attention.context).toBeGreaterThanOrEqual(
          attention.work.kvBytesPerToken / d.gpu.memoryBytesPerS,
        );
        expect(attention.pair).toBeGreaterThanOrEqual(
          attention.work.flopPerPair / d.precision.plain.peak,
        );
      }),
      RUNS,
    );
  });

  it('grows with decodes, context and prompt tokens', () => {
    fc.assert(
      fc.property(
        deployments,
        batches,
        fc.constantFrom('numDecodes', 'context', 'prefill', 'history'),
        (d, b, grown) => {
          fc.pre(d.layout.pp === 1 || b.prefill === 0);
          const cost = new AnalyticStepCost(d);
          // Costs are rounded to the clock's grid per token of context: equal to about 1e-7.
          const more = { ...b, [grown]: Math.ceil(b[grown as keyof typeof b] * 1.3) + 1 };
          const before = stepSeconds(cost, shapeFor(d, b));
          expect(stepSeconds(cost, shapeFor(d, more))).toBeGreaterThanOrEqual(before * (1 - 1e-6));
        },
      ),
      RUNS,
    );
  });

  it('is at most n times shorter on n GPUs, with the same kernels', () => {
    fc.assert(
      fc.property(deployments, batches, (d, b) => {
        fc.pre(d.layout.tp > 1 && d.layout.pp === 1 && !d.layout.expertParallel);
        const alone = { ...d, layout: { ...d.layout, tp: 1 } };
        fc.pre(leavesContextsWhole(d, b) === leavesContextsWhole(alone, b));
        const shape = shapeFor(d, b);
        const one = stepSeconds(new AnalyticStepCost(alone), shape);
        expect(stepSeconds(new AnalyticStepCost(d), shape)).toBeGreaterThanOrEqual(
          (one / d.layout.tp) * 0.99,
        );
      }),
      RUNS,
    );
  });

  it('has no jump from one token to the next except the dispatch floor and another attention kernel', () => {
    fc.assert(
      fc.property(deployments, batches, fc.boolean(), (d, b, addDecode) => {
        const at = b.prefill + b.numDecodes;
        const crossing = at === d.engine.graphTokens || (b.prefill === 0 && !addDecode);
        // A decode that joins brings its context along: a short one, for this law.
        fc.pre(!crossing && at >= 128 && d.layout.pp === 1 && (!addDecode || b.context <= 512));
        const cost = new AnalyticStepCost(d);
        const more = addDecode
          ? { ...b, numDecodes: b.numDecodes + 1 }
          : { ...b, prefill: b.prefill + 1 };
        fc.pre(leavesContextsWhole(d, b) === leavesContextsWhole(d, more));
        const before = stepSeconds(cost, shapeFor(d, b));
        expect(stepSeconds(cost, shapeFor(d, more)) / before).toBeLessThan(1.05);
      }),
      RUNS,
    );
  });

  it('is explained by rows that add up to it', () => {
    fc.assert(
      fc.property(deployments, batches, (d, b) => {
        fc.pre(d.layout.pp === 1);
        const cost = new AnalyticStepCost(d);
        const { rows, seconds } = explainStep({ deployment: d, cost }, shapeFor(d, b));
        const sum = rows.reduce((total, row) => total + row.seconds, 0);
        expect(sum / seconds).toBeGreaterThan(0.99);
        expect(sum / seconds).toBeLessThan(1.01);
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  it('is whole ticks, and affine in context for pure decodes', () => {
    fc.assert(
      fc.property(deployments, fc.integer({ min: 1, max: 512 }), (d, numDecodes) => {
        const cost: StepCost = new AnalyticStepCost(d);
        const short = batch({ numDecodes, context: 100 });
        const long = batch({ numDecodes, context: 9000 });
        expect(cost.base(short)).toBe(cost.base(long));
        expect(cost.contextSlope(short)).toBe(cost.contextSlope(long));
        expect(Number.isInteger(cost.base(short))).toBe(true);
        expect(Number.isInteger(cost.contextSlope(short))).toBe(true);
      }),
      { numRuns: 300, seed: 7 },
    );
  });
});
