/**
 * A finished run with everything a report needs to say about it: what was asked, what was resolved,
 * what came out.
 */

import type { RunReport, Slo } from '../core/metrics/report.js';
import type { ResolvedPool } from '../core/perf/resolve.js';
import type { DurationNs } from '../core/units.js';
import type { LoadOptions } from '../core/workload/load.js';

export interface Run {
  readonly seed: number;
  readonly router: string;
  readonly pools: readonly ResolvedPool[];
  readonly load: LoadOptions;
  /** The trace as the user named it; absent: drawn lengths. */
  readonly trace?: string | undefined;
  /** What arrived, and over how long. */
  readonly offered: { readonly numRequests: number; readonly spanNs: DurationNs };
  readonly slo?: Slo | undefined;
  /** What a GPU costs per hour, in any currency; absent: not given. */
  readonly pricePerGpuHour?: number | undefined;
  /** Percentiles of the result JSON, in (0, 100). */
  readonly percentiles: readonly number[];
  readonly report: RunReport;
  /** Whether it was cut off (Ctrl-C) before its end. */
  readonly stopped: boolean;
}

/** Requests per second that arrived; `Infinity` when all came at once. */
export function offeredRate({ offered }: Run): number {
  if (offered.numRequests < 2) return Infinity;
  return (offered.numRequests - 1) / (offered.spanNs / 1e9);
}

/** Requests per second that completed. */
export const requestThroughput = ({ report }: Run): number =>
  perSecond(report.completed, report.durationNs);

export const perSecond = (count: number, durationNs: DurationNs): number =>
  durationNs > 0 ? count / (durationNs / 1e9) : 0;

export const numGpus = ({ pools }: Run): number =>
  pools.reduce((sum, pool) => sum + pool.numGpus * pool.spec.numInstances, 0);

/** `4 × H100`, over all pools. */
export const hardwareLabel = (pool: ResolvedPool): string =>
  pool.numGpus === 1 ? pool.spec.hardware.name : `${pool.numGpus} × ${pool.spec.hardware.name}`;
