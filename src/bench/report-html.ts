/**
 * The report of a benchmark as one HTML file: the table, distributions, what happened over time, and
 * for several runs the curve of latency over rate. No scripts, nothing to load.
 */

import { escapeXml, htmlPage, htmlTable, type Series, svgChart } from '../report/svg-chart.js';
import { latenciesOf } from './measurement.js';
import { type BenchResult, metricOf, warningsOf } from './result.js';

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
    htmlTable(tableOf(results)),
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

function tableOf(results: readonly BenchResult[]): string[][] {
  const rows: [string, (result: BenchResult) => string][] = [
    ['completed', ({ measured }) => String(measured.completed)],
    ['failed', ({ measured }) => String(measured.failed)],
    ['duration (s)', ({ durationMs }) => (durationMs / 1e3).toFixed(2)],
    ['requests/s', perSecond(({ measured }) => measured.completed)],
    ['good requests/s', (r) => (r.config.slo ? perSecond((x) => x.measured.good)(r) : '-')],
    ['output tokens/s', perSecond(({ measured }) => measured.totalOutputTokens)],
    ['input tokens/s', perSecond(({ measured }) => measured.totalInputTokens)],
  ];
  const header = ['', ...results.map((r) => (results.length > 1 ? runName(r) : 'value'))];
  return [
    header,
    ...rows.map(([name, value]) => [name, ...results.map(value)]),
    ...METRICS.flatMap((metric) =>
      [0.5, 0.9, 0.99].map((q) => [
        `${metric.toUpperCase()} p${q * 100} (ms)`,
        ...results.map(({ measured }) => metricOf(measured, metric).quantileMs(q).toFixed(2)),
      ]),
    ),
  ];
}

const METRICS = ['ttft', 'tpot', 'itl', 'e2el'] as const;

const perSecond =
  (count: (result: BenchResult) => number) =>
  (result: BenchResult): string =>
    (result.durationMs > 0 ? count(result) / (result.durationMs / 1e3) : 0).toFixed(2);

/** Share of requests (or gaps) below each latency. */
function distributions(results: readonly BenchResult[]): string[] {
  return METRICS.map((metric) => {
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

function overTime({ measured, config }: BenchResult): string[] {
  const records = measured.records.filter(({ failure }) => failure === undefined);
  if (records.length === 0) return [];
  const at = (value: (i: number) => number | undefined) =>
    records.flatMap((record, i) => {
      const y = value(i);
      return y === undefined ? [] : [[record.sentMs / 1e3, y] as const];
    });
  const latencies = records.map((record) => latenciesOf(record, config.ttftMode));
  const chunks = new Map<number, number>();
  for (const { chunkMs } of records) {
    for (const ms of chunkMs)
      chunks.set(Math.floor(ms / 1e3), (chunks.get(Math.floor(ms / 1e3)) ?? 0) + 1);
  }
  const throughput = [...chunks].sort((a, b) => a[0] - b[0]);
  const dots = (title: string, points: Series['points']) =>
    svgChart({ title, xLabel: 'sent at (s)', yLabel: 'ms', series: [{ name: title, points }] });
  return [
    dots(
      'TTFT over time',
      at((i) => latencies[i]!.ttftMs),
    ),
    dots(
      'Mean ITL of a request over time',
      at((i) => latencies[i]!.tpotMs),
    ),
    dots(
      'E2E latency over time',
      at((i) => latencies[i]!.e2elMs),
    ),
    svgChart({
      title: 'Throughput over time',
      xLabel: 's',
      yLabel: 'tokens/s',
      series: [{ name: 'tokens/s', points: throughput }],
      lines: true,
    }),
  ];
}

/** Latency over the load that was really carried. */
function curves(results: readonly BenchResult[]): string[] {
  const load = (result: BenchResult) => result.measured.completed / (result.durationMs / 1e3);
  return (['ttft', 'tpot', 'e2el'] as const).map((metric) =>
    svgChart({
      title: `${metric.toUpperCase()} over rate`,
      xLabel: 'requests/s completed',
      yLabel: 'ms',
      lines: true,
      series: [0.5, 0.99].map((q) => ({
        name: `p${q * 100}`,
        points: results
          .map((r) => [load(r), metricOf(r.measured, metric).quantileMs(q)] as const)
          .sort((a, b) => a[0] - b[0]),
      })),
    }),
  );
}
