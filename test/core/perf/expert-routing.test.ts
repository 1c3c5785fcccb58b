import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  drawPopularity,
  SkewedRouting,
  UniformRouting,
} from '../../../src/core/perf/expert-routing.js';
import { stepSeconds } from '../../../src/core/perf/step-cost.js';
import { Rng } from '../../../src/core/rng.js';
import { batch, pool } from './support.js';

const draw = (variation: number, seed = 1) =>
  drawPopularity({ numExperts: 64, perToken: 8 }, variation, new Rng(seed).stream('experts'));

describe('Expert popularity', () => {
  it('sends each token to k experts, to none of them twice', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 5, noNaN: true }),
        fc.integer(),
        (variation, seed) => {
          const popularity = draw(variation, seed);
          expect(popularity.reduce((sum, p) => sum + p, 0)).toBeCloseTo(8, 6);
          expect(Math.max(...popularity)).toBeLessThanOrEqual(1);
          expect(Math.min(...popularity)).toBeGreaterThanOrEqual(0);
        },
      ),
      { numRuns: 200, seed: 7 },
    );
  });

  it('is that of uniform routing where experts hardly differ', () => {
    const skewed = new SkewedRouting(draw(1e-4));
    const uniform = new UniformRouting(64, 8);
    for (const tokens of [1, 7, 300]) {
      expect(skewed.inAll(tokens).touched).toBeCloseTo(uniform.inAll(tokens).touched, 3);
      expect(skewed.ofFullest(tokens, 8).rows).toBeCloseTo(uniform.ofFullest(tokens, 8).rows, 0);
    }
  });

  it('touches fewer experts and fills the fullest GPU more, the more they differ', () => {
    const [even, some, much] = [0.01, 1, 2].map((cv) => new SkewedRouting(draw(cv)));
    expect(some!.inAll(20).touched).toBeLessThan(even!.inAll(20).touched);
    expect(much!.inAll(20).touched).toBeLessThan(some!.inAll(20).touched);
    expect(some!.ofFullest(1000, 8).rows).toBeGreaterThan(even!.ofFullest(1000, 8).rows);
    expect(much!.inAll(20).rows).toBeCloseTo(160, 6);
  });

  it('is counted by hand for three experts', () => {
    const routing = new SkewedRouting(Float64Array.of(1, 0.5, 0.5, 0));
    expect(routing.inAll(2)).toEqual({ touched: 1 + 0.75 + 0.75, rows: 4 });
  });
});

describe('A step of experts that are not equally popular', () => {
  const mixtral = (expertLoadImbalance: number) =>
    pool({
      model: 'mistralai/Mixtral-8x7B-Instruct-v0.1',
      hardware: 'H100',
      options: { tensorParallelSize: 4, enableExpertParallel: true, expertLoadImbalance },
    }).cost;

  it('waits for the GPU with the favourites', () => {
    const prefill = batch({ prefill: 4096 });
    expect(stepSeconds(mixtral(1), prefill)).toBeGreaterThan(
      1.1 * stepSeconds(mixtral(0), prefill),
    );
  });

  it('needs a model with experts', () => {
    const dense = { model: 'qwen/Qwen3-8B', hardware: 'H100', options: { expertLoadImbalance: 1 } };
    expect(() => pool(dense)).toThrow(/--expert-load-imbalance: expected a model with experts/);
  });
});
