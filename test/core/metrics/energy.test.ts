import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bill } from '../../../src/core/metrics/cost.js';
import {
  activePower,
  gpuEnergy,
  IDLE_POWER_FRACTION,
  idlePower,
} from '../../../src/core/metrics/energy.js';
import type { InstanceReport } from '../../../src/core/metrics/report.js';
import { gpuWork, meanStep, utilisation } from '../../../src/core/metrics/utilisation.js';
import { stepSeconds } from '../../../src/core/perf/step-cost.js';
import { batch, pool } from '../perf/support.js';

const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const NOTHING = { mfu: 0, mbu: 0 };

describe('power of a GPU', () => {
  it('is a fixed part of board power while idle', () => {
    expect(idlePower(700)).toBe(700 * IDLE_POWER_FRACTION);
  });

  it('is measured power within the error of the fit: Llama 3.1 70B on H100, batch of 768', () => {
    // 2,535 W over four GPUs at MBU 0.19 and MFU 0.229 (ML.ENERGY v3).
    expect(activePower(700, { mbu: 0.19, mfu: 0.229 })).toBeGreaterThan((2535 / 4) * 0.85);
    expect(activePower(700, { mbu: 0.19, mfu: 0.229 })).toBeLessThan((2535 / 4) * 1.15);
  });

  it('lies between idle and board power, and grows with use', () => {
    fc.assert(
      fc.property(fraction, fraction, fraction, (mfu, mbu, more) => {
        const power = activePower(700, { mfu, mbu });
        expect(power).toBeGreaterThan(idlePower(700));
        expect(power).toBeLessThanOrEqual(700);
        expect(activePower(700, { mfu: mfu + more, mbu })).toBeGreaterThanOrEqual(power);
        expect(activePower(700, { mfu, mbu: mbu + more })).toBeGreaterThanOrEqual(power);
      }),
    );
  });
});

describe('energy of a GPU', () => {
  it('is idle power for the idle time and active power for the rest', () => {
    const used = { mfu: 0.1, mbu: 0.5 };
    expect(gpuEnergy(400, { seconds: 10, busySeconds: 0, used: NOTHING })).toBeCloseTo(480, 9);
    expect(gpuEnergy(400, { seconds: 10, busySeconds: 4, used })).toBeCloseTo(
      6 * 48 + 4 * activePower(400, used),
      9,
    );
  });
});

describe('bill', () => {
  it('charges GPU-hours, spread over output tokens', () => {
    expect(bill(7200, 2.5, 1_000_000)).toEqual({ total: 5, perMillionOutputTokens: 5 });
    expect(bill(7200, 2.5, 0).perMillionOutputTokens).toBe(0);
  });
});

/** An instance that did `numSteps` steps of one shape. */
function stepsOf(shape: ReturnType<typeof batch>, numSteps: number): InstanceReport {
  return {
    pool: 0,
    instance: 0,
    numSteps,
    busyNs: 0,
    prefillTokens: shape.prefillTokens * numSteps,
    decodeTokens: shape.numDecodes * numSteps,
    prefillPairs: shape.prefillPairs * numSteps,
    prefillWindowPairs: shape.prefillWindowPairs * numSteps,
    decodeContext: shape.decodeContext * numSteps,
    decodeWindowContext: shape.decodeWindowContext * numSteps,
    numSampled: shape.numSampled * numSteps,
    numPrefillSteps: shape.prefillTokens > 0 ? numSteps : 0,
    mixedDecodeTokens: shape.prefillTokens > 0 ? shape.numDecodes * numSteps : 0,
    mixedDecodeContext: shape.prefillTokens > 0 ? shape.decodeContext * numSteps : 0,
    mixedDecodeWindowContext: shape.prefillTokens > 0 ? shape.decodeWindowContext * numSteps : 0,
    numPreemptions: 0,
    numBlocks: 1000,
    peakBlocksUsed: 0,
    meanBlocksUsed: 0,
    meanRunning: 0,
    meanWaiting: 0,
    peakRunning: 0,
    peakWaiting: 0,
    prefixQueries: 0,
    prefixHits: 0,
  };
}

