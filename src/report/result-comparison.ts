/** Result files side by side: every metric with its change against the first, quantiles as bars. */

import { grouped, short, table } from './format.js';
import { comparedKeys, LATENCIES, quantilePoints, type SavedResult } from './saved-result.js';

export interface ComparedMetric {
  readonly key: string;
  readonly values: readonly (number | undefined)[];
  /** Change against the first file, as a fraction of it; absent where one has no value. */
  readonly changes: readonly (number | undefined)[];
}

export function compareResults(results: readonly SavedResult[]): ComparedMetric[] {
  return comparedKeys(results).map((key) => {
    const values = results.map(({ numbers }) => numbers[key]);
    const [first] = values;
    const changes = values.map((value) =>
      value === undefined || first === undefined || first === 0 ? undefined : value / first - 1,
    );
    return { key, values, changes };
  });
}

export function comparisonText(results: readonly SavedResult[]): string {
  const names = results.map(({ name, backend }) => (backend ? `${name} (${backend})` : name));
  return `${[
    ...names.map((name, i) => `${letter(i)}  ${name}`),
    '',
    ...table(
      comparisonRows(
        results,
        results.map((_, i) => letter(i)),
      ),
    ),
    '',
    ...LATENCIES.flatMap((metric) => quantileLines(results, metric)),
  ].join('\n')}\n`;
}

/** A row per metric under `names`: values, and from the second on their change. */
export function comparisonRows(
  results: readonly SavedResult[],
  names: readonly string[],
): string[][] {
  const pairs = <T>(list: readonly T[], of: (one: T, i: number) => readonly [string, string]) =>
    list.flatMap((one, i) => of(one, i).slice(0, i === 0 ? 1 : 2));
  const rows = compareResults(results).map(({ key, values, changes }) => [
    key,
    ...pairs(values, (value, i) => [cell(value), change(changes[i])]),
  ]);
  return [['', ...pairs(names, (name) => [name, 'change'])], ...rows];
}

const letter = (i: number): string => String.fromCharCode(65 + (i % 26));

const cell = (value: number | undefined): string => {
  if (value === undefined) return '-';
  return Number.isInteger(value) ? grouped(value) : short(value);
};

function change(fraction: number | undefined): string {
  if (fraction === undefined || !Number.isFinite(fraction)) return '-';
  const percent = Math.abs(fraction * 100).toFixed(1);
  if (percent === '0.0') return '0.0 %';
  return `${fraction < 0 ? '−' : '+'}${percent} %`;
}

const BAR = 40;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Median and percentiles of one metric as bars of one scale. */
function quantileLines(results: readonly SavedResult[], metric: string): string[] {
  const all = results.map((result) => quantilePoints(result, metric));
  const most = Math.max(...all.flat().map(([, ms]) => ms));
  if (!(most > 0)) return [];
  const lines = all.flatMap((points, i) =>
    points
      .filter(([percent]) => percent >= 50)
      .map(
        ([percent, ms]) => [`${letter(i)}  p${percent}`, cell(ms), `  ${bar(ms / most)}`] as const,
      ),
  );
  const width = Math.max(...lines.map(([, value]) => value.length));
  const label = Math.max(...lines.map(([name]) => name.length));
  return [
    `${metric.toUpperCase()} (ms)`,
    ...lines.map(
      ([name, value, drawn]) => `  ${name.padEnd(label)} ${value.padStart(width)}${drawn}`,
    ),
    '',
  ];
}

function bar(fraction: number): string {
  const eighths = Math.round(fraction * BAR * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
}
