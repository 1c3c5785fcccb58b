/**
 * The options of a serving engine as data: name, kind and range of each, once for flags, scenario
 * files and the wire.
 *
 * The fields are those of `EngineOptions` in proto/ and, in camelCase, of `PoolOptions`.
 */

import { ConfigError } from '../core/errors.js';
import type { PoolOptions } from '../core/scenario.js';

export interface EngineOption {
  /** As in proto and scenario files; a flag spells it with dashes. */
  readonly field: string;
  readonly kind: 'count' | 'number' | 'flag' | 'text';
  /** Smallest value of a count or a number. */
  readonly least?: number;
  /** Largest value of a number, itself allowed. */
  readonly most?: number;
  readonly about: string;
}

export const ENGINE_OPTIONS: readonly EngineOption[] = [
  { field: 'tensor_parallel_size', kind: 'count', least: 1, about: 'GPUs that share each layer' },
  {
    field: 'pipeline_parallel_size',
    kind: 'count',
    least: 1,
    about: 'GPUs in a row, each with some of the layers',
  },
  {
    field: 'data_parallel_size',
    kind: 'count',
    least: 1,
    about: 'ranks that hold whole attention layers',
  },
  {
    field: 'enable_expert_parallel',
    kind: 'flag',
    about: 'spread experts over GPUs instead of slicing each',
  },
  {
    field: 'expert_load_imbalance',
    kind: 'number',
    least: 0,
    most: 10,
    about:
      "coefficient of variation of the experts' popularity, drawn from the seed; 0: all alike (own)",
  },
  { field: 'max_num_seqs', kind: 'count', least: 1, about: 'most requests running at once' },
  { field: 'max_num_batched_tokens', kind: 'count', least: 1, about: 'token budget of a step' },
  {
    field: 'max_num_scheduled_tokens',
    kind: 'count',
    least: 1,
    about: 'tokens a step may schedule, when fewer than the budget',
  },
  {
    field: 'max_num_active_seqs',
    kind: 'count',
    least: 1,
    about: 'requests admitted to run, when fewer than --max-num-seqs',
  },
  { field: 'max_model_len', kind: 'count', least: 1, about: 'context window in tokens' },
  {
    field: 'gpu_memory_utilization',
    kind: 'number',
    least: Number.MIN_VALUE,
    most: 1,
    about: 'fraction of GPU memory the engine may use',
  },
  { field: 'block_size', kind: 'count', least: 1, about: 'tokens per KV block' },
  {
    field: 'num_gpu_blocks_override',
    kind: 'count',
    least: 2,
    about: 'KV blocks per instance, overriding what memory allows',
  },
  {
    field: 'enable_chunked_prefill',
    kind: 'flag',
    about: 'let a prompt be computed in several steps',
  },
  { field: 'enable_prefix_caching', kind: 'flag', about: 'reuse the KV of equal prompt prefixes' },
  {
    field: 'long_prefill_token_threshold',
    kind: 'count',
    least: 0,
    about: 'longest prompt chunk while others are present, 0: off',
  },
  {
    field: 'long_prefill_token_threshold_adaptive',
    kind: 'flag',
    about: 'raise that threshold to the fair share of the budget',
  },
  {
    field: 'scheduler_reserve_full_isl',
    kind: 'flag',
    about: 'admit a prompt only when all of it would fit',
  },
  {
    field: 'watermark',
    kind: 'number',
    least: 0,
    most: 0.999999,
    about: 'fraction of KV blocks an admission leaves free',
  },
  {
    field: 'prefill_schedule_interval',
    kind: 'count',
    least: 1,
    about: 'steps from one that carries prefill to the next that may',
  },
  {
    field: 'scheduler_recv_interval',
    kind: 'count',
    least: 1,
    about: 'decode steps after which new requests are looked for (SGLang)',
  },
  {
    field: 'batch_wait_timeout_iters',
    kind: 'count',
    least: 0,
    about: 'steps a prompt waits for others while something decodes (TensorRT-LLM)',
  },
  {
    field: 'batch_wait_max_tokens_ratio',
    kind: 'number',
    least: 0,
    most: 1,
    about: 'share of the token budget that is enough not to wait',
  },
  {
    field: 'dtype',
    kind: 'text',
    about: 'data type of weights and activations: auto, bfloat16, float16',
  },
  {
    field: 'quantization',
    kind: 'text',
    about: 'quantisation of the weights: fp8, awq, gptq, ...',
  },
  { field: 'kv_cache_dtype', kind: 'text', about: 'data type of the KV cache: auto, fp8' },
  { field: 'scheduling_policy', kind: 'text', about: 'order of the queue: fcfs, priority' },
  {
    field: 'async_scheduling',
    kind: 'flag',
    about: 'schedule a step while the one before still runs',
  },
  { field: 'enable_lora', kind: 'flag', about: 'serve LoRA adapters beside the model' },
  { field: 'max_loras', kind: 'count', least: 1, about: 'adapters in one step: slots on the GPU' },
  {
    field: 'max_lora_rank',
    kind: 'count',
    least: 1,
    about: 'rank that slots and kernels are made for',
  },
  {
    field: 'max_cpu_loras',
    kind: 'count',
    least: 1,
    about: 'adapters in host memory, those on the GPU included',
  },
  {
    field: 'kv_offloading_size',
    kind: 'number',
    least: Number.MIN_VALUE,
    most: 1e9,
    about: 'GiB of host memory for KV the prefix cache forgets (more tiers: --config)',
  },
  {
    field: 'kv_offloading_backend',
    kind: 'text',
    about: 'what moves it: native, lmcache; timed alike',
  },
  {
    field: 'input_latency_ms',
    kind: 'number',
    least: 0,
    most: 1e9,
    about: 'HTTP and tokenising before the scheduler sees a request',
  },
];

export const camelCase = (field: string): string =>
  field.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/**
 * Refuses values outside their range.
 *
 * @param name how the surface spells a field
 * @throws {ConfigError}
 */
export function checkEngineOptions(options: PoolOptions, name: (field: string) => string): void {
  const values = options as Readonly<Record<string, unknown>>;
  for (const { field, kind, least = 0, most = Infinity } of ENGINE_OPTIONS) {
    const value = values[camelCase(field)];
    if (value === undefined || kind === 'flag' || kind === 'text') continue;
    const whole = kind === 'number' || Number.isSafeInteger(value);
    if (typeof value === 'number' && whole && value >= least && value <= most) continue;
    throw new ConfigError(name(field), rangeOf(kind, least, most), value);
  }
}

function rangeOf(kind: EngineOption['kind'], least: number, most: number): string {
  if (kind === 'count') return `a whole number of at least ${least}`;
  const from = least === Number.MIN_VALUE ? 'above 0' : `of at least ${least}`;
  return most < 1 ? `a number ${from} and below 1` : `a number ${from} and at most ${most}`;
}
