/**
 * How the engines of TensorRT-LLM's overview were built and run: limits, memory for KV, admission.
 *
 * Stated on the page of each release ("Engine Building", "Running the Benchmark"), and for releases that
 * built with `trtllm-bench` in its settings file (`tensorrt_llm/bench/build/benchmark_config.yml`, 0.12 to 0.14)
 * or its formula (`tensorrt_llm/bench/build/tuning.py`, from 0.15 on).
 */

import { loadPerfData } from '../../../src/config/engines.js';
import type { GpuSpec } from '../../../src/core/model/gpu.js';
import {
  type ModelShape,
  numAttentionLayers,
  numParameters,
} from '../../../src/core/model/model-shape.js';
import { resolvePool } from '../../../src/core/perf/resolve.js';
import type { PoolOptions } from '../../../src/core/scenario.js';
import type { Case } from '../case.js';
import { unlessRefused } from '../refusal.js';

export interface Built {
  readonly model: ModelShape;
  readonly gpu: GpuSpec;
  readonly options: PoolOptions;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Minor version below 1.0; 99 from there on. */
  readonly minor: number;
}

type Limits = Required<Pick<PoolOptions, 'maxNumSeqs' | 'maxNumBatchedTokens'>>;
export type Run = Pick<Case, 'graphSizes'> & {
  readonly noEvict: boolean;
  readonly options: PoolOptions;
  readonly numRequests: number;
};

/** @returns what differs between releases; limits are `max_batch_size` and `max_num_tokens`. */
export function runOf(built: Built): Run {
  const { minor } = built;
  // Until 0.10 the scheduler's policy was `max_utilization`: what does not fit later is paused.
  const noEvict = minor > 10;
  const numRequests = requestsOf(built);
  const options = {
    ...limitsOf(built),
    gpuMemoryUtilization: minor <= 10 ? 0.9 : minor < 15 ? 0.99 : 0.95,
  };
  return minor < 20
    ? // The C++ runtime was run with chunked context.
      { noEvict, numRequests, options: { ...options, enableChunkedPrefill: true } }
    : { noEvict, numRequests, options, graphSizes: graphSizes(options) };
}

function limitsOf(built: Built): Limits {
  if (built.minor <= 10) return { maxNumSeqs: 2048, maxNumBatchedTokens: 2048 };
  return built.minor < 15 ? listed(built) : tuned(built);
}

/** `cuda_graph_config` of the PyTorch runs, with padding. */
const GRAPH_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 384, 512, 1024, 2048, 4096, 8192];

/** Up to the largest batch, which is one of them (`_filter_cuda_graph_batch_sizes`). */
const graphSizes = ({ maxNumSeqs }: Limits): readonly number[] => [
  ...GRAPH_SIZES.filter((size) => size < maxNumSeqs),
  maxNumSeqs,
];

/** Counts that the pages state, by lengths. */
function requestsOf({ minor, inputTokens, outputTokens }: Built): number {
  if (minor <= 10) return 2000;
  const total = inputTokens + outputTokens;
  if (total <= 256) return 30_000;
  if (total <= 2500) return 3000;
  return total <= 5500 ? 1500 : 1000;
}

/** By model and tensor-parallel size: in general, and for some total lengths. */
type Listed = Readonly<
  Record<number, Readonly<Record<'general' | number, readonly [number, number]>>>
>;

const LISTED: readonly (readonly [name: RegExp, limits: Listed])[] = [
  [/Llama-2-7b/, { 1: { general: [4096, 8192] } }],
  [
    /Llama-2-70b/,
    {
      2: { general: [2048, 2048] },
      4: { general: [4096, 8192], 4224: [256, 8192] },
      8: { general: [8192, 16_384], 2176: [1024, 16_384] },
    },
  ],
  [/falcon-180B/i, { 4: { general: [4096, 8192] }, 8: { general: [2048, 8192] } }],
  [/gpt-j/i, { 1: { general: [128, 2048], 256: [2048, 2048] } }],
  [/Llama-3(\.1)?-8B/, { 1: { general: [2048, 8192] } }],
  [/Llama-3(\.1)?-70B/, { 4: { general: [2048, 1024] }, 8: { general: [8192, 16_384] } }],
  [/Mixtral-8x7B/, { 2: { general: [2048, 3072] }, 4: { general: [8192, 8192] } }],
  [/Mistral-7B/, { 1: { general: [4098, 8192] } }],
];

/** Where nothing is listed, or what is listed leaves no memory: as the formula of later releases has it. */
function listed(built: Built): Limits {
  const { model, inputTokens, outputTokens } = built;
  const layouts = LISTED.find(([name]) => name.test(model.name))?.[1];
  const entry = layouts?.[built.options.tensorParallelSize ?? 1];
  if (!entry) return tuned(built);
  const [maxNumSeqs, maxNumBatchedTokens] = entry[inputTokens + outputTokens] ?? entry.general;
  const limits = { maxNumSeqs, maxNumBatchedTokens };
  return holdsOne(built, limits) ? limits : tuned(built);
}

/** Whether the memory beside weights and buffers holds one request. */
function holdsOne(built: Built, limits: Limits): boolean {
  const { model, gpu: hardware, inputTokens, outputTokens } = built;
  const options = { ...built.options, ...limits };
  const pool = unlessRefused(() =>
    resolvePool({ model, hardware, engine: LISTED_FOR, numInstances: 1, options }, listedFor),
  );
  return pool !== undefined && pool.kv.numTokens > inputTokens + outputTokens;
}

const LISTED_FOR = 'trtllm-0.13';
const listedFor = loadPerfData(LISTED_FOR);

/**
 * The formula: as many requests as the memory would hold beside the weights, and the tokens they bring
 * to a step, both rounded up.
 */
function tuned({ model, gpu, options: o, inputTokens, outputTokens }: Built): Limits {
  const tp = o.tensorParallelSize ?? 1;
  const numGpus = tp * (o.dataParallelSize ?? 1);
  const weightBytes = numParameters(model) * (BYTES_PER_WEIGHT[o.quantization ?? ''] ?? 2);
  const tokenBytes =
    2 *
    numAttentionLayers(model) *
    Math.max(tp, model.numKvHeads) *
    model.headDim *
    (o.kvCacheDtype === 'fp8' ? 1 : 2);
  const kvBytes = 0.95 * (gpu.memoryBytes * numGpus - weightBytes);
  const sequences = Math.min(kvBytes / tokenBytes / (inputTokens + outputTokens), 4096);
  const tokens = Math.min(sequences * (1 + inputTokens / outputTokens), 32_768);
  return {
    maxNumSeqs:
      sequences < 256
        ? Math.max(64, upTo(32, sequences))
        : upTo(sequences < 1024 ? 128 : 256, sequences),
    maxNumBatchedTokens:
      tokens < 4096 ? Math.max(2048, upTo(256, tokens)) : upTo(tokens < 8192 ? 512 : 1024, tokens),
  };
}

const BYTES_PER_WEIGHT: Readonly<Record<string, number>> = {
  fp8: 1,
  fp8_block: 1,
  nvfp4: 0.5,
  mxfp4: 0.5,
};

const upTo = (multiple: number, n: number): number => multiple * Math.ceil(n / multiple);
