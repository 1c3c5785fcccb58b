/**
 * The report of a benchmark as one HTML file: the table, distributions, what happened over time, and
 * for several runs the curve of latency over rate. No scripts, nothing to load.
 */

import { escapeXml, htmlPage, htmlTable, type Series, svgChart } from '../report/svg-chart.js';
import { latenciesOf } from './measurement.js';
import type { RequestRecord } from './request.js';
import { type BenchResult, metricOf, warningsOf } from './result.js';
import { summaryOf } from './samples.js';

export function reportHtml(results: readonly BenchResult[]): string {
  const [first] = results;
  const { config } = first!;
  const title = `${config.model} at ${config.url}`;
  const parts = results.map((result) => {
    const heading = results.length > 1 ? `<h2>${escapeXml(runName(result))}</h2>` : '';
    return heading + notes(result) + charts(overTime(result));
  });
  const body = [
    `<h1>${escapeXml(title)}</h1>`,
    `<p>${escapeXml(`${config.backend}, data set ${config.dataset}, seed ${config.seed}, ${config.date.toISOString()}`)}</p>`,
    tables(results),
    charts([...(results.length > 1 ? curves(results) : []), ...distributions(results)]),
    ...parts,
  ].join('\n');
  return htmlPage(title, body);
}

const charts = (drawn: readonly string[]): string =>
  `<div class="charts">\n${drawn.join('\n')}\n</div>`;

/** What a run differs in from the others. */
export function runName({ config }: BenchResult): string {
  const rate = config.requestRate;
  const concurrency = config.maxConcurrency;
  const parts = [
    ...(rate === undefined || rate === Infinity ? [] : [`${rate} req/s`]),
    ...(concurrency === undefined ? [] : [`${concurrency} at once`]),
  ];
  return parts.length > 0 ? parts.join(', ') : 'all at once';
}

function notes(result: BenchResult): string {
  const failures = result.measured.failures.map(
    ({ kind, count, example }) => `Failed (${kind}): ${count}. For example: ${example}`,
  );
  return [...failures, ...warningsOf(result)]
    .map((text) => `<p class="warning">${escapeXml(text)}</p>`)
    .join('\n');
}

/** One run: its totals and its latencies side by side; several: a column each. */
function tables(results: readonly BenchResult[]): string {
  const [first] = results;
  if (results.length > 1) return htmlTable([...totals(results), ...quantileRows(results)]);
  return `<div class="tables">\n${htmlTable(totals(results))}\n${htmlTable(latencies(first!))}\n</div>`;
}

function totals(results: readonly BenchResult[]): string[][] {
  const rows: [string, (result: BenchResult) => string][] = [
    ['completed', ({ measured }) => String(measured.completed)],
    ['failed', ({ measured }) => String(measured.failed)],
    ['duration (s)', ({ durationMs }) => (durationMs / 1e3).toFixed(2)],
    ['requests/s', perSecond(({ measured }) => measured.completed)],
    ['output tokens/s', perSecond(({ measured }) => measured.totalOutputTokens)],
    ['input tokens/s', perSecond(({ measured }) => measured.totalInputTokens)],
    ['most at once', ({ measured }) => String(measured.peakConcurrency)],
  ];
  if (results.some(({ config }) => config.slo)) {
    rows.push(['good requests/s', perSecond(({ measured }) => measured.good)]);
  }
  const header = ['', ...results.map((r) => (results.length > 1 ? runName(r) : 'value'))];
  return [header, ...rows.map(([name, value]) => [name, ...results.map(value)])];
}

const quantileRows = (results: readonly BenchResult[]): string[][] =>
  metricsOf(results).flatMap((metric) =>
    [0.5, 0.9, 0.99].map((q) => [
      `${metric.toUpperCase()} p${q * 100} (ms)`,
      ...results.map(({ measured }) => metricOf(measured, metric).quantileMs(q).toFixed(2)),
    ]),
  );

function latencies(result: BenchResult): string[][] {
  const { measured } = result;
  const rows = metricsOf([result]).map((metric) => {
    const latency = metricOf(measured, metric);
    const quantiles = [0.5, 0.9, 0.99].map((q) => latency.quantileMs(q));
    const values = [latency.meanMs, ...quantiles, latency.maxMs];
    return [metric.toUpperCase(), ...values.map((ms) => ms.toFixed(2))];
  });
  return [['ms', 'mean', 'p50', 'p90', 'p99', 'max'], ...rows];
}

const METRICS = ['ttft', 'tpot', 'itl', 'e2el'] as const;

/** Those there are: answers that come whole have neither a first token nor gaps. */
const metricsOf = (results: readonly BenchResult[]) =>
  METRICS.filter(
    (metric) =>
      (metric !== 'ttft' && metric !== 'itl') || results.every(({ measured }) => measured.streamed),
  );

const perSecond =
  (count: (result: BenchResult) => number) =>
  (result: BenchResult): string =>
    (result.durationMs > 0 ? count(result) / (result.durationMs / 1e3) : 0).toFixed(2);

