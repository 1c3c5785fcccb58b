/**
 * Charts as values, and the Vega-Lite specification of each: lines or dots over two axes, a bound, a
 * legend above the plot where no line can cross it. What a chart looks like is decided here, as JSON;
 * `chart-svg.ts` has it drawn.
 *
 * Text, axes and grid are `currentColor` and nothing is painted behind them, so a page reads in light and
 * dark. A specification is a function of its chart: the same chart is the same SVG, byte for byte.
 */

import type { TopLevelSpec } from 'vega-lite';

type Layered = Extract<TopLevelSpec, { layer: unknown }>;
type Layer = Layered['layer'][number];

export type Point = readonly [x: number, y: number];

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /**
   * Dots; lines; lines with a dot at every point: few points, each of them measured; or a histogram, a
   * point where each bin begins and one where the last ends.
   */
  readonly drawnAs: 'dots' | 'lines' | 'marked lines' | 'histogram';
  /** A limit, drawn across. */
  readonly bound?: { readonly name: string; readonly y: number } | undefined;
}

export const CHART_WIDTH = 520;
const HEIGHT = 280;
const COLOURS = ['#3b76c4', '#d9722c', '#3f9c57', '#a34fb0', '#b23a48', '#5f6b7a'];
const INK = 'currentColor';
/** More points than this say no more on a few hundred pixels. */
const MOST_POINTS = 1_000;
const MOST_NAMED = 18;

export function chartSpec(chart: Chart): Layered {
  const legend = chart.series.length > 1 ? legendOf(chart.series) : undefined;
  return {
    width: CHART_WIDTH,
    height: HEIGHT + LEGEND_ROW * (legend?.numRows ?? 0),
    autosize: { type: 'fit', contains: 'padding' },
    title: chart.title,
    data: { values: valuesOf(chart) },
    layer: [...marksOf(chart, legend?.spec ?? null), ...boundOf(chart)],
    config: CHART_CONFIG,
  };
}

/** How charts of reports look. */
export const CHART_CONFIG: NonNullable<Layered['config']> = {
  background: 'transparent',
  font: 'system-ui, sans-serif',
  // A chart is one image with a name (`figure` of html-page.ts), not a thing to walk through.
  aria: false,
  view: { stroke: null },
  title: { aria: false, color: INK, fontSize: 14, anchor: 'start', offset: 8 },
  axis: {
    labelColor: INK,
    labelFontSize: 11,
    labelFlush: false,
    titleColor: INK,
    titleFontSize: 11,
    titleFontWeight: 'normal',
    gridColor: INK,
    gridOpacity: 0.15,
    domainColor: INK,
    domainOpacity: 0.4,
    tickColor: INK,
    tickOpacity: 0.4,
    tickCount: 6,
  },
  axisX: { grid: false },
  legend: { labelColor: INK, labelFontSize: 11, symbolStrokeWidth: 2.5, symbolSize: 160 },
};

interface Datum {
  readonly x: number;
  readonly y: number;
  /** Position of its series: two may have one name. */
  readonly series: number;
}

const valuesOf = ({ series, drawnAs }: Chart): Datum[] =>
  series.flatMap(({ points }, i) => {
    const finite = points.filter((point) => point.every(Number.isFinite));
    return thinned(finite, drawnAs).map(([x, y]) => ({ x, y, series: i }));
  });

/**
 * The lowest and the highest of each stretch: what a reader looks for in a cloud of dots is its outliers.
 * The ends of a line stay.
 */
function thinned(points: readonly Point[], drawnAs: Chart['drawnAs']): readonly Point[] {
  if (points.length <= MOST_POINTS) return points;
  const ordered = drawnAs === 'dots' ? points.toSorted(([a], [b]) => a - b) : points;
  const length = Math.ceil((2 * ordered.length) / MOST_POINTS);
  const kept = new Set([ordered[0]!, ordered.at(-1)!]);
  for (let from = 0; from < ordered.length; from += length) {
    const stretch = ordered.slice(from, from + length);
    kept.add(stretch.reduce((a, b) => (b[1] < a[1] ? b : a)));
    kept.add(stretch.reduce((a, b) => (b[1] > a[1] ? b : a)));
  }
  return ordered.filter((point) => kept.has(point));
}

function marksOf({ series, drawnAs, xLabel, yLabel }: Chart, legend: object | null): Layer[] {
  const domain = series.map((_, i) => i);
  const bySeries = { field: 'series', type: 'nominal', title: null, legend } as const;
  const axes = {
    x: { field: 'x', type: 'quantitative', title: xLabel, scale: { zero: false } },
    y: { field: 'y', type: 'quantitative', title: yLabel },
    color: { ...bySeries, scale: { domain, range: domain.map(colourOf) } },
  } as const;
  const strokeDash = { ...bySeries, scale: { domain, range: domain.map(dashOf) } };
  const line: Layer = {
    mark: { type: 'line', strokeWidth: 1.8 },
    encoding: { ...axes, strokeDash },
  };
  const dots = (size: number, opacity: number): Layer => ({
    mark: { type: 'circle', size, opacity },
    encoding: axes,
  });
  const bins: Layer = {
    mark: { type: 'area', interpolate: 'step-after', opacity: 0.7 },
    encoding: axes,
  };
  return {
    dots: [dots(14, 0.6)],
    lines: [line],
    'marked lines': [line, dots(32, 1)],
    histogram: [bins],
  }[drawnAs];
}

const colourOf = (i: number): string => COLOURS[i % COLOURS.length]!;

/** When colours come again, lines are dashed. */
function dashOf(i: number): number[] {
  const turn = Math.floor(i / COLOURS.length);
  return turn === 0 ? [1, 0] : [6 / turn, 3];
}

function boundOf({ bound }: Chart): Layer[] {
  if (!bound) return [];
  const data = { values: [{}] };
  const y = { datum: bound.y, type: 'quantitative' } as const;
  return [
    {
      data,
      mark: { type: 'rule', color: INK, opacity: 0.6, strokeDash: [5, 4] },
      encoding: { y },
    },
    {
      data,
      mark: { type: 'text', text: bound.name, color: INK, align: 'right', dy: -6 },
      encoding: { x: { value: 'width' }, y },
    },
  ];
}

const LEGEND_ROW = 16;
/** As Vega takes it where it cannot measure a text: 0.8 of the font's size. */
const CHAR_WIDTH = 0.8 * 11;
/** With the room around it. */
const SYMBOL_WIDTH = 34;
/** What the axis takes of the width, roughly. */
const AXIS_WIDTH = 60;

/** Names in columns as wide as the longest of them. */
function legendOf(series: readonly Series[]): { spec: object; numRows: number } {
  const names = series.slice(0, MOST_NAMED).map(({ name }) => name);
  const longest = Math.max(...names.map(({ length }) => length));
  const room = CHART_WIDTH - AXIS_WIDTH;
  const columns = Math.max(1, Math.floor(room / (CHAR_WIDTH * longest + SYMBOL_WIDTH)));
  const spec = {
    orient: 'top',
    columns,
    symbolType: 'stroke',
    symbolOpacity: 1,
    values: names.map((_, i) => i),
    labelExpr: `${JSON.stringify(names)}[datum.value]`,
    labelLimit: room - SYMBOL_WIDTH,
  };
  return { spec, numRows: Math.ceil(names.length / columns) };
}