describe('work of a GPU', () => {
  const llama = pool({ model: 'meta-llama/Llama-3.1-8B-Instruct', hardware: 'H100' });
  const shape = batch({ numDecodes: 16, context: 1000 });

  it('takes the mean step from the sums', () => {
    expect(meanStep(stepsOf(shape, 7))).toEqual(shape);
  });

  it('is two FLOP per parameter and token, and attention: 16 decodes of Llama 3.1 8B', () => {
    const { flop, bytes } = gpuWork(llama, stepsOf(shape, 1));
    // 7.50e9 parameters are multiplied with (no embedding); attention: 4 · 32 heads · 128 · 32 layers a pair.
    expect(flop).toBeCloseTo(16 * (2 * 7_504_658_432 + 1000 * 4 * 32 * 128 * 32), -9);
    // Weights once, in 16 bits; 16,000 tokens of KV of 128 KiB each; the rest is activations.
    const least = 2 * 7_504_658_432 + 16_000 * 131_072;
    expect(bytes).toBeGreaterThan(least);
    expect(bytes).toBeLessThan(1.1 * least);
  });

  it('adds up over steps, and is shared by GPUs', () => {
    const once = gpuWork(llama, stepsOf(shape, 1));
    const often = gpuWork(llama, stepsOf(shape, 50));
    expect(often.flop / once.flop).toBeCloseTo(50, 9);
    for (const options of [{ tensorParallelSize: 2 }, { pipelineParallelSize: 2 }]) {
      const two = pool({
        model: 'meta-llama/Llama-3.1-8B-Instruct',
        hardware: 'H100',
        options,
      });
      expect(gpuWork(two, stepsOf(shape, 1)).flop / once.flop).toBeCloseTo(0.5, 3);
    }
  });

  it('is nothing without steps', () => {
    expect(utilisation(llama, gpuWork(llama, stepsOf(shape, 0)), 10)).toEqual(NOTHING);
    expect(utilisation(llama, gpuWork(llama, stepsOf(shape, 1)), 0)).toEqual(NOTHING);
  });
});

describe('utilisation', () => {
  const cases = [
    { model: 'meta-llama/Llama-3.1-8B-Instruct', hardware: 'H100' },
    {
      model: 'meta-llama/Llama-3.1-8B-Instruct',
      hardware: 'A10',
      options: { quantization: 'awq' },
    },
    {
      model: 'meta-llama/Llama-3.1-70B-Instruct',
      hardware: 'A100',
      options: { tensorParallelSize: 2, pipelineParallelSize: 2 },
    },
    { model: 'openai/gpt-oss-120b', hardware: 'B200' },
    { model: 'google/gemma-3-27b-it', hardware: 'H200', options: { quantization: 'fp8' } },
    { model: 'mistralai/Mixtral-8x7B-Instruct-v0.1', hardware: 'MI300X' },
    {
      model: 'deepseek-ai/DeepSeek-V3',
      hardware: 'B300',
      options: { dataParallelSize: 8, enableExpertParallel: true },
    },
  ].map(pool);

  it('is never above the data sheet while a step runs', () => {
    const shapes = fc.record({
      numDecodes: fc.integer({ min: 0, max: 512 }),
      context: fc.integer({ min: 1, max: 30_000 }),
      prefill: fc.integer({ min: 1, max: 16_384 }),
      history: fc.integer({ min: 0, max: 30_000 }),
    });
    fc.assert(
      fc.property(fc.constantFrom(...cases), shapes, fc.boolean(), (resolved, s, mixed) => {
        const { numDecodes, context, prefill, history } = s;
        const window = resolved.cost.window;
        const shape = batch(
          mixed || numDecodes === 0
            ? { numDecodes, context, prefill, history, window }
            : { numDecodes, context, window },
        );
        const work = gpuWork(resolved, stepsOf(shape, 3));
        const { mfu, mbu } = utilisation(resolved, work, 3 * stepSeconds(resolved.cost, shape));
        expect(mfu).toBeGreaterThan(0);
        expect(mfu).toBeLessThanOrEqual(1);
        expect(mbu).toBeLessThanOrEqual(1);
      }),
      { numRuns: 300 },
    );
  });
});
