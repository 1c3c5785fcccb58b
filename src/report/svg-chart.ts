/**
 * Charts as SVG text, without a library: lines or points over two axes, a legend, nothing else. Colours
 * follow the page's (`currentColor`), so a report reads in light and dark.
 */

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /** Lines between the points; otherwise dots. */
  readonly lines?: boolean;
  /** Lines with a dot at every point: few points, each of them measured. */
  readonly marked?: boolean;
  /** A bound, drawn across. */
  readonly bound?: { readonly name: string; readonly y: number } | undefined;
}

const WIDTH = 520;
const HEIGHT = 280;
const LEFT = 64;
const RIGHT = 16;
const TITLE_ROW = 34;
const LEGEND_ROW = 16;
const BOTTOM = 44;
const COLOURS = ['#3b76c4', '#d9722c', '#3f9c57', '#a34fb0', '#b23a48', '#5f6b7a'];
/** More points than this say no more on a few hundred pixels. */
const MOST_POINTS = 2_000;

export function svgChart(chart: Chart): string {
  const series = chart.series.map((one) => ({ ...one, points: thinned(one.points) }));
  const all = series
    .flatMap(({ points }) => points)
    .filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
  const legend = series.length > 1 ? legendOf(series.map(({ name }) => name)) : NO_LEGEND;
  const top = TITLE_ROW + legend.height;
  const xs = axis(all.map(([x]) => x));
  const ys = axis([0, ...(chart.bound ? [chart.bound.y] : []), ...all.map(([, y]) => y)]);
  const sx = (x: number) => LEFT + ((x - xs.low) / (xs.high - xs.low)) * (WIDTH - LEFT - RIGHT);
  const sy = (y: number) =>
    HEIGHT - BOTTOM - ((y - ys.low) / (ys.high - ys.low)) * (HEIGHT - top - BOTTOM);
  const at = (x: number, y: number) => `${sx(x).toFixed(1)},${sy(y).toFixed(1)}`;
  const across = (y: number, kind: string) =>
    `<path d="M${LEFT},${sy(y).toFixed(1)}H${WIDTH - RIGHT}" class="${kind}"/>`;
  const grid = ys.ticks.map(
    (y) =>
      `${across(y, 'grid')}<text x="${LEFT - 6}" y="${(sy(y) + 4).toFixed(1)}" text-anchor="end">${tick(y)}</text>`,
  );
  const bottom = xs.ticks.map(
    (x) =>
      `<text x="${sx(x).toFixed(1)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${tick(x)}</text>`,
  );
  const bound = chart.bound
    ? [
        across(chart.bound.y, 'bound'),
        `<text x="${WIDTH - RIGHT}" y="${(sy(chart.bound.y) - 4).toFixed(1)}" text-anchor="end">${escapeXml(chart.bound.name)}</text>`,
      ]
    : [];
  const marks = series.flatMap(({ points }, i) => {
    const path = points.map(([x, y]) => at(x, y)).join(' ');
    const line = `<polyline points="${path}" fill="none" ${strokeOf(i)} stroke-width="1.8"/>`;
    const dots = points.map(([x, y]) => `M${at(x, y)}h0`).join('');
    const dotted = (width: number, opacity: number) =>
      `<path d="${dots}" stroke="${colourOf(i)}" stroke-width="${width}" stroke-linecap="round" opacity="${opacity}"/>`;
    if (chart.marked) return [line, dotted(6, 1)];
    return chart.lines ? [line] : [dotted(4, 0.6)];
  });
  return [
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeXml(chart.title)}">`,
    `<text x="${LEFT}" y="18" class="title">${escapeXml(chart.title)}</text>`,
    ...legend.entries,
    ...grid,
    ...bottom,
    ...bound,
    ...marks,
    `<text x="${(WIDTH + LEFT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${escapeXml(chart.xLabel)}</text>`,
    `<text transform="translate(14 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">${escapeXml(chart.yLabel)}</text>`,
    '</svg>',
  ].join('\n');
}

const colourOf = (i: number): string => COLOURS[i % COLOURS.length]!;

/** When colours come again, lines are dashed. */
function strokeOf(i: number): string {
  const turn = Math.floor(i / COLOURS.length);
  const dash = turn > 0 ? ` stroke-dasharray="${6 / turn} 3"` : '';
  return `stroke="${colourOf(i)}"${dash}`;
}

interface Legend {
  readonly entries: readonly string[];
  /** What it takes below the title. */
  readonly height: number;
}

const NO_LEGEND: Legend = { entries: [], height: 0 };
const MOST_NAMED = 18;
const CHAR_WIDTH = 6.2;

/** Names in rows between title and plot, where no line can cross them. */
function legendOf(names: readonly string[]): Legend {
  const entries: string[] = [];
  let x = LEFT;
  let row = 0;
  for (const [i, name] of names.slice(0, MOST_NAMED).entries()) {
    const width = 20 + CHAR_WIDTH * name.length + 14;
    if (x > LEFT && x + width > WIDTH - RIGHT) {
      x = LEFT;
      row++;
    }
    const y = TITLE_ROW + LEGEND_ROW * row;
    entries.push(
      `<path d="M${x},${y - 4}h14" ${strokeOf(i)} stroke-width="3"/>` +
        `<text x="${x + 20}" y="${y}">${escapeXml(name)}</text>`,
    );
    x += width;
  }
  return { entries, height: LEGEND_ROW * (row + 1) };
}

function thinned<T>(points: readonly T[]): readonly T[] {
  const step = Math.ceil(points.length / MOST_POINTS);
  return step <= 1 ? points : points.filter((_, i) => i % step === 0 || i === points.length - 1);
}

interface Axis {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
}

/** Round bounds around the values, and four to eight ticks at 1, 2 or 5 times a power of ten. */
function axis(values: readonly number[]): Axis {
  const low = values.length > 0 ? values.reduce((a, b) => Math.min(a, b)) : 0;
  const top = values.length > 0 ? values.reduce((a, b) => Math.max(a, b)) : 1;
  const high = top > low ? top : low + 1;
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw)!;
  const first = Math.floor(low / step);
  const last = Math.ceil(high / step);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { low: first * step, high: last * step, ticks };
}

const tick = (value: number): string => String(Number(value.toPrecision(6)));

export const escapeXml = (text: string): string =>
  text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** A page of its own around a body: no scripts, no files beside it. */
export const htmlPage = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(title)}</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1120px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.charts { display: grid; margin: 1.5rem 0; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; }
svg text { fill: currentColor; } svg .title { font-size: 14px; font-weight: 600; }
svg .grid { stroke: currentColor; opacity: .15; }
svg .bound { stroke: currentColor; opacity: .6; stroke-dasharray: 5 4; }
.tables { display: flex; flex-wrap: wrap; gap: 1rem 4rem; align-items: start; margin-bottom: 1.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .15rem .8rem .15rem 0; text-align: right; }
td:first-child, th:first-child { text-align: left; }
.warning { border-left: 3px solid #d9722c; padding-left: .7rem; }
</style>
</head>
<body>
${body}
</body>
</html>
`;

/** The first row is the header. */
export function htmlTable(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeXml(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>\n${rows.map((row, i) => line(row, i === 0 ? 'th' : 'td')).join('\n')}\n</table>`;
}
