/** Where the times of a run come from and how far off they may be, in one line and as JSON. */

import type { ErrorMetric, ExpectedError } from '../core/perf/expected-error.js';
import type { ResolvedPool } from '../core/perf/resolve.js';

export const METRIC_LABELS: Readonly<Record<ErrorMetric, string>> = {
  tpot: 'TPOT',
  ttft: 'TTFT',
  e2el: 'E2E',
  output_throughput: 'output tokens/s',
};

/** Of several pools, the largest error: a report is no surer than its weakest part. */
export function levelLine(
  pools: readonly Pick<ResolvedPool, 'level' | 'expectedErrors'>[],
): string {
  const levels = [...new Set(pools.map((pool) => pool.level))].join(' and ');
  const errors = (['tpot', 'ttft'] as const).flatMap((metric) => {
    const found = pools.map((pool) => pool.expectedErrors.find((e) => e.metric === metric));
    if (!found.every((error) => error !== undefined)) return [];
    const percent = Math.max(...found.map((error) => error.medianPercent));
    return [`${plusMinus(percent)} on ${METRIC_LABELS[metric]}`];
  });
  if (errors.length === 0) return `${levels} model (error not measured; docs/fidelity.md)`;
  const how = pools.every((pool) => pool.level === 'calibrated') ? 'held back' : 'cross-validated';
  return `${levels} model, expect ${errors.join(', ')} (${how}; docs/fidelity.md)`;
}

/** Half of the cases were within it. */
export const plusMinus = (percent: number): string =>
  `±${percent < 1.95 ? percent.toFixed(1) : percent.toFixed(0)} %`;

export const expectedErrorJson = (error: ExpectedError): Readonly<Record<string, unknown>> => ({
  metric: error.metric,
  median_percent: error.medianPercent,
  p90_percent: error.p90Percent,
  basis: error.basis,
});