/** Share of requests (or gaps) below each latency. */
function distributions(results: readonly BenchResult[]): string[] {
  return metricsOf(results).map((metric) => {
    const series = results.map((result): Series => {
      const latency = metricOf(result.measured, metric);
      const points =
        latency.count === 0 ? [] : STEPS.map((q) => [latency.quantileMs(q), 100 * q] as const);
      return { name: runName(result), points };
    });
    const title = `${metric.toUpperCase()}, distribution`;
    return svgChart({ title, xLabel: 'ms', yLabel: 'percent below', series, lines: true });
  });
}

const STEPS = Array.from({ length: 100 }, (_, i) => (i + 0.5) / 100);

function overTime(result: BenchResult): string[] {
  const { measured, config } = result;
  const records = measured.records.filter(({ failure }) => failure === undefined);
  if (records.length === 0) return [];
  const latencies = records.map((record) => latenciesOf(record, config.ttftMode));
  const dots = (title: string, name: string, boundMs: number | undefined, ys: number[]) =>
    svgChart({
      title,
      xLabel: 'sent at (s)',
      yLabel: 'ms',
      series: [{ name: title, points: ys.map((y, i) => [records[i]!.sentMs / 1e3, y] as const) }],
      bound: boundMs === undefined ? undefined : { name: `${name} bound`, y: boundMs },
    });
  const { slo } = config;
  const ttfts = () =>
    dots(
      'TTFT over time',
      'TTFT',
      slo?.ttftMs,
      latencies.map(({ ttftMs }) => ttftMs),
    );
  return [
    ...(measured.streamed ? [ttfts(), itlOverTime(records, result)] : []),
    dots(
      'E2E latency over time',
      'E2EL',
      slo?.e2elMs,
      latencies.map(({ e2elMs }) => e2elMs),
    ),
    throughputOverTime(records, result),
  ];
}

/** Stretches of time that a curve is made of: about so many, of a round length. */
const NUM_BINS = 40;

function binsOf({ durationMs }: BenchResult): {
  readonly lengthMs: number;
  readonly count: number;
} {
  const raw = Math.max(1, durationMs / NUM_BINS);
  const power = 10 ** Math.floor(Math.log10(raw));
  const lengthMs = [1, 2, 5, 10].map((m) => m * power).find((ms) => ms >= raw)!;
  // The last one is left out where it is not whole: what it lacks would look like a fall.
  return { lengthMs, count: Math.max(1, Math.floor(durationMs / lengthMs)) };
}

function itlOverTime(records: readonly RequestRecord[], result: BenchResult): string {
  const { lengthMs, count } = binsOf(result);
  const bins = Array.from({ length: count }, () => [] as number[]);
  for (const { chunkMs } of records) {
    for (let i = 1; i < chunkMs.length; i++) {
      bins[Math.floor(chunkMs[i]! / lengthMs)]?.push(chunkMs[i]! - chunkMs[i - 1]!);
    }
  }
  const summaries = bins.map((gaps) => summaryOf(gaps));
  const series = [0.5, 0.99].map((q) => ({
    name: `p${q * 100}`,
    points: summaries.flatMap((summary, i) =>
      summary.count === 0 ? [] : [[((i + 0.5) * lengthMs) / 1e3, summary.quantileMs(q)] as const],
    ),
  }));
  const title = 'ITL over time';
  return svgChart({ title, xLabel: 's', yLabel: 'ms between chunks', series, lines: true });
}

function throughputOverTime(records: readonly RequestRecord[], result: BenchResult): string {
  const { lengthMs, count } = binsOf(result);
  const bins = new Float64Array(count);
  for (const { chunkMs, outputTokens } of records) {
    const tokensEach = outputTokens / Math.max(1, chunkMs.length);
    for (const ms of chunkMs) {
      const bin = Math.floor(ms / lengthMs);
      if (bin < count) bins[bin]! += tokensEach;
    }
  }
  const points = [...bins].map(
    (tokens, i) => [((i + 0.5) * lengthMs) / 1e3, (tokens * 1e3) / lengthMs] as const,
  );
  const series = [{ name: 'tokens/s', points }];
  const title = 'Throughput over time';
  return svgChart({ title, xLabel: 's', yLabel: 'output tokens/s', series, lines: true });
}

/** Latency over the load that was really carried, with the bound it was to meet. */
function curves(results: readonly BenchResult[]): string[] {
  const slo = results[0]?.config.slo;
  const bounds = { ttft: slo?.ttftMs, tpot: slo?.tpotMs, e2el: slo?.e2elMs };
  const load = (result: BenchResult) => result.measured.completed / (result.durationMs / 1e3);
  return (['ttft', 'tpot', 'e2el'] as const).map((metric) =>
    svgChart({
      title: `${metric.toUpperCase()} over rate`,
      xLabel: 'requests/s completed',
      yLabel: 'ms',
      marked: true,
      bound:
        bounds[metric] === undefined
          ? undefined
          : { name: `${metric.toUpperCase()} bound`, y: bounds[metric] },
      series: [0.5, 0.99].map((q) => ({
        name: `p${q * 100}`,
        points: results
          .map((r) => [load(r), metricOf(r.measured, metric).quantileMs(q)] as const)
          .sort((a, b) => a[0] - b[0]),
      })),
    }),
  );
}
