/** The lengths a run was made of: how they are spread, and whether long prompts get long answers. */

import type { Chart, Point } from '../report/chart-spec.js';
import { ChartDrawer, loadVega } from '../report/chart-svg.js';
import { htmlPage, htmlTable } from '../report/html-page.js';
import type { BenchResult } from './result.js';
import { summaryOf } from './samples.js';

interface Lengths {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** Of answered requests: what was asked of the others is in no answer. */
export function lengthsOf({ measured }: BenchResult): Lengths {
  const answered = measured.records.filter(({ failure }) => failure === undefined);
  return {
    inputs: answered.map(({ promptTokens }) => promptTokens),
    outputs: answered.map(({ outputTokens }) => outputTokens),
  };
}

export function lengthCharts({ inputs, outputs }: Lengths): Chart[] {
  const requests = 'requests';
  return [
    {
      title: 'Input lengths',
      ...{ xLabel: 'tokens', yLabel: requests, drawnAs: 'histogram' },
      series: [{ name: requests, points: histogram(inputs) }],
    },
    {
      title: 'Output lengths',
      ...{ xLabel: 'tokens', yLabel: requests, drawnAs: 'histogram' },
      series: [{ name: requests, points: histogram(outputs) }],
    },
    {
      title: 'Output over input',
      ...{ xLabel: 'input tokens', yLabel: 'output tokens', drawnAs: 'dots' },
      series: [{ name: requests, points: inputs.map((n, i): Point => [n, outputs[i]!]) }],
    },
    {
      title: 'Share of requests up to a length',
      ...{ xLabel: 'tokens', yLabel: 'percent', drawnAs: 'lines' },
      series: [
        { name: 'input', points: shares(inputs) },
        { name: 'output', points: shares(outputs) },
      ],
    },
  ];
}

const NUM_BINS = 40;

/** Where each bin of whole lengths begins, and how many are in it; the end of the last with none. */
export function histogram(lengths: readonly number[]): Point[] {
  if (lengths.length === 0) return [];
  const low = lengths.reduce((a, b) => Math.min(a, b));
  const high = lengths.reduce((a, b) => Math.max(a, b));
  const width = Math.max(1, Math.ceil((high - low + 1) / NUM_BINS));
  const counts = new Array<number>(Math.ceil((high - low + 1) / width)).fill(0);
  for (const length of lengths) counts[Math.floor((length - low) / width)]!++;
  return [...counts, 0].map((count, i) => [low + i * width, count]);
}

const shares = (lengths: readonly number[]): Point[] =>
  lengths.toSorted((a, b) => a - b).map((length, i) => [length, (100 * (i + 1)) / lengths.length]);

export async function datasetStatsHtml(result: BenchResult, load = loadVega): Promise<string> {
  const lengths = lengthsOf(result);
  const drawer = await ChartDrawer.open(load);
  const title = `Lengths of ${result.config.dataset}`;
  const row = (name: string, values: readonly number[]) => {
    const { meanMs: mean, stdMs: std, minMs: min, quantileMs, maxMs: max } = summaryOf(values);
    const shown = [mean, std, min, quantileMs(0.5), quantileMs(0.99), max];
    return [name, ...shown.map((value) => value.toFixed(1))];
  };
  const table = htmlTable([
    ['tokens', 'mean', 'std', 'min', 'p50', 'p99', 'max'],
    row('input', lengths.inputs),
    row('output', lengths.outputs),
  ]);
  const body = [`<h1>Lengths</h1>`, table, drawer.note, await drawer.row(lengthCharts(lengths))];
  return htmlPage(title, body.join('\n'));
}
