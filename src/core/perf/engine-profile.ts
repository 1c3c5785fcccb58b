/**
 * What one generation of a serving engine adds to the GPU's time, and its default options.
 *
 * Read from `perf_model/engines/<name>.json`, which lists generations by the version they begin
 * with: host work changed far more between versions than kernels did.
 */

import type { StepShape } from '../engine.js';
import type { Layout } from '../model/parallelism.js';
import type { Bytes, Seconds } from '../units.js';
import type { EfficiencyData } from './efficiency.js';
import type { MeasuredError } from './expected-error.js';

/** CPU time per step, and per sequence in it, that the GPU does not hide. */
export interface HostCost {
  readonly hostSecondsPerStep: Seconds;
  readonly hostSecondsPerSequence: Seconds;
}

export interface EngineProfile extends HostCost {
  /** `vllm`, and what this generation is called. */
  readonly name: string;
  readonly label: string;
  /** First version of this generation. */
  readonly since: string;
  /**
   * What the CPU adds when asynchronous scheduling is not as `defaults` have it: what the neighbouring
   * generation adds, whose default is the other one. Absent: there is none, and nothing changes.
   */
  readonly hostInOtherMode?: HostCost;
  /** On top, for each further GPU of a replica: where one process hands every step to the others in turn. */
  readonly hostSecondsPerWorker: Seconds;
  /** On top, for each token of the decodes' context: where every step lists their KV blocks anew. */
  readonly hostSecondsPerContextToken: Seconds;
  /** Factor on `Efficiency.layerSeconds`: how tightly kernels follow each other. */
  readonly layerFactor: number;
  /** Factor on `Efficiency.gemmSoftness`: older kernel libraries have a softer corner. */
  readonly softnessFactor: number;
  /** Above `graphTokens` tokens a step with prefill is launched layer by layer; it lasts at least this per layer. */
  readonly dispatchSecondsPerLayer: Seconds;
  readonly graphTokens: number;
  /** Numbers of decodes with a captured graph, ascending: batches between two are padded. Absent: none are. */
  readonly graphSizes?: readonly number[];
  /** HTTP and queue hand-over before the scheduler sees a request. */
  readonly inputLatencySeconds: Seconds;
  /** Tokenising, by the one thread that all prompts share. */
  readonly tokenizingSecondsPerToken: Seconds;
  /** Mixtures of many small quantised experts (at least 64): this engine's kernels. */
  readonly smallExpertMemory: number;
  readonly smallExpertSeconds: Seconds;
  /** Memory traffic of choosing a token, per entry of the vocabulary: sorting for top-k and top-p passes over the logits many times. */
  readonly samplingBytesPerLogit: Bytes;
  readonly defaults: EngineDefaults;
  readonly memory: EngineMemory;
  readonly source: string;
}

export interface EngineDefaults {
  readonly blockSize: number;
  readonly maxNumSeqs: number;
  readonly maxNumBatchedTokens: number;
  /** The same two on GPUs of at least 70 GiB, A100 excepted. */
  readonly maxNumSeqsLarge: number;
  readonly maxNumBatchedTokensLarge: number;
  readonly enableChunkedPrefill: boolean;
  readonly enablePrefixCaching: boolean;
  readonly asyncScheduling: boolean;
  readonly gpuMemoryUtilization: number;
  /** Without chunked prefill the budget grows to the context window, so that any prompt fits (vLLM V0). */
  readonly budgetCoversModelLen: boolean;
  /** Admit only what fits with its whole prompt (no-evict engines). */
  readonly schedulerReserveFullIsl: boolean;
}

/**
 * How the KV pool is sized. `of: total`: utilisation · memory − weights − buffers − other.
 * `of: free`: utilisation · (usable · memory − weights − buffers).
 *
 *   buffers = reserve + factor · activations of the token budget + per logit · sequences · vocabulary
 */
export interface EngineMemory {
  readonly of: 'total' | 'free';
  /** Fraction of the memory that can be allocated at all (`of: free`). */
  readonly usable: number;
  /** Context and libraries on one GPU, and with collectives. */
  readonly nonTorchBytes: Bytes;
  readonly nonTorchBytesParallel: Bytes;
  readonly reserveBytes: Bytes;
  /** On the activations of `max_num_batched_tokens`: hidden states and the widest MLP. */
  readonly activationFactor: number;
  /** For each entry of the vocabulary of each of `max_num_seqs` sequences. vLLM: 16 bits, then 32 bits twice for sampling. */
  readonly bytesPerLogit: Bytes;
  /** Layers with a window give back what left it; otherwise they keep the whole context, like all others. */
  readonly freesBehindWindow: boolean;
}

/** What `core/perf` needs besides model and GPU; read by `config`, passed in. */
export interface PerfData {
  readonly engine: EngineProfile;
  readonly efficiency: EfficiencyData;
  /** Errors measured by leaving out; absent: unknown. */
  readonly errors?: readonly MeasuredError[];
}

/** What overrides, measured errors and fits call a generation: `trtllm@0.11`. */
export const generationOf = ({ name, since }: EngineProfile): string => `${name}@${since}`;

/** Tokens that the layers compute: a step of decodes alone fills up the graph it is launched as. */
export function tokensComputed({ graphSizes }: EngineProfile, shape: StepShape): number {
  const tokens = shape.numDecodes + shape.prefillTokens + (shape.draftTokens ?? 0);
  if (!graphSizes || tokens !== shape.numDecodes) return tokens;
  return paddedTo(graphSizes, tokens);
}

const paddedTo = (sizes: readonly number[], tokens: number): number =>
  sizes.find((size) => size >= tokens) ?? tokens;

/** What the CPU adds to every step, whatever is in it. */
export const hostSecondsOf = (
  { hostSecondsPerStep, hostSecondsPerWorker }: EngineProfile,
  { tp, pp }: Layout,
): Seconds => hostSecondsPerStep + hostSecondsPerWorker * (tp * pp - 1);
