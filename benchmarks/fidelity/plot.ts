/** Predicted against measured as an SVG: one panel per metric, both axes logarithmic, a band of ±10 %. */

import type { Residual } from './residuals.js';

const SIZE = 300;
const MARGIN = 46;
const COLORS = [
  '#4269d0',
  '#efb118',
  '#ff725c',
  '#6cc5b0',
  '#3ca951',
  '#ff8ab7',
  '#a463f2',
  '#97bbf5',
  '#9c6b4e',
  '#9498a0',
];

export function scatterPlot(residuals: readonly Residual[]): string {
  const metrics = [...new Set(residuals.map((r) => r.comparison.metric))].sort();
  const sources = [...new Set(residuals.map((r) => r.case.source))].sort();
  const columns = Math.min(3, metrics.length);
  const width = columns * (SIZE + MARGIN) + MARGIN;
  const legendRows = Math.ceil(sources.length / 4);
  const height = Math.ceil(metrics.length / columns) * (SIZE + MARGIN + 24) + 24 + legendRows * 18;
  const panels = metrics.map((metric, i) => {
    const x = MARGIN + (i % columns) * (SIZE + MARGIN);
    const y = 24 + Math.floor(i / columns) * (SIZE + MARGIN + 24);
    return panel(
      metric,
      residuals.filter((r) => r.comparison.metric === metric),
      sources,
      x,
      y,
    );
  });
  const legend = sources.map((source, i) => {
    const x = MARGIN + (i % 4) * (width / 4.2);
    const y = height - legendRows * 18 + Math.floor(i / 4) * 18;
    return `<circle cx="${x.toFixed(0)}" cy="${y}" r="4" fill="${color(i)}"/><text x="${(x + 8).toFixed(0)}" y="${y + 4}">${source}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="11">`,
    '<title>Predicted against measured, by metric and source</title>',
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...panels,
    ...legend,
    '</svg>\n',
  ].join('\n');
}

const color = (i: number): string => COLORS[i % COLORS.length]!;

function panel(
  metric: string,
  residuals: readonly Residual[],
  sources: readonly string[],
  x: number,
  y: number,
): string {
  const values = residuals.flatMap((r) => [r.predicted, r.comparison.measured]).map(Math.log10);
  const low = Math.floor(Math.min(...values));
  const high = Math.ceil(Math.max(...values));
  const at = (value: number): number => ((Math.log10(value) - low) / (high - low)) * SIZE;
  const point = (measured: number, predicted: number): string =>
    `${(x + at(measured)).toFixed(1)},${(y + SIZE - at(predicted)).toFixed(1)}`;
  const line = (factor: number, style: string): string =>
    `<polyline points="${point(10 ** low, factor * 10 ** low)} ${point(10 ** high, factor * 10 ** high)}" fill="none" ${style}/>`;
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => low + i).map((e) => {
    const px = (x + at(10 ** e)).toFixed(1);
    const py = (y + SIZE - at(10 ** e)).toFixed(1);
    return `<text x="${px}" y="${y + SIZE + 14}" text-anchor="middle">${10 ** e}</text><text x="${x - 4}" y="${py}" text-anchor="end">${10 ** e}</text>`;
  });
  const dots = residuals.map((r) => {
    const [cx, cy] = point(r.comparison.measured, r.predicted).split(',');
    return `<circle cx="${cx}" cy="${cy}" r="2" fill="${color(sources.indexOf(r.case.source))}" fill-opacity="0.5"/>`;
  });
  return [
    `<text x="${x}" y="${y - 8}" font-weight="bold">${metric}: predicted (up) against measured</text>`,
    `<rect x="${x}" y="${y}" width="${SIZE}" height="${SIZE}" fill="none" stroke="#999"/>`,
    line(1, 'stroke="#333"'),
    line(1.1, 'stroke="#bbb" stroke-dasharray="3 3"'),
    line(1 / 1.1, 'stroke="#bbb" stroke-dasharray="3 3"'),
    ...ticks,
    ...dots,
  ].join('\n');
}
