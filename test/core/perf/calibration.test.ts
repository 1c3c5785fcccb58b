import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StepShape } from '../../../src/core/engine.js';
import {
  type Coefficients,
  calibratedDeployment,
  calibratedPool,
  IDENTITY,
} from '../../../src/core/perf/calibration.js';
import { fitCoefficients, residuals } from '../../../src/core/perf/calibration-fit.js';
import { explainStep } from '../../../src/core/perf/explain.js';
import { AnalyticStepCost, stepSeconds } from '../../../src/core/perf/step-cost.js';
import { batch, physicalFloor, pool } from './support.js';

const QWEN = pool({ model: 'qwen/Qwen3-8B', hardware: 'H100' });
const secondsOf = (c: Coefficients, shape: StepShape): number =>
  stepSeconds(calibratedPool(QWEN, c).cost, shape);

const coefficients = fc.record({
  stepOffsetSeconds: fc.double({ min: -0.02, max: 0.02, noNaN: true }),
  perSequenceSeconds: fc.double({ min: -1e-4, max: 1e-4, noNaN: true }),
  bandwidthFactor: fc.double({ min: 0.2, max: 5, noNaN: true }),
  flopFactor: fc.double({ min: 0.2, max: 5, noNaN: true }),
  inputLatencySeconds: fc.constant(0),
});
const shapes = fc
  .record({
    numDecodes: fc.integer({ min: 1, max: 256 }),
    context: fc.integer({ min: 1, max: 8192 }),
    prefill: fc.integer({ min: 0, max: 4096 }),
  })
  .map(batch);

describe('calibrated step', () => {
  it('is the analytic one when nothing changes', () => {
    const shape = batch({ numDecodes: 8, context: 512, prefill: 100 });
    expect(secondsOf(IDENTITY, shape)).toBeCloseTo(stepSeconds(QWEN.cost, shape), 12);
  });

  it('is longer by the offset, and by the time per sequence', () => {
    const shape = batch({ numDecodes: 10, context: 512 });
    const c = { ...IDENTITY, stepOffsetSeconds: 2e-3, perSequenceSeconds: 1e-4 };
    expect(secondsOf(c, shape) - secondsOf(IDENTITY, shape)).toBeCloseTo(3e-3, 9);
  });

  it('is never faster than physics, and its rows add up', () => {
    fc.assert(
      fc.property(coefficients, shapes, (c, shape) => {
        const deployment = calibratedDeployment(QWEN.deployment, c);
        const cost = new AnalyticStepCost(deployment);
        const seconds = stepSeconds(cost, shape);
        expect(seconds).toBeGreaterThanOrEqual(0.999 * physicalFloor(deployment, shape));
        const { rows } = explainStep({ deployment, cost }, shape);
        const sum = rows.reduce((all, row) => all + row.seconds, 0);
        expect(Math.abs(sum / seconds - 1)).toBeLessThan(5e-3);
      }),
      { numRuns: 300, seed: 3 },
    );
  });
});

const OBSERVED: readonly StepShape[] = [1, 2, 4, 8, 16, 32, 64, 128, 256].flatMap((numDecodes) =>
  [0, 64, 512, 2048].flatMap((prefill) =>
    [128, 1024, 4096].map((context) => batch({ numDecodes, context, prefill })),
  ),
);

describe('fit', () => {
  const truth: Coefficients = {
    stepOffsetSeconds: 3e-3,
    perSequenceSeconds: 4e-5,
    bandwidthFactor: 0.8,
    flopFactor: 0.7,
    inputLatencySeconds: 0,
  };
  const observed = OBSERVED.map((shape) => secondsOf(truth, shape));
  const logErrors = (c: Coefficients) => {
    const { cost } = calibratedPool(QWEN, c);
    return Float64Array.from(OBSERVED, (shape, i) =>
      Math.log(stepSeconds(cost, shape) / observed[i]!),
    );
  };
  const free = [
    'stepOffsetSeconds',
    'perSequenceSeconds',
    'bandwidthFactor',
    'flopFactor',
  ] as const;

  it('finds the coefficients that made the observations', () => {
    const found = fitCoefficients({ logErrors, free, isFitted: (i) => i % 2 === 0 });
    const held = residuals(logErrors(found), (i) => i % 2 === 1)!;
    expect(held.medianPercent).toBeLessThan(0.5);
    expect(found.bandwidthFactor / truth.bandwidthFactor).toBeCloseTo(1, 1);
    expect(found.flopFactor / truth.flopFactor).toBeCloseTo(1, 1);
    expect(found.stepOffsetSeconds).toBeCloseTo(truth.stepOffsetSeconds, 3);
    expect(found.inputLatencySeconds).toBe(0);
  });

  it('leaves alone what the observations cannot tell', () => {
    const constant = () => new Float64Array(50).fill(0.2);
    expect(fitCoefficients({ logErrors: constant, free, isFitted: () => true })).toEqual(IDENTITY);
  });

  it('stops when told to', () => {
    let calls = 0;
    const counted = (c: Coefficients) => {
      calls++;
      return logErrors(c);
    };
    fitCoefficients({
      logErrors: counted,
      free,
      isFitted: () => true,
      progress: (done) => done >= 3,
    });
    expect(calls).toBeLessThan(20);
  });
});

describe('residuals', () => {
  it('are percent of the observed, in quantiles', () => {
    const errors = Float64Array.from([1.1, 0.9, 1.2, 1.1], Math.log);
    const found = residuals(errors, () => true)!;
    expect(found.count).toBe(4);
    expect(found.medianPercent).toBeCloseTo(10, 9);
    expect(found.p90Percent).toBeCloseTo(20, 9);
    expect(found.biasPercent).toBeCloseTo(10, 9);
  });

  it('are nothing of nothing', () => {
    expect(residuals(Float64Array.of(Number.NaN), () => true)).toBeUndefined();
  });
});
