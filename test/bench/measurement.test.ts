import { describe, expect, it } from 'vitest';
import { Measurement, peakOverlap } from '../../src/bench/measurement.js';
import type { RequestRecord } from '../../src/bench/request.js';
import { Samples } from '../../src/bench/samples.js';
import { estimateTokens } from '../../src/bench/token-counter.js';
import { streamedRecord as record } from './records.js';

const measure = (records: readonly RequestRecord[], options = {}) => {
  const measurement = new Measurement(options);
  for (const one of records) measurement.add(one);
  return measurement.result();
};

describe('Measurement', () => {
  it("computes vLLM's formulas", () => {
    // A: TTFT 100, gaps 10, 20, 30: E2EL 160, TPOT 60/3 = 20. B: TTFT 200, gap 40: E2EL 240, TPOT 40.
    const result = measure([record(0, [100, 10, 20, 30]), record(50, [200, 40])]);
    expect(result.ttft.meanMs).toBe(150);
    expect(result.ttft.quantileMs(0.99)).toBeCloseTo(199, 9);
    expect(result.ttft.stdMs).toBe(50);
    expect(result.e2el.meanMs).toBe(200);
    expect(result.tpot.meanMs).toBe(30);
    expect(result.itl.count).toBe(4);
    expect(result.itl.meanMs).toBe(25);
    expect(result.itl.quantileMs(0.5)).toBe(25);
    expect([result.completed, result.totalInputTokens, result.totalOutputTokens]).toEqual([
      2, 20, 6,
    ]);
  });

  it('shares a gap among the tokens that came with it', () => {
    // Four tokens in two chunks: one gap of 30 ms is three token gaps of 10 ms.
    const result = measure([record(0, [100, 30], { outputTokens: 4 })]);
    expect(result.itl.meanMs).toBe(30);
    expect(result.tokenItl.meanMs).toBeCloseTo(10, 9);
    expect(result.tokenItl.count).toBeCloseTo(3, 9);
  });

  it('has no TPOT for one token, and counts it as good', () => {
    const result = measure([record(0, [100])], { slo: { tpotMs: 1 } });
    expect(result.tpot.count).toBe(0);
    expect(result.good).toBe(1);
  });

  it('counts equality as good and failures never', () => {
    const failed = { failure: { kind: 'cut', message: 'x' } };
    const slo = { ttftMs: 100, tpotMs: 20, e2elMs: 160 };
    const records = [record(0, [100, 10, 20, 30]), record(1, [101, 1]), record(2, [1], failed)];
    const result = measure(records, { slo });
    expect([result.good, result.completed, result.failed]).toEqual([1, 2, 1]);
    expect(result.failures).toEqual([{ kind: 'cut', count: 1, example: 'x' }]);
  });

  it('takes the first text for the first token when asked to', () => {
    const late = record(0, [10, 40, 10], { firstTokenMs: 50 });
    expect(measure([late]).ttft.meanMs).toBe(10);
    expect(measure([late], { ttftMode: 'content' }).ttft.meanMs).toBe(50);
    expect(measure([late]).contentTtft.meanMs).toBe(50);
  });

  it('finds the busiest second and the most at once', () => {
    const result = measure([record(0, [500, 100, 600]), record(100, [600, 100])]);
    expect(result.peakOutputTokensPerS).toBe(4);
    expect(result.peakConcurrency).toBe(2);
  });

  it('reports zeros when everything failed', () => {
    const failure = { kind: 'refused', message: 'no' };
    const { ttft, itl, completed } = measure([record(0, [], { failure })]);
    expect([completed, ttft.meanMs, ttft.quantileMs(0.99), itl.stdMs]).toEqual([0, 0, 0, 0]);
  });
});

describe('peakOverlap', () => {
  it('lets a departure go first', () => {
    expect(peakOverlap([0, 10, 20], [10, 20, 30])).toBe(1);
    expect(peakOverlap([0, 10, 10], [11, 20, 30])).toBe(3);
    expect(peakOverlap([], [])).toBe(0);
  });
});

describe('Samples', () => {
  it("agrees with numpy's percentile and std", () => {
    const samples = new Samples();
    for (const ms of [15, 20, 35, 40, 50]) samples.add(ms);
    const summary = samples.summary();
    // numpy.percentile([15, 20, 35, 40, 50], 40) = 29, numpy.std = 12.884098726725126
    expect(summary.quantileMs(0.4)).toBeCloseTo(29, 12);
    expect(summary.stdMs).toBeCloseTo(12.884098726725126, 12);
  });

  it('becomes a sketch beyond its bound', () => {
    const samples = new Samples(100);
    for (let i = 1; i <= 1000; i++) samples.add(i);
    const summary = samples.summary();
    expect([summary.count, summary.exact]).toEqual([1000, false]);
    expect(summary.quantileMs(0.5)).toBeGreaterThan(497);
    expect(summary.quantileMs(0.5)).toBeLessThan(503);
  });
});

describe('estimateTokens', () => {
  it('counts a CJK character as two thirds of a token, others as a quarter', () => {
    expect(estimateTokens('abcdefgh')).toBe(2);
    expect(estimateTokens('漢字漢字漢字')).toBe(4);
    expect(estimateTokens('a')).toBe(1);
  });
});
