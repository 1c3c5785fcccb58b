/** A fit as a person reads it: what changed, and how far off the model was and is. */

import type { Residuals } from '../../core/perf/calibration-fit.js';
import type { ResolvedPool } from '../../core/perf/resolve.js';
import { duration, grouped, short, table } from '../../report/format.js';
import { caseLabel } from './calibration-file.js';
import type { Fitted } from './fit-observed.js';
import type { Observed } from './observed.js';

export interface CalibrationReport {
  readonly pool: ResolvedPool;
  readonly observed: Observed;
  readonly path: string;
  readonly fitted: Fitted;
  /** The file that was written. */
  readonly target: string | undefined;
}

export function calibrationText({
  pool,
  observed,
  path,
  fitted,
  target,
}: CalibrationReport): string {
  const { coefficients: c, residuals } = fitted;
  const count = observed.kind === 'steps' ? observed.steps.length : observed.requests.length;
  const lines = [
    caseLabel(pool),
    `${path}: ${grouped(count)} ${observed.kind}, every second one held back`,
    '',
    ...table(
      [
        ['  Step', added(c.stepOffsetSeconds)],
        ['  Per sequence of a step', added(c.perSequenceSeconds)],
        ['  Memory bandwidth reached', `× ${short(c.bandwidthFactor)}`],
        ['  FLOP/s reached', `× ${short(c.flopFactor)}`],
        ...(observed.kind === 'steps' ? [] : [['  Input latency', added(c.inputLatencySeconds)]]),
      ],
      1,
    ),
    '',
    ...table(
      [
        ['  Error', '', 'number', 'before: median', 'p90', 'bias', 'after: median', 'p90', 'bias'],
        ...residuals.map(({ label, half, before, after }) => [
          `  ${label}`,
          half,
          grouped(after.count),
          ...cells(before),
          ...cells(after),
        ]),
      ],
      2,
    ),
    ...warnings(fitted, observed),
    '',
    target === undefined
      ? 'Not saved: --save-calibration FILE writes what --calibration takes.'
      : `Saved: simulate and server take it with --calibration ${target}.`,
  ];
  return `${lines.join('\n')}\n`;
}

const added = (seconds: number): string =>
  `${seconds < 0 ? '−' : '+'} ${duration(Math.abs(seconds) * 1e3)}`;

const cells = ({ medianPercent, p90Percent, biasPercent }: Residuals): string[] => [
  `${medianPercent.toFixed(1)} %`,
  `${p90Percent.toFixed(1)} %`,
  `${biasPercent < 0 ? '−' : '+'}${Math.abs(biasPercent).toFixed(1)} %`,
];

function warnings({ residuals }: Fitted, observed: Observed): string[] {
  const worse = residuals.filter(
    ({ half, before, after }) => half === 'held back' && after.medianPercent > before.medianPercent,
  );
  const notes = observed.kind === 'requests' ? observed.notes : [];
  return [
    ...worse.map(
      ({ label }) => `\n  Warning: ${label} held back is worse after the fit than before.`,
    ),
    ...notes.map((note) => `\n  Note: ${note}`),
  ];
}
