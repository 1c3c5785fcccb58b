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
  const header = ['', ...names.flatMap((_, i) => (i === 0 ? ['A'] : [letter(i), 'change']))];
  const rows = compareResults(results).map(({ key, values, changes }) => [
    key,
    ...values.flatMap((value, i) => (i === 0 ? [cell(value)] : [cell(value), change(changes[i])])),
  ]);
  return `${[
    ...names.map((name, i) => `${letter(i)}  ${name}`),
    '',
    ...table([header, ...rows]),
    '',
    ...LATENCIES.flatMap((metric) => quantileLines(results, metric)),
  ].join('\n')}\n`;
}

const letter = (i: number): string => String.fromCharCode(65 + (i % 26));

const cell = (value: number | undefined): string => {
  if (value === undefined) return '-';
  return Number.isInteger(value) ? grouped(value) : short(value);
};

function change(fraction: number | undefined): string {
  if (fraction === undefined || !Number.isFinite(fraction)) return '-';
  const percent = fraction * 100;
  return `${percent < 0 ? '−' : '+'}${Math.abs(percent).toFixed(1)} %`;
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
