/** The file that `calibrate` writes and `--calibration` takes. */

import { Fields, readJson } from '../../config/data-dir.js';
import {
  type Calibration,
  type Coefficients,
  calibratedPool,
} from '../../core/perf/calibration.js';
import type { ExpectedError } from '../../core/perf/expected-error.js';
import type { ResolvedPool } from '../../core/perf/resolve.js';
import { expectedErrorJson } from '../../report/expected-error.js';
import type { Json } from '../../report/json.js';
import { hardwareLabel } from '../../report/run.js';

/** What a calibration belongs to, in words. */
export const caseLabel = (pool: ResolvedPool): string =>
  `${pool.spec.model.name} on ${hardwareLabel(pool)}, ${pool.engine.name} ${pool.engine.since}+`;

export const calibrationJson = ({ coefficients: c, fittedOn, errors }: Calibration): Json => ({
  fitted_on: fittedOn,
  coefficients: {
    step_offset_ms: c.stepOffsetSeconds * 1e3,
    per_sequence_ms: c.perSequenceSeconds * 1e3,
    bandwidth_factor: c.bandwidthFactor,
    flop_factor: c.flopFactor,
    input_latency_ms: c.inputLatencySeconds * 1e3,
  },
  errors: errors.map(expectedErrorJson),
});

/** @throws {ConfigError} naming file and field */
export function readCalibration(path: string): Calibration {
  const file = Fields.of(readJson(path, 'a file of llmservingsim calibrate'), path);
  const c = file.child('coefficients');
  const ms = (name: string): number => c.number(name, Number.NEGATIVE_INFINITY) / 1e3;
  const coefficients: Coefficients = {
    stepOffsetSeconds: ms('step_offset_ms'),
    perSequenceSeconds: ms('per_sequence_ms'),
    bandwidthFactor: c.number('bandwidth_factor', LEAST_FACTOR),
    flopFactor: c.number('flop_factor', LEAST_FACTOR),
    inputLatencySeconds: ms('input_latency_ms'),
  };
  const errors = file.list('errors').map(
    (f): ExpectedError => ({
      metric: f.oneOf('metric', ['ttft', 'tpot', 'e2el', 'output_throughput'] as const),
      medianPercent: f.number('median_percent'),
      p90Percent: f.number('p90_percent'),
      basis: f.text('basis'),
    }),
  );
  return { coefficients, fittedOn: file.text('fitted_on'), errors };
}

const LEAST_FACTOR = 1e-3;

/** `pool` as the calibration in `path` has it, saying so when it was fitted on something else. */
export function withCalibration(pool: ResolvedPool, path: string): ResolvedPool {
  const { coefficients, fittedOn, errors } = readCalibration(path);
  const label = caseLabel(pool);
  const other = `calibrated on ${fittedOn}: for ${label} expect a larger error`;
  return {
    ...calibratedPool(pool, coefficients),
    expectedErrors: errors,
    notes: fittedOn === label ? pool.notes : [...pool.notes, other],
  };
}
