import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { LatencySummary } from '../../src/core/metrics/report.js';
import type { RequestOutcome } from '../../src/core/trace/tracer.js';
import { distribution } from '../../src/report/distribution.js';
import { duration, grouped, percent, short, table } from '../../src/report/format.js';
import { jsonText } from '../../src/report/json.js';
import { rowOf } from '../../src/report/request-rows.js';

describe('format', () => {
  it('writes numbers with about three digits', () => {
    expect([0, 0.00012, 0.0123, 1.234, 12.34, 123.4, 1234.5, Infinity].map(short)).toEqual([
      ...['0.00', '0.00012', '0.012', '1.23', '12.3', '123', '1,235', 'inf'],
    ]);
    expect([1, 999, 1000, 1234567].map(grouped)).toEqual(['1', '999', '1,000', '1,234,567']);
    expect([0, 0.004, 0.25, 1].map(percent)).toEqual(['0 %', '0.4 %', '25 %', '100 %']);
  });

  it('writes durations in the unit that suits them', () => {
    expect([0.5, 12, 4560, 426_000, 750_000, 41_640_000].map(duration)).toEqual([
      ...['500 µs', '12.0 ms', '4.56 s', '426 s', '12 min 30 s', '11 h 34 min'],
    ]);
  });

  it('aligns columns', () => {
    expect(
      table([
        ['a', '1'],
        ['long', '22'],
      ]),
    ).toEqual(['a      1', 'long  22']);
  });
});

/** A summary of samples that are kept. */
function summaryOf(samples: readonly number[]): LatencySummary {
  const sorted = [...samples].sort((a, b) => a - b);
  return {
    count: samples.length,
    meanMs: 0,
    stdMs: 0,
    minMs: sorted[0] ?? 0,
    maxMs: sorted.at(-1) ?? 0,
    exact: true,
    quantileMs: (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0,
  };
}

describe('distribution', () => {
  it('draws the share of samples in each logarithmic bin', () => {
    const samples = [1, ...new Array(50).fill(10), ...new Array(49).fill(100), 1000];
    expect(distribution(summaryOf(samples), 4)).toBe('▁██▁');
  });

  it('is empty where there is nothing to see', () => {
    expect(distribution(summaryOf([]))).toBe('');
    expect(distribution(summaryOf([5, 5, 5]))).toBe('');
  });
});

describe('result JSON', () => {
  it('writes infinity as vLLM does', () => {
    expect(jsonText({ request_rate: Infinity })).toBe('{\n  "request_rate": "inf"\n}\n');
  });
});

describe('row of a request', () => {
  const outcome: RequestOutcome = {
    handle: 9,
    spec: { promptTokens: 10, maxTokens: 5 },
    index: 3,
    instance: 1,
    reason: 'length',
    arrivedAt: 1e6,
    scheduledAt: 2e6,
    firstTokenAt: 5e6,
    lastTokenAt: 13e6,
    endedAt: 13e6,
    outputTokens: 5,
    cachedTokens: 0,
    numPreemptions: 2,
  };

  it('is in milliseconds, TPOT over the gaps', () => {
    expect(rowOf(outcome)).toEqual({
      request_id: '3',
      arrival_ms: 1,
      prompt_tokens: 10,
      output_tokens: 5,
      cached_tokens: 0,
      ttft_ms: 4,
      tpot_ms: 2,
      e2e_ms: 12,
      queue_ms: 1,
      num_preemptions: 2,
      instance: 1,
      finish_reason: 'length',
      lora: null,
    });
  });

  it('leaves out what did not happen', () => {
    const rejected = rowOf({
      ...outcome,
      instance: -1,
      reason: 'rejected',
      scheduledAt: undefined,
      firstTokenAt: undefined,
      lastTokenAt: undefined,
      outputTokens: 0,
    });
    expect(rejected).toMatchObject({ ttft_ms: null, tpot_ms: null, e2e_ms: null, instance: null });
    expect(rowOf({ ...outcome, outputTokens: 1 }).tpot_ms).toBeNull();
  });

  it('has the columns the documentation lists', () => {
    const page = readFileSync('docs/metrics.md', 'utf8');
    for (const column of Object.keys(rowOf(outcome))) expect(page).toContain(`\`${column}\``);
  });
});
