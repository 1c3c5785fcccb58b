/**
 * What a report shows of its runs: distributions, what happened over time, and for several runs the curve
 * of latency over the load that was carried.
 */

import type { Chart, Point } from '../report/chart-spec.js';
import { latenciesOf } from './measurement.js';
import type { RequestRecord } from './request.js';
import { type BenchResult, metricOf, runName } from './result.js';
import { summaryOf } from './samples.js';

const LATENCIES = ['ttft', 'tpot', 'itl', 'e2el'] as const;
type Latency = (typeof LATENCIES)[number];

/** Those there are: answers that come whole have neither a first token nor gaps. */
export const toldLatencies = (results: readonly BenchResult[]): Latency[] =>
  LATENCIES.filter(
    (name) =>
      (name !== 'ttft' && name !== 'itl') || results.every(({ measured }) => measured.streamed),
  );

/** Share of requests (or gaps) below each latency. */
export const distributions = (results: readonly BenchResult[]): Chart[] =>
  toldLatencies(results).map((name) => ({
    title: `${name.toUpperCase()}, distribution`,
    xLabel: 'ms',
    yLabel: 'percent below',
    drawnAs: 'lines',
    series: results.map((result) => ({ name: runName(result), points: quantiles(result, name) })),
  }));

const STEPS = Array.from({ length: 100 }, (_, i) => (i + 0.5) / 100);

function quantiles({ measured }: BenchResult, name: Latency): Point[] {
  const latency = metricOf(measured, name);
  return latency.count === 0 ? [] : STEPS.map((q) => [latency.quantileMs(q), 100 * q]);
}

/** Latency over the load that was really carried, with the bound it was to meet. */
export const curves = (results: readonly BenchResult[]): Chart[] =>
  (['ttft', 'tpot', 'e2el'] as const).map((name) => ({
    title: `${name.toUpperCase()} over rate`,
    xLabel: 'requests/s completed',
    yLabel: 'ms',
    drawnAs: 'marked lines',
    bound: boundOf(results[0]!, name),
    series: [0.5, 0.99].map((q) => ({
      name: `p${q * 100}`,
      points: results
        .map((r): Point => [carried(r), metricOf(r.measured, name).quantileMs(q)])
        .sort(([a], [b]) => a - b),
    })),
  }));

const carried = ({ measured, durationMs }: BenchResult): number =>
  measured.completed / (durationMs / 1e3);

function boundOf({ config: { slo } }: BenchResult, name: Exclude<Latency, 'itl'>): Chart['bound'] {
  const y = { ttft: slo?.ttftMs, tpot: slo?.tpotMs, e2el: slo?.e2elMs }[name];
  return y === undefined ? undefined : { name: `${name.toUpperCase()} bound`, y };
}

export function overTime(result: BenchResult): Chart[] {
  const { measured, config } = result;
  const records = measured.records.filter(({ failure }) => failure === undefined);
  if (records.length === 0) return [];
  const latencies = records.map((record) => latenciesOf(record, config.ttftMode));
  const ttft = dots(
    records,
    latencies.map(({ ttftMs }) => ttftMs),
  );
  const e2el = dots(
    records,
    latencies.map(({ e2elMs }) => e2elMs),
  );
  return [
    ...(measured.streamed
      ? [
          { ...ttft, title: 'TTFT over time', bound: boundOf(result, 'ttft') },
          itlOverTime(records, result),
        ]
      : []),
    { ...e2el, title: 'E2E latency over time', bound: boundOf(result, 'e2el') },
    throughputOverTime(records, result),
  ];
}

const dots = (records: readonly RequestRecord[], ms: readonly number[]) => {
  const points = records.map(({ sentMs }, i): Point => [sentMs / 1e3, ms[i]!]);
  const series = [{ name: 'requests', points }];
  return { xLabel: 'sent at (s)', yLabel: 'ms', drawnAs: 'dots', series } as const;
};

/** Stretches of time that a curve is made of: about so many, of a round length. */
const NUM_BINS = 40;

interface Bins {
  readonly lengthMs: number;
  readonly count: number;
}

function binsOf({ durationMs }: BenchResult): Bins {
  const raw = Math.max(1, durationMs / NUM_BINS);
  const power = 10 ** Math.floor(Math.log10(raw));
  const lengthMs = [1, 2, 5, 10].map((m) => m * power).find((ms) => ms >= raw)!;
  // The last one is left out where it is not whole: what it lacks would look like a fall.
  return { lengthMs, count: Math.max(1, Math.floor(durationMs / lengthMs)) };
}

/** In seconds. */
const middleOf = (bin: number, { lengthMs }: Bins): number => ((bin + 0.5) * lengthMs) / 1e3;

function itlOverTime(records: readonly RequestRecord[], result: BenchResult): Chart {
  const bins = binsOf(result);
  const gaps = Array.from({ length: bins.count }, () => [] as number[]);
  for (const { chunkMs } of records) {
    for (let i = 1; i < chunkMs.length; i++) {
      gaps[Math.floor(chunkMs[i]! / bins.lengthMs)]?.push(chunkMs[i]! - chunkMs[i - 1]!);
    }
  }
  const summaries = gaps.map(summaryOf);
  const series = [0.5, 0.99].map((q) => ({
    name: `p${q * 100}`,
    points: summaries.flatMap(({ count, quantileMs }, i): Point[] =>
      count === 0 ? [] : [[middleOf(i, bins), quantileMs(q)]],
    ),
  }));
  const title = 'ITL over time';
  return { title, xLabel: 's', yLabel: 'ms between chunks', drawnAs: 'lines', series };
}

function throughputOverTime(records: readonly RequestRecord[], result: BenchResult): Chart {
  const bins = binsOf(result);
  const tokens = new Float64Array(bins.count);
  for (const { chunkMs, outputTokens } of records) {
    const tokensEach = outputTokens / Math.max(1, chunkMs.length);
    for (const ms of chunkMs) {
      const bin = Math.floor(ms / bins.lengthMs);
      if (bin < bins.count) tokens[bin]! += tokensEach;
    }
  }
  const perSecond = 1e3 / bins.lengthMs;
  const points = [...tokens].map((n, i): Point => [middleOf(i, bins), n * perSecond]);
  const series = [{ name: 'tokens/s', points }];
  const title = 'Throughput over time';
  return { title, xLabel: 's', yLabel: 'output tokens/s', drawnAs: 'lines', series };
}
