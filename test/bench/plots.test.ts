import { describe, expect, it } from 'vitest';
import { datasetStatsHtml, histogram, lengthCharts } from '../../src/bench/dataset-stats.js';
import { Measurement } from '../../src/bench/measurement.js';
import type { RequestRecord } from '../../src/bench/request.js';
import type { BenchResult } from '../../src/bench/result.js';
import { barsOf, kindsOf, timelineHtml } from '../../src/bench/timeline.js';
import { recordOf } from './records.js';

const resultOf = (records: readonly RequestRecord[]): BenchResult => {
  const measurement = new Measurement({ keepRecords: true });
  for (const record of records) measurement.add(record);
  const config = { model: 'm', url: 'http://x', dataset: 'random' };
  return { config, measured: measurement.result() } as unknown as BenchResult;
};

describe('a timeline', () => {
  it('has the wait, and gaps of one colour in a row as one bar', () => {
    // Gaps of 10, 20, 25 (a bound belongs to the longer ones) and 60 ms.
    const chunkMs = [1_100, 1_110, 1_130, 1_155, 1_215];
    expect(barsOf([recordOf({ chunkMs, endedMs: 1_215 })], [25, 50])).toEqual([
      { row: 0, fromS: 1, toS: 1.1, kind: 'waiting' },
      { row: 0, fromS: 1.1, toS: 1.13, kind: 'gap < 25 ms' },
      { row: 0, fromS: 1.13, toS: 1.155, kind: 'gap 25–50 ms' },
      { row: 0, fromS: 1.155, toS: 1.215, kind: 'gap ≥ 50 ms' },
    ]);
  });

  it('shows failures, and answers that came whole', () => {
    const failure = { kind: 'timeout', message: '' };
    const bars = barsOf([recordOf({ failure }), recordOf({ streamed: false })], [25]);
    expect(bars.map(({ row, kind, toS }) => [row, kind, toS])).toEqual([
      [0, 'failed', 1.2],
      [1, 'waiting', 1.2],
    ]);
  });

  it('has a colour of its own for each kind', () => {
    const kinds = kindsOf([1, 2, 3, 4, 5]);
    expect(new Set(kinds.map(({ colour }) => colour)).size).toBe(kinds.length);
  });

  it('shows every n-th of many requests, and says so', async () => {
    const many = Array.from({ length: 1_000 }, (_, i) =>
      recordOf({ id: String(i), scheduledMs: i, chunkMs: [1_100] }),
    );
    const page = await timelineHtml(resultOf(many));
    expect(page).toContain('1000 requests, every 3rd of them shown.');
    expect(page).toContain('<svg');
  });
});

describe('the lengths of a run', () => {
  it('are counted in bins of whole tokens', () => {
    expect(histogram([5, 5, 7])).toEqual([
      [5, 2],
      [6, 0],
      [7, 1],
      [8, 0],
    ]);
    const wide = histogram([0, 99, 100]);
    expect(wide[1]![0] - wide[0]![0]).toBe(3);
    expect(wide.reduce((sum, [, count]) => sum + count, 0)).toBe(3);
    expect(histogram([])).toEqual([]);
  });

  it('are drawn in four charts', () => {
    const [inputs, , both, shares] = lengthCharts({ inputs: [4, 2], outputs: [7, 9] });
    expect(inputs!.drawnAs).toBe('histogram');
    expect(both!.series[0]!.points).toEqual([
      [4, 7],
      [2, 9],
    ]);
    expect(shares!.series[0]!.points).toEqual([
      [2, 50],
      [4, 100],
    ]);
  });

  it('leave out requests that failed', async () => {
    const failed = recordOf({ promptTokens: 999, failure: { kind: 'timeout', message: '' } });
    const page = await datasetStatsHtml(resultOf([recordOf(), failed]), async () => undefined);
    expect(page).toContain('<td>input</td><td>10.0</td>');
    expect(page).not.toContain('999');
  });
});
