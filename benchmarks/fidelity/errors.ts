/** Error tables: median and 90th percentile of the absolute relative error, and the median signed one (bias). */

import { quantileOf } from '../../src/core/metrics/quantiles.js';
import type { Residual } from './residuals.js';

export interface ErrorRow {
  readonly group: readonly string[];
  readonly rows: number;
  /** Percent. */
  readonly medianError: number;
  readonly p90Error: number;
  readonly bias: number;
}

/** One row per distinct group, in order of their names. */
export function errorTable(
  residuals: readonly Residual[],
  groupOf: (r: Residual) => readonly string[],
): ErrorRow[] {
  const groups = new Map<string, { group: readonly string[]; logs: number[] }>();
  for (const r of residuals) {
    const group = groupOf(r);
    const key = group.join('\u0000');
    const entry = groups.get(key) ?? { group, logs: [] };
    entry.logs.push(r.log);
    groups.set(key, entry);
  }
  return [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { group, logs }]) => summary(group, logs));
}

export function summary(group: readonly string[], logs: readonly number[]): ErrorRow {
  const signed = logs.map((x) => 100 * Math.expm1(x));
  const absolute = signed.map(Math.abs);
  return {
    group,
    rows: logs.length,
    medianError: quantile(absolute, 0.5),
    p90Error: quantile(absolute, 0.9),
    bias: quantile(signed, 0.5),
  };
}

/** Linear between order statistics. */
export function quantile(values: readonly number[], q: number): number {
  return values.length === 0 ? Number.NaN : quantileOf(Float64Array.from(values).sort(), q);
}

/** As Markdown, which reads well on a terminal too. */
export function markdown(columns: readonly string[], table: readonly ErrorRow[]): string {
  const head = [...columns, 'rows', 'median %', 'p90 %', 'bias %'];
  const percent = (x: number): string => x.toFixed(Math.abs(x) < 10 ? 1 : 0);
  const lines = table.map((r) => [
    ...r.group,
    String(r.rows),
    percent(r.medianError),
    percent(r.p90Error),
    percent(r.bias),
  ]);
  const widths = head.map((h, i) => Math.max(h.length, ...lines.map((line) => line[i]!.length)));
  const numeric = (i: number): boolean => i >= columns.length;
  const format = (line: readonly string[]): string =>
    `| ${line.map((cell, i) => (numeric(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join(' | ')} |`;
  const rule = `|${widths.map((w, i) => (numeric(i) ? `${'-'.repeat(w + 1)}:` : '-'.repeat(w + 2))).join('|')}|`;
  return [format(head), rule, ...lines.map(format)].join('\n');
}
