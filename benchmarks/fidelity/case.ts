/**
 * A measurement turned into a simulation: which deployment, under which load, compared by which number.
 */

import { loadEngine } from '../../src/config/engines.js';
import type { GpuSpec } from '../../src/core/model/gpu.js';
import type { ModelShape } from '../../src/core/model/model-shape.js';
import { generationOf } from '../../src/core/perf/engine-profile.js';
import type { PoolOptions } from '../../src/core/scenario.js';
import type { Row } from './rows.js';

/** Uniform over [low, high], both included. */
export interface Lengths {
  readonly low: number;
  readonly high: number;
}

export type Load =
  /** `clients` clients, each sending its next request when the last one ended. */
  | {
      readonly kind: 'closed';
      readonly clients: number;
      readonly numRequests: number;
      readonly input: Lengths;
      readonly output: Lengths;
    }
  /** All at t = 0. */
  | {
      readonly kind: 'batch';
      readonly numRequests: number;
      readonly input: Lengths;
      readonly output: Lengths;
    }
  | {
      readonly kind: 'poisson';
      readonly perSecond: number;
      readonly numRequests: number;
      readonly input: Lengths;
      readonly output: Lengths;
    }
  /** One step of decodes alone. */
  | { readonly kind: 'step'; readonly numDecodes: number; readonly context: number };

type Latency = 'ttft' | 'tpot' | 'itl' | 'e2e';

export const PERCENTILES = [50, 90, 95, 99] as const;

/** What a simulation yields: latencies (means and percentiles) in ms, tokens and requests per second. */
export type Measure =
  | Latency
  | `${Latency}_p${(typeof PERCENTILES)[number]}`
  | 'makespan'
  | 'output_tps'
  | 'total_tps'
  | 'rps'
  | 'step';

export interface Comparison {
  readonly measure: Measure;
  /** How the tables call it. */
  readonly metric: string;
  /** In the unit of the measure: ms, or tokens per second over all GPUs. */
  readonly measured: number;
  readonly row: Row;
}

export interface Case {
  readonly source: string;
  readonly model: ModelShape;
  readonly gpu: GpuSpec;
  readonly engine: string;
  readonly options: PoolOptions;
  /** TensorRT-LLM: admission reserves input and output, so no more run than the pool holds to their ends; whole prompts only, unless the options ask for chunks. */
  readonly noEvict?: boolean;
  /** Largest captured CUDA graph, where the run changed the engine's default. */
  readonly graphTokens?: number;
  /** How much longer the CPU takes to launch a layer, with what the run changed of the engine's compiler. */
  readonly dispatchFactor?: number;
  /** Decode batches with a captured CUDA graph, where others were padded to them. */
  readonly graphSizes?: readonly number[];
  /** The run samples without top-k and top-p (vLLM V1), so nothing is sorted. */
  readonly greedy?: boolean;
  readonly load: Load;
  readonly precision: string;
  readonly comparisons: readonly Comparison[];
}

/** What one row becomes: a case that shares its simulation with other rows, or a reason why there is none. */
export type Mapping =
  | { readonly case: Omit<Case, 'comparisons'>; readonly comparison: Comparison }
  | { readonly unmapped: string };

export const fixed = (length: number): Lengths => ({ low: length, high: length });

const generations = new Map<string, string>();

/** What versions of an engine with the same constants share. */
export function generationOfCase({ engine }: Case): string {
  const known = generations.get(engine) ?? generationOf(loadEngine(engine));
  generations.set(engine, known);
  return known;
}
