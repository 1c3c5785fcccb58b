import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencySketch } from '../../../src/core/metrics/quantiles.js';

/** By sorting: linear between the two nearest ranks, as numpy does. */
function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = q * (sorted.length - 1);
  const below = sorted[Math.floor(rank)]!;
  return below + (sorted[Math.ceil(rank)]! - below) * (rank % 1);
}

const QS = [0, 0.01, 0.5, 0.9, 0.99, 1];
const values = fc.array(fc.integer({ min: 1, max: 1e12 }), { minLength: 1, maxLength: 200 });

describe('LatencySketch', () => {
  it('is within 1 % of the quantile by sorting', () => {
    fc.assert(
      fc.property(values, (ns) => {
        const sketch = new LatencySketch();
        for (const value of ns) sketch.add(value);
        for (const q of QS) {
          const want = quantile(ns, q);
          const got = sketch.summary().quantileMs(q) * 1e6;
          expect(Math.abs(got - want)).toBeLessThanOrEqual(want * 0.01);
        }
      }),
    );
  });

  it('is exact when the samples are kept', () => {
    fc.assert(
      fc.property(values, (ns) => {
        const sketch = new LatencySketch(true);
        for (const value of ns) sketch.add(value);
        const summary = sketch.summary();
        for (const q of QS) {
          expect(summary.quantileMs(q) * 1e6).toBeCloseTo(quantile(ns, q), 0);
        }
      }),
    );
  });

  it('takes a rising row of values as if they came one by one', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e9 }),
        fc.integer({ min: 0, max: 1e6 }),
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 0, max: 9 }),
        (first, growth, steps, weight) => {
          const row = new LatencySketch();
          row.addArithmetic(first, growth, steps, weight);
          const single = new LatencySketch();
          for (let i = 0; i < steps; i++) single.addWeighted(first + i * growth, weight);
          const [a, b] = [row.summary(), single.summary()];
          expect(a.count).toBe(b.count);
          expect(a.minMs).toBe(b.minMs);
          expect(a.maxMs).toBeCloseTo(b.maxMs, 9);
          expect(a.meanMs).toBeCloseTo(b.meanMs, 6);
          for (const q of QS) expect(a.quantileMs(q)).toBeCloseTo(b.quantileMs(q), 9);
        },
      ),
    );
  });

  it('says nothing of nothing', () => {
    expect(new LatencySketch().summary()).toMatchObject({
      count: 0,
      meanMs: 0,
      minMs: 0,
      maxMs: 0,
    });
    expect(new LatencySketch().summary().quantileMs(0.5)).toBe(0);
  });
});
