/**
 * A run as a timeline: a row for each request, in the order of the load; the wait for its first chunk,
 * then its gaps, coloured by how long they were. Gaps of one colour in a row are one bar, so that a page
 * stays small; of more requests than can be told apart every n-th has a row.
 */

import type { TopLevelSpec } from 'vega-lite';
import { CHART_CONFIG, CHART_WIDTH } from '../report/chart-spec.js';
import { ChartDrawer, loadVega } from '../report/chart-svg.js';
import { htmlPage, paragraph } from '../report/html-page.js';
import { inLoadOrder } from './measurement.js';
import type { RequestRecord } from './request.js';
import type { BenchResult } from './result.js';

/** Bounds between the colours of gaps, in ms, ascending. */
const USUAL_THRESHOLDS: readonly number[] = [25, 50];

export interface Bar {
  readonly row: number;
  readonly fromS: number;
  readonly toS: number;
  /** What it stands for: a name of `kindsOf`. */
  readonly kind: string;
}

const WAIT = 'waiting';
const FAILED = 'failed';
const WAIT_COLOUR = '#8a94a3';
const FAILED_COLOUR = 'currentColor';
/** From a short gap to a long one. */
const COLOURS = ['#3f9c57', '#d9a22c', '#d9572c', '#b23a48', '#7a2a5e', '#3b2a6e'];

/** Thresholds there can be, a colour before, between and after them. */
export const MOST_THRESHOLDS = COLOURS.length - 1;

/** What bars stand for, and their colours. */
export function kindsOf(thresholds: readonly number[]): { name: string; colour: string }[] {
  const gaps = [...thresholds, Infinity].map((to, i) => {
    const from = thresholds[i - 1];
    if (from === undefined) return `gap < ${to} ms`;
    return to === Infinity ? `gap ≥ ${from} ms` : `gap ${from}–${to} ms`;
  });
  return [
    { name: WAIT, colour: WAIT_COLOUR },
    ...gaps.map((name, i) => ({ name, colour: COLOURS[i]! })),
    { name: FAILED, colour: FAILED_COLOUR },
  ];
}

export function barsOf(records: readonly RequestRecord[], thresholds: readonly number[]): Bar[] {
  const kinds = kindsOf(thresholds).map(({ name }) => name);
  return records.flatMap((record, row) => {
    const { sentMs, endedMs, failure } = record;
    const bar = (fromMs: number, toMs: number, kind: string): Bar => ({
      ...{ row, fromS: fromMs / 1e3, toS: toMs / 1e3, kind },
    });
    if (failure) return [bar(sentMs, endedMs, FAILED)];
    const [first = endedMs, ...rest] = record.chunkMs;
    const bars = [bar(sentMs, first, WAIT)];
    let fromMs = first;
    for (const atMs of rest) {
      const longer = thresholds.filter((ms) => atMs - fromMs >= ms).length;
      const kind = kinds[1 + longer]!;
      const last = bars.at(-1)!;
      if (last.kind === kind) bars[bars.length - 1] = { ...last, toS: atMs / 1e3 };
      else bars.push(bar(fromMs, atMs, kind));
      fromMs = atMs;
    }
    return bars;
  });
}

const ROW_HEIGHT = 6;
const LEAST_HEIGHT = 240;
const MOST_ROWS = 400;
/** Of bars in one page. */
const MOST_BARS = 30_000;

export function timelineSpec(
  bars: readonly Bar[],
  numRows: number,
  thresholds: readonly number[],
): TopLevelSpec {
  const kinds = kindsOf(thresholds);
  const scale = { domain: kinds.map(({ name }) => name), range: kinds.map(({ colour }) => colour) };
  return {
    width: 2 * CHART_WIDTH,
    height: Math.max(LEAST_HEIGHT, ROW_HEIGHT * numRows),
    autosize: { type: 'fit', contains: 'padding' },
    data: { values: bars.map((bar) => ({ ...bar, to: bar.row + 0.85 })) },
    mark: { type: 'rect' },
    encoding: {
      x: { field: 'fromS', type: 'quantitative', title: 's', axis: { orient: 'top' } },
      x2: { field: 'toS' },
      y: {
        field: 'row',
        type: 'quantitative',
        title: 'requests, in the order of the load',
        scale: { reverse: true, domain: [0, numRows], nice: false },
        axis: { labels: false, ticks: false, grid: false },
      },
      y2: { field: 'to' },
      color: { field: 'kind', type: 'nominal', title: null, scale, legend: { orient: 'top' } },
    },
    config: CHART_CONFIG,
  };
}

function nth(n: number): string {
  const ending = n % 100 > 10 && n % 100 < 14 ? undefined : ['th', 'st', 'nd', 'rd'][n % 10];
  return `${n}${ending ?? 'th'}`;
}

export async function timelineHtml(
  result: BenchResult,
  thresholds: readonly number[] = USUAL_THRESHOLDS,
  load = loadVega,
): Promise<string> {
  const all = inLoadOrder(result.measured.records);
  let each = Math.ceil(all.length / MOST_ROWS);
  let shown = all.filter((_, i) => i % each === 0);
  let bars = barsOf(shown, thresholds);
  while (bars.length > MOST_BARS && shown.length > 1) {
    each *= 2;
    shown = all.filter((_, i) => i % each === 0);
    bars = barsOf(shown, thresholds);
  }
  const drawer = await ChartDrawer.open(load);
  const title = `Timeline of ${result.config.model} at ${result.config.url}`;
  const body = [
    `<h1>Timeline</h1>`,
    paragraph(`${all.length} requests${each > 1 ? `, every ${nth(each)} of them shown` : ''}.`),
    drawer.note,
    await drawer.chart('Timeline', timelineSpec(bars, shown.length, thresholds)),
  ];
  return htmlPage(title, body.join('\n'));
}
