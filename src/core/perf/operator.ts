/**
 * One kernel of a step: how much it computes and moves, and how long that takes.
 *
 * A GEMM's time is the soft maximum (p-norm) of its compute time and its memory time. Measured tables
 * show a soft corner where the two meet, and nothing more: neither ramps nor tile quantisation fit
 * better (docs/cost-model.md).
 */

import type { GpuSpec } from '../model/gpu.js';
import type { Bytes, Flop, Seconds } from '../units.js';
import { type Efficiency, SKINNY_ROWS } from './efficiency.js';
import type { MatrixPrecision } from './precision.js';

export type Bound = 'compute' | 'memory' | 'link' | 'latency';
/** Where a time comes from, when a measured table is in use; extrapolated: outside of what it holds. */
export type Source = 'measured' | 'extrapolated' | 'analytic';

export interface Operator {
  readonly name: string;
  /** How often it runs in a step: mostly the number of layers that have it. */
  readonly count: number;
  /** Of one run, on one GPU. */
  readonly flop: Flop;
  readonly bytes: Bytes;
  readonly linkBytes: Bytes;
  readonly seconds: Seconds;
  readonly bound: Bound;
  /** FLOP/s of the data sheet that `flop` is measured against; 0: does not compute. */
  readonly peak: number;
  /** What the time was computed from: names of `Efficiency` or of the engine's profile. */
  readonly constants: readonly string[];
  /** Absent: analytic. */
  readonly source?: Source;
}

/** What every operator of a deployment is computed with. */
export interface Kernels {
  readonly gpu: GpuSpec;
  readonly efficiency: Efficiency;
}

export interface GemmShape {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
}

/** `rows × inner` activations times `inner × columns` weights. */
export function gemm(
  { gpu, efficiency }: Kernels,
  name: string,
  count: number,
  { rows, columns, inner }: GemmShape,
  precision: MatrixPrecision,
): Operator {
  const flop = 2 * rows * columns * inner;
  const activations = rows * (inner * precision.bytesPerActivation + columns * 2);
  const bytes = columns * inner * precision.bytesPerWeight + activations;
  const compute = flop / (precision.peak * precision.compute);
  const reread = precision.quantised ? 0 : efficiency.gemmRereadPerRow;
  const passes = Math.max(1, reread * Math.min(rows, SKINNY_ROWS));
  const memory = (passes * bytes) / (gpu.memoryBytesPerS * precision.memory);
  return {
    name,
    count,
    flop,
    bytes,
    linkBytes: 0,
    seconds: softMax(compute, memory, efficiency.gemmSoftness),
    bound: compute > memory ? 'compute' : 'memory',
    peak: precision.peak,
    constants: [
      `gemm_compute (${precision.label})`,
      `gemm_memory (${precision.label})`,
      'gemm_softness',
    ],
  };
}

/** Seconds of one run at the ceilings of the data sheet; 0 where there is none. */
export const ceilingSeconds = (
  { gpu }: Pick<Kernels, 'gpu'>,
  op: Pick<Operator, 'flop' | 'bytes' | 'linkBytes' | 'peak'>,
): Seconds =>
  Math.max(
    op.peak > 0 ? op.flop / op.peak : 0,
    op.bytes / gpu.memoryBytesPerS,
    op.linkBytes / gpu.link.bytesPerS,
  );

/** (a^p + b^p)^(1/p): never below the larger of the two for p ≥ 1, nor below the sum for p ≤ 1. */
export function softMax(a: number, b: number, p: number): number {
  const high = Math.max(a, b);
  if (high === 0) return 0;
  const ratio = Math.min(a, b) / high;
  return high * (1 + ratio ** p) ** (1 / p);
}

/** A kernel that only moves bytes. */
export function traffic(
  { gpu }: Kernels,
  name: string,
  count: number,
  bytes: Bytes,
  fraction: number,
  constants: readonly string[],
): Operator {
  const seconds = bytes / (gpu.memoryBytesPerS * fraction);
  return {
    name,
    count,
    flop: 0,
    bytes,
    linkBytes: 0,
    seconds,
    bound: 'memory',
    peak: 0,
    constants,
  };
}

/** A time that is neither computing nor moving: launches, gaps. */
export function latency(
  name: string,
  count: number,
  seconds: Seconds,
  constants: readonly string[],
): Operator {
  return {
    name,
    count,
    flop: 0,
    bytes: 0,
    linkBytes: 0,
    seconds,
    bound: 'latency',
    peak: 0,
    constants,
  };
}
