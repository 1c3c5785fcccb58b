/**
 * How far off a prediction may be: errors measured by leaving out (docs/fidelity.md), from the cases
 * nearest to the one at hand.
 *
 * Near means, in this order: the same kind of model on the same generation of engine and the same
 * vendor's GPUs; the same kind of model and vendor; anything.
 */

import { generationOf } from './engine-profile.js';
import type { Deployment } from './layers.js';

export type ErrorMetric = 'ttft' | 'tpot' | 'e2el' | 'output_throughput';

export interface MeasuredError {
  readonly metric: ErrorMetric;
  readonly kind: 'dense' | 'experts';
  readonly vendor: string;
  /** `vllm@0.8`: name and first version of the generation. */
  readonly engine: string;
  readonly rows: number;
  /** Percent, absolute: half of the cases were within it, and nine tenths. */
  readonly medianPercent: number;
  readonly p90Percent: number;
}

export interface ExpectedError {
  readonly metric: ErrorMetric;
  readonly medianPercent: number;
  readonly p90Percent: number;
  /** What it was measured on, in words. */
  readonly basis: string;
}

/** Fewer measurements than this say nothing. */
const LEAST_ROWS = 10;

export function expectedErrors(measured: readonly MeasuredError[], d: Deployment): ExpectedError[] {
  const kind = d.model.moe ? 'experts' : 'dense';
  const engine = generationOf(d.engine);
  const metrics = [...new Set(measured.map((m) => m.metric))];
  return metrics.flatMap((metric): ExpectedError[] => {
    const all = measured.filter((m) => m.metric === metric);
    const alike = all.filter((m) => m.kind === kind && m.vendor === d.gpu.vendor);
    const words = kind === 'dense' ? 'dense models' : 'mixtures of experts';
    return (
      pooled(
        metric,
        alike.filter((m) => m.engine === engine),
        `${words}, ${d.engine.label}, ${d.gpu.vendor}`,
      ) ??
      pooled(metric, alike, `${words}, other engines, ${d.gpu.vendor}`) ??
      pooled(metric, all, 'other models and hardware') ??
      []
    );
  });
}

/** Means weighted by rows: close enough to the quantiles of the union for a rough figure. */
function pooled(
  metric: ErrorMetric,
  errors: readonly MeasuredError[],
  basis: string,
): [ExpectedError] | undefined {
  const rows = errors.reduce((sum, e) => sum + e.rows, 0);
  if (rows < LEAST_ROWS) return undefined;
  const mean = (value: (e: MeasuredError) => number): number =>
    errors.reduce((sum, e) => sum + value(e) * e.rows, 0) / rows;
  return [
    {
      metric,
      medianPercent: mean((e) => e.medianPercent),
      p90Percent: mean((e) => e.p90Percent),
      basis: `${rows} measurements: ${basis}`,
    },
  ];
}
