/**
 * The report of a benchmark as one HTML file: the table, distributions, what happened over time, and
 * for several runs the curve of latency over rate. No scripts, nothing to load.
 */

import { ChartDrawer, loadVega } from '../report/chart-svg.js';
import { escapeXml, htmlPage, htmlTable, paragraph } from '../report/html-page.js';
import { healthLine } from './client-health.js';
import { failureLine } from './failures.js';
import { curves, distributions, overTime, toldLatencies } from './report-charts.js';
import { type BenchResult, metricOf, runName, sendLagOf, warningsOf } from './result.js';

export async function reportHtml(
  results: readonly BenchResult[],
  load = loadVega,
): Promise<string> {
  const { config } = results[0]!;
  const title = `${config.model} at ${config.url}`;
  const drawer = await ChartDrawer.open(load);
  const body = [
    `<h1>${escapeXml(title)}</h1>`,
    paragraph(
      `${config.backend}, data set ${config.dataset}, seed ${config.seed}, ${config.date.toISOString()}`,
    ),
    drawer.note,
    tables(results),
    await drawer.row([...(results.length > 1 ? curves(results) : []), ...distributions(results)]),
  ];
  for (const result of results) {
    if (results.length > 1) body.push(`<h2>${escapeXml(runName(result))}</h2>`);
    body.push(notes(result), await drawer.row(overTime(result)));
  }
  return htmlPage(title, body.join('\n'));
}

function notes(result: BenchResult): string {
  const failures = result.measured.failures.map(failureLine);
  return [
    paragraph(healthLine(result.health, sendLagOf(result))),
    ...[...failures, ...warningsOf(result)].map((text) => paragraph(text, 'warning')),
  ].join('\n');
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
  toldLatencies(results).flatMap((metric) =>
    [0.5, 0.9, 0.99].map((q) => [
      `${metric.toUpperCase()} p${q * 100} (ms)`,
      ...results.map(({ measured }) => metricOf(measured, metric).quantileMs(q).toFixed(2)),
    ]),
  );

function latencies(result: BenchResult): string[][] {
  const { measured } = result;
  const rows = toldLatencies([result]).map((metric) => {
    const latency = metricOf(measured, metric);
    const quantiles = [0.5, 0.9, 0.99].map((q) => latency.quantileMs(q));
    const values = [latency.meanMs, ...quantiles, latency.maxMs];
    return [metric.toUpperCase(), ...values.map((ms) => ms.toFixed(2))];
  });
  return [['ms', 'mean', 'p50', 'p90', 'p99', 'max'], ...rows];
}

const perSecond =
  (count: (result: BenchResult) => number) =>
  (result: BenchResult): string =>
    (result.durationMs > 0 ? count(result) / (result.durationMs / 1e3) : 0).toFixed(2);
