/** The comparison of result files as one HTML file: changes, and quantiles of each latency. */

import { grouped, short } from './format.js';
import { compareResults } from './result-comparison.js';
import { LATENCIES, quantilePoints, type SavedResult } from './saved-result.js';
import { htmlPage, htmlTable, svgChart } from './svg-chart.js';

export function comparisonHtml(results: readonly SavedResult[]): string {
  const cell = (value: number | undefined) =>
    value === undefined ? '-' : Number.isInteger(value) ? grouped(value) : short(value);
  const rows = compareResults(results).map(({ key, values, changes }) => [
    key,
    ...values.flatMap((value, i) => {
      const change = changes[i];
      const percent = change === undefined ? '-' : `${(change * 100).toFixed(1)} %`;
      return i === 0 ? [cell(value)] : [cell(value), percent];
    }),
  ]);
  const header = ['', ...results.flatMap(({ name }, i) => (i === 0 ? [name] : [name, 'change']))];
  const charts = LATENCIES.map((metric) => {
    const series = results.map((result) => ({
      name: result.name,
      points: quantilePoints(result, metric).map(([percent, ms]) => [ms, percent] as const),
    }));
    if (series.every(({ points }) => points.length === 0)) return '';
    const name = metric.toUpperCase();
    return svgChart({ title: name, xLabel: 'ms', yLabel: 'percent below', series, lines: true });
  });
  const body = `<h1>Comparison</h1>\n${htmlTable([header, ...rows])}\n<div class="charts">\n${charts.join('\n')}\n</div>`;
  return htmlPage('Comparison', body);
}
