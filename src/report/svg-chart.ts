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
}

const WIDTH = 520;
const HEIGHT = 280;
const LEFT = 64;
const RIGHT = 16;
const TOP = 34;
const BOTTOM = 44;
const COLOURS = ['#3b76c4', '#d9722c', '#3f9c57', '#a34fb0', '#b23a48', '#5f6b7a'];
/** More points than this say no more on a few hundred pixels. */
const MOST_POINTS = 2_000;

export function svgChart(chart: Chart): string {
  const series = chart.series.map((one) => ({ ...one, points: thinned(one.points) }));
  const all = series
    .flatMap(({ points }) => points)
    .filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
  const xs = axis(all.map(([x]) => x));
  const ys = axis([0, ...all.map(([, y]) => y)]);
  const sx = (x: number) => LEFT + ((x - xs.low) / (xs.high - xs.low)) * (WIDTH - LEFT - RIGHT);
  const sy = (y: number) =>
    HEIGHT - BOTTOM - ((y - ys.low) / (ys.high - ys.low)) * (HEIGHT - TOP - BOTTOM);
  const at = (x: number, y: number) => `${sx(x).toFixed(1)},${sy(y).toFixed(1)}`;
  const grid = ys.ticks.map(
    (y) =>
      `<path d="M${LEFT},${sy(y).toFixed(1)}H${WIDTH - RIGHT}" class="grid"/>` +
      `<text x="${LEFT - 6}" y="${(sy(y) + 4).toFixed(1)}" text-anchor="end">${tick(y)}</text>`,
  );
  const bottom = xs.ticks.map(
    (x) =>
      `<text x="${sx(x).toFixed(1)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${tick(x)}</text>`,
  );
  const marks = series.map(({ points }, i) => {
    const colour = COLOURS[i % COLOURS.length];
    if (chart.lines) {
      const path = points.map(([x, y]) => at(x, y)).join(' ');
      return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.8"/>`;
    }
    const dots = points.map(([x, y]) => `M${at(x, y)}h0`).join('');
    return `<path d="${dots}" stroke="${colour}" stroke-width="4" stroke-linecap="round" opacity=".6"/>`;
  });
  const legend = series.length > 1 ? series.map(({ name }, i) => legendEntry(name, i)) : [];
  return [
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeXml(chart.title)}">`,
    `<text x="${LEFT}" y="18" class="title">${escapeXml(chart.title)}</text>`,
    ...grid,
    ...bottom,
    ...marks,
    `<text x="${(WIDTH + LEFT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${escapeXml(chart.xLabel)}</text>`,
    `<text transform="translate(14 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">${escapeXml(chart.yLabel)}</text>`,
    ...legend,
    '</svg>',
  ].join('\n');
}

function legendEntry(name: string, i: number): string {
  const y = TOP + 4 + 16 * i;
  const colour = COLOURS[i % COLOURS.length];
  return (
    `<path d="M${WIDTH - RIGHT - 12},${y}h12" stroke="${colour}" stroke-width="3"/>` +
    `<text x="${WIDTH - RIGHT - 18}" y="${y + 4}" text-anchor="end">${escapeXml(name)}</text>`
  );
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
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; }
svg text { fill: currentColor; } svg .title { font-size: 14px; font-weight: 600; }
svg .grid { stroke: currentColor; opacity: .15; }
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
