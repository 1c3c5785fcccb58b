/**
 * The performance model of every combination of models and GPUs: how many GPUs hold the model, how
 * much KV is left, and what its typical steps cost. Each is the model `server` and `simulate` use; a
 * table of it is a way to look, nothing has to be stored.
 */

import { loadHardware } from '../../config/hardware.js';
import { loadModel } from '../../config/models.js';
import { ConfigError } from '../../core/errors.js';
import type { ResolvedPool } from '../../core/perf/resolve.js';
import { stepSeconds } from '../../core/perf/step-cost.js';
import { shapeOfBatch } from '../../core/step-shape.js';
import { composePool } from '../compose.js';

export interface PerfRow {
  readonly model: string;
  readonly hardware: string;
  /** GPUs of an instance: the fewest that hold the model; absent: no number tried does. */
  readonly num_gpus: number | undefined;
  readonly kv_tokens: number;
  /** A prompt of 1,024 tokens, alone. */
  readonly prefill_ms: number;
  /** A token of one request, and of each of 32, at 1,024 tokens of context; absent: KV does not hold 32. */
  readonly decode_ms_1: number;
  readonly decode_ms_32: number | undefined;
  /** Of 32 requests together. */
  readonly output_tokens_per_s: number | undefined;
  /** Why it does not fit. */
  readonly why?: string;
}

/** Tensor-parallel sizes that are tried, smallest first. */
const SIZES = [1, 2, 4, 8] as const;
/** A pool that holds fewer tokens serves nobody: two requests of 1,024. */
const LEAST_KV_TOKENS = 2_048;
const CONTEXT = 1_024;
const BATCH = 32;

/** @throws {ConfigError} for a name that is not known. */
export function perfRow(model: string, hardware: string): PerfRow {
  loadModel(model);
  loadHardware(hardware);
  let why = '';
  for (const size of SIZES) {
    const pool = tryPool(model, hardware, size);
    if (typeof pool !== 'string' && pool.kv.numTokens >= LEAST_KV_TOKENS) {
      return rowOf(model, hardware, pool);
    }
    why = typeof pool === 'string' ? pool : `room for ${pool.kv.numTokens} tokens of KV`;
  }
  return {
    model,
    hardware,
    num_gpus: undefined,
    kv_tokens: 0,
    prefill_ms: 0,
    decode_ms_1: 0,
    decode_ms_32: undefined,
    output_tokens_per_s: undefined,
    why,
  };
}

/** The pool, or why it cannot be. */
function tryPool(model: string, hardware: string, size: number): ResolvedPool | string {
  const pool = { model, hardware, options: { tensorParallelSize: size } };
  try {
    return composePool(pool, (field) => `--${field}`);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message;
  }
}

function rowOf(model: string, hardware: string, pool: ResolvedPool): PerfRow {
  const holdsBatch = pool.kv.numTokens >= BATCH * CONTEXT;
  const batchMs = holdsBatch ? stepMs(pool, BATCH, 0) : undefined;
  return {
    model,
    hardware,
    num_gpus: pool.numGpus,
    kv_tokens: pool.kv.numTokens,
    prefill_ms: stepMs(pool, 0, CONTEXT),
    decode_ms_1: stepMs(pool, 1, 0),
    decode_ms_32: batchMs,
    output_tokens_per_s: batchMs && (BATCH / batchMs) * 1e3,
  };
}

function stepMs({ cost }: ResolvedPool, numDecodes: number, prefillTokens: number): number {
  const prefill = { numPrefills: prefillTokens > 0 ? 1 : 0, chunk: prefillTokens };
  const shape = shapeOfBatch([prefill, { numDecodes, context: CONTEXT }], cost.window);
  return stepSeconds(cost, shape) * 1e3;
}
