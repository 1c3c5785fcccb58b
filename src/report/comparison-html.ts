/** The comparison of result files as one HTML file: changes, and quantiles of each latency. */

import type { Chart } from './chart-spec.js';
import { ChartDrawer, loadVega } from './chart-svg.js';
import { htmlPage, htmlTable } from './html-page.js';
import { comparisonRows } from './result-comparison.js';
import { LATENCIES, quantilePoints, type SavedResult } from './saved-result.js';

export async function comparisonHtml(
  results: readonly SavedResult[],
  load = loadVega,
): Promise<string> {
  const drawer = await ChartDrawer.open(load);
  const body = [
    '<h1>Comparison</h1>',
    drawer.note,
    htmlTable(
      comparisonRows(
        results,
        results.map(({ name }) => name),
      ),
    ),
    await drawer.row(LATENCIES.flatMap((metric) => quantileChart(results, metric))),
  ].join('\n');
  return htmlPage('Comparison', body);
}

function quantileChart(
  results: readonly SavedResult[],
  metric: (typeof LATENCIES)[number],
): Chart[] {
  const series = results.map((result) => ({
    name: result.name,
    points: quantilePoints(result, metric).map(([percent, ms]) => [ms, percent] as const),
  }));
  if (series.every(({ points }) => points.length === 0)) return [];
  const title = metric.toUpperCase();
  return [{ title, xLabel: 'ms', yLabel: 'percent below', series, drawnAs: 'marked lines' }];
}
