/** A step operator by operator, as a person reads it, and what would make its numbers surer. */

import type { StepExplanation, StepRow } from '../../core/perf/explain.js';
import type { ResolvedPool } from '../../core/perf/resolve.js';
import { METRIC_LABELS, plusMinus } from '../../report/expected-error.js';
import { duration, grouped, percent, short, table } from '../../report/format.js';
import { hardwareLabel } from '../../report/run.js';
import type { ConstantSource } from './constants.js';

export interface Explained {
  readonly pool: ResolvedPool;
  readonly batch: string;
  readonly step: StepExplanation;
  readonly constants: readonly ConstantSource[];
}

export function explainText({ pool, batch, step, constants }: Explained): string {
  const { engine, spec } = pool;
  const lines = [
    `${spec.model.name} on ${hardwareLabel(pool)}, ${engine.name} ${engine.since}+ (${engine.label})`,
    `one step of ${batch}: ${duration(step.seconds * 1e3)} (${pool.level} model)`,
    '',
    ...operatorTable(step, pool.level === 'table'),
    '',
    'FLOP, bytes and link bytes are of one GPU. "Of ceiling" is the time at FLOP/peak, bytes/bandwidth or',
    'bytes/link over the time taken.',
    '',
    ...(constants.length > 0 ? ['Constants, and how they were found'] : []),
    ...table(
      constants.map(({ name, value, source }) => [
        `  ${name}`,
        String(Number(value.toPrecision(4))),
        source,
      ]),
      3,
    ),
    '',
    ...uncertainty(pool, step),
  ];
  return `${lines.join('\n')}\n`;
}

const HEADER = [
  'operator',
  'bound by',
  '×',
  'FLOP',
  'bytes',
  'link',
  'time',
  'share',
  'of ceiling',
];

/** @param withSource whether some rows are measured: each then says where its time is from */
function operatorTable({ rows, seconds }: StepExplanation, withSource: boolean): string[] {
  const sum = (of: (row: StepRow) => number) => rows.reduce((all, row) => all + of(row), 0);
  const cells = rows.map((row) => [
    `  ${row.name}`,
    row.bound,
    grouped(row.count),
    amount(row.flop),
    amount(row.bytes),
    amount(row.linkBytes),
    duration(row.seconds * 1e3),
    percent(row.seconds / seconds),
    row.efficiency > 0 ? percent(row.efficiency) : '-',
    ...(withSource ? [row.source ?? 'analytic'] : []),
  ]);
  const total = [
    '  step',
    '',
    '',
    amount(sum((row) => row.flop)),
    amount(sum((row) => row.bytes)),
    amount(sum((row) => row.linkBytes)),
    duration(seconds * 1e3),
    '100 %',
    '',
    ...(withSource ? [''] : []),
  ];
  const header = [`  ${HEADER[0]}`, ...HEADER.slice(1), ...(withSource ? ['source'] : [])];
  return table([header, ...cells, total], 2);
}

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'];

/** `1.23 G`; nothing is a dash. */
function amount(value: number): string {
  if (value === 0) return '-';
  const step = Math.min(PREFIXES.length - 1, Math.max(0, Math.floor(Math.log10(value) / 3)));
  return `${short(value / 1000 ** step)} ${PREFIXES[step]}`.trimEnd();
}

const standsOn = ({ source, constants }: StepRow): string => {
  if (source === 'measured') return 'a measured table';
  return source === 'extrapolated' ? 'a table, outside of what it holds' : constants.join(', ');
};

/** How sure the numbers are, and what would make them surer. */
function uncertainty(pool: ResolvedPool, { bottleneck, seconds }: StepExplanation): string[] {
  const { expectedErrors, notes, deployment, engine, level } = pool;
  const known = expectedErrors.map(
    (error) =>
      `  ${METRIC_LABELS[error.metric]}: ${plusMinus(error.medianPercent)} in half of the cases, ${plusMinus(error.p90Percent)} in nine of ten (${error.basis})`,
  );
  const far = expectedErrors.filter(({ basis }) => basis.includes('other '));
  return [
    'Error to expect',
    ...(known.length > 0 ? known : ['  nothing near this case was measured']),
    '',
    'What would reduce it',
    `  ${percent(bottleneck.seconds / seconds)} of this step is ${bottleneck.name}: it stands on ${standsOn(bottleneck)}.`,
    ...(level === 'calibrated'
      ? [
          '  These times are fitted to a real run already; a run with other batch sizes would fit more of them.',
        ]
      : [
          `  Step times or requests of a real ${engine.name} on ${deployment.gpu.name} fit them: llmservingsim calibrate --observed FILE.`,
        ]),
    ...(far.length > 0
      ? [
          `  The errors above are of other cases than ${engine.label} on ${deployment.gpu.vendor}: measurements of this one count most.`,
        ]
      : []),
    ...notes.map((note) => `  Note: ${note}`),
  ];
}
