/**
 * A scenario: what runs where, under which engine options.
 *
 * This is the whole configuration of a simulation except its workload. It is a list of pools from
 * day one; one pool of one instance is the common case. Options the user left out are `undefined`
 * here and resolved by `resolve.ts` from the engine's defaults, so a report can say which were given.
 */

import type { GpuSpec } from './model/gpu.js';
import type { ModelShape } from './model/model-shape.js';

/** Engine options, under vLLM's names. Absent: the engine's own default for this hardware and model. */
export interface PoolOptions {
  readonly tensorParallelSize?: number;
  readonly pipelineParallelSize?: number;
  readonly dataParallelSize?: number;
  readonly enableExpertParallel?: boolean;
  /** Coefficient of variation of the experts' popularity; 0: all alike. */
  readonly expertLoadImbalance?: number;
  readonly maxNumSeqs?: number;
  readonly maxNumBatchedTokens?: number;
  readonly maxNumScheduledTokens?: number;
  readonly maxNumActiveSeqs?: number;
  readonly maxModelLen?: number;
  readonly gpuMemoryUtilization?: number;
  readonly blockSize?: number;
  readonly numGpuBlocksOverride?: number;
  readonly enableChunkedPrefill?: boolean;
  readonly enablePrefixCaching?: boolean;
  readonly longPrefillTokenThreshold?: number;
  readonly longPrefillTokenThresholdAdaptive?: boolean;
  readonly schedulerReserveFullIsl?: boolean;
  readonly watermark?: number;
  readonly prefillScheduleInterval?: number;
  readonly schedulerRecvInterval?: number;
  readonly batchWaitTimeoutIters?: number;
  readonly batchWaitMaxTokensRatio?: number;
  readonly dtype?: string;
  readonly quantization?: string;
  readonly kvCacheDtype?: string;
  readonly schedulingPolicy?: string;
  readonly asyncScheduling?: boolean;
  readonly enableLora?: boolean;
  readonly maxLoras?: number;
  readonly maxLoraRank?: number;
  readonly maxCpuLoras?: number;
  /** GiB of host memory for KV, over all tensor-parallel ranks: one tier called `cpu`. */
  readonly kvOffloadingSize?: number;
  readonly kvOffloadingBackend?: string;
  /** From fast to slow; none beside `kvOffloadingSize`. */
  readonly kvTiers?: readonly KvTierOptions[];
  /** Milliseconds of HTTP and tokenising before the scheduler sees a request. */
  readonly inputLatencyMs?: number;
}

/** Who drafts: the methods of vLLM's `speculative_config` that the simulator knows. */
export const SPECULATIVE_METHODS = ['ngram', 'draft_model', 'eagle', 'eagle3', 'mtp'] as const;
export type SpeculativeMethod = (typeof SPECULATIVE_METHODS)[number];

/** Speculative decoding (`speculative_config`), with names looked up and files read. */
export interface SpeculationSpec {
  readonly method: SpeculativeMethod;
  readonly numSpeculativeTokens: number;
  /** The model that drafts; `draft_model` has one. */
  readonly draft?: ModelShape;
  /** GPUs the draft model is spread over; absent: those of the model it drafts for. */
  readonly draftTensorParallelSize?: number;
  /** Which drafts hold; absent: an assumption that depends on the method. */
  readonly acceptance?: AcceptanceSpec;
}

export type AcceptanceSpec =
  /** Probability by position that a draft holds when those before it do; the last one stands for all further. */
  | { readonly kind: 'rates'; readonly rates: readonly number[] }
  /** Accepted drafts of each verification, recorded; a list per request. */
  | { readonly kind: 'recorded'; readonly counts: readonly (readonly number[])[] };

/** A place for KV below the GPU; what is absent follows from its name. All GPUs of an instance together. */
export interface KvTierOptions {
  /** `cpu`: host memory; anything else: a store behind a network. */
  readonly name: string;
  readonly capacityGib: number;
  readonly bandwidthGbPerS?: number;
  readonly writeBandwidthGbPerS?: number;
  readonly latencyMs?: number;
}

/** Instances of one model on one kind of hardware. */
export interface PoolSpec {
  readonly model: ModelShape;
  readonly hardware: GpuSpec;
  /** Whose software: `vllm`, or with a version, `vllm-0.9`; a name of `perf_model/engines`. */
  readonly engine: string;
  readonly numInstances: number;
  readonly options: PoolOptions;
  readonly speculation?: SpeculationSpec;
}

export interface Scenario {
  readonly seed: number;
  readonly router: string;
  readonly pools: readonly PoolSpec[];
}
