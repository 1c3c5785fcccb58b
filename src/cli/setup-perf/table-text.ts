/** What is in a measured table, as a person reads it and as JSON. */

import type { AxisRange, OperatorCheck } from '../../core/perf/table/check-table.js';
import { numPoints } from '../../core/perf/table/perf-table.js';
import { labelOf } from '../../core/perf/table/tabled-pool.js';
import { metaFields } from '../../files/perf-table.js';
import { grouped, short, table } from '../../report/format.js';
import type { Json } from '../../report/json.js';
import type { CheckedTable } from './tables.js';

const HEADER = ['  operator', 'points', 'range', 'falls', 'too fast', 'median', 'p90', 'bias'];

export function tableText(checks: readonly CheckedTable[]): string {
  const lines = checks.flatMap((check) => [
    `${labelOf(check.table.meta)}, ${check.table.meta.dtype}: ${grouped(numPoints(check.table))} points`,
    `from ${check.table.meta.source}`,
    ...(check.path === undefined ? [] : [`in ${check.path}`]),
    '',
    ...table([HEADER, ...check.operators.map(cells)], 1),
    ...check.operators.filter(({ used }) => !used).map(unusedLine),
    ...(check.leftOut.length > 0 ? [`  Left out: ${check.leftOut.join(', ')}.`] : []),
    '',
  ]);
  return [...lines, ...LEGEND, ''].join('\n');
}

const LEGEND = [
  'Falls: neighbours that do more in less time, of all neighbours, and the largest; decodes are levelled.',
  'Too fast: points below FLOP/peak or bytes/bandwidth, which count as that. Median, p90, bias: of the',
  'difference to the analytic model (bias: measured above it). Use: simulate, server, explain --perf-table FILE.',
];

const cells = (check: OperatorCheck): string[] => [
  `  ${check.operator}`,
  grouped(check.numPoints),
  check.ranges.map(rangeText).join(', '),
  check.numFalls === 0
    ? '–'
    : `${grouped(check.numFalls)} of ${grouped(check.numNeighbours)}, ${short(check.worstFallPercent)} %`,
  check.numFasterThanPhysics === 0 ? '–' : grouped(check.numFasterThanPhysics),
  ...(check.difference
    ? [
        `${check.difference.medianPercent.toFixed(1)} %`,
        `${check.difference.p90Percent.toFixed(1)} %`,
        `${check.difference.biasPercent.toFixed(1)} %`,
      ]
    : ['', '', '']),
];

const SHORT_AXES: Readonly<Record<string, string>> = {
  prefill_tokens: 'prefill',
  num_decodes: 'decodes',
  prefill_history: 'history',
  decode_context: 'context',
};

const rangeText = ({ axis, low, high }: AxisRange): string =>
  `${SHORT_AXES[axis] ?? axis} ${bound(low)}–${bound(high)}`;

const bound = (value: number): string => grouped(Math.round(value));

const unusedLine = ({ operator }: OperatorCheck): string =>
  `  ${operator} is not used: this model or layout has no such operator, or more than one kind of it.`;

export const tableJson = ({ path, table: { meta }, operators, leftOut }: CheckedTable): Json => ({
  file: path ?? null,
  ...metaFields(meta),
  left_out: leftOut,
  operators: operators.map((check) => ({
    operator: check.operator,
    used: check.used,
    num_points: check.numPoints,
    ranges: Object.fromEntries(check.ranges.map(({ axis, low, high }) => [axis, [low, high]])),
    num_neighbours: check.numNeighbours,
    num_falls: check.numFalls,
    worst_fall_percent: check.worstFallPercent,
    num_faster_than_physics: check.numFasterThanPhysics,
    median_percent: check.difference?.medianPercent ?? null,
    p90_percent: check.difference?.p90Percent ?? null,
    bias_percent: check.difference?.biasPercent ?? null,
  })),
});
