/** What `bench` sends and when, from its flags: a data set or a trace, and the load of `simulate` over it. */

import {
  bucketsOf,
  mostImagesOf,
  RANDOM_MM,
  type RandomMedia,
} from '../../bench/datasets/random-mm.js';
import type { BenchRequest } from '../../bench/request.js';
import {
  type BenchSource,
  datasetSource,
  randomMediaSource,
  randomSource,
  type SynthesisOptions,
  traceSource,
} from '../../bench/source.js';
import { ConfigError } from '../../core/errors.js';
import { Rng } from '../../core/rng.js';
import type { RandomLengths } from '../../core/workload/lengths/random.js';
import {
  checkLoad,
  DEFAULT_LENGTHS,
  DEFAULT_NUM_PROMPTS,
  type LoadOptions,
} from '../../core/workload/load.js';
import { openTrace } from '../../files/trace-reader.js';
import { type Flags, flagName, type Reader } from '../simulate-flags.js';

interface SourceContext extends SynthesisOptions {
  onWarning(text: string): void;
}

/** Where prompts and lengths come from. @throws {ConfigError} */
export async function sourceOf(
  given: Reader,
  flags: Flags,
  { onWarning, ...synthesis }: SourceContext,
): Promise<BenchSource> {
  const trace = given.text('trace');
  if (trace !== undefined) {
    const options = {
      path: trace,
      format: given.text('trace_format'),
      blockSize: given.count('trace_block_size'),
      onWarning,
    };
    return traceSource(
      { kind: 'trace', speed: given.number('trace_speed') ?? 1, open: () => openTrace(options) },
      { ...synthesis, label: trace },
    );
  }
  const name = given.text('dataset_name') ?? 'random';
  const path = given.text('dataset_path');
  const count = (field: string) => given.count(field);
  if (name === 'random' || name === 'random-mm') {
    if (path !== undefined) throw new ConfigError('--dataset-path', `nothing with ${name}`, path);
    const lengths = lengthsOf(given);
    if (name === 'random') return randomSource(lengths, synthesis);
    return randomMediaSource(lengths, mediaOf(given), synthesis);
  }
  const { backend, seed, tokenizer } = synthesis;
  return datasetSource(name, {
    path,
    seed,
    numPrompts: numPromptsOf(given),
    tokenizer,
    prompts: backend.prompts,
    outputLen: count(`${name}_output_len`) ?? count('output_len'),
    inputLen: count(`${name}_input_len`) ?? count('input_len'),
    prefixLen: count(`${name}_prefix_len`),
    shuffle: flags.disableShuffle !== true,
    oversample: flags.oversample !== false,
    column: given.text('hf_column'),
    split: given.text('hf_split'),
  });
}

function lengthsOf(given: Reader): RandomLengths {
  const ratios = given.ratios('random_range_ratio');
  const count = (field: string) => given.count(field);
  return {
    inputLen: count('random_input_len') ?? count('input_len') ?? DEFAULT_LENGTHS.inputLen,
    outputLen: count('random_output_len') ?? count('output_len') ?? DEFAULT_LENGTHS.outputLen,
    rangeRatio: ratios?.input ?? DEFAULT_LENGTHS.rangeRatio,
    outputRangeRatio: ratios?.output,
    prefixLen: count('random_prefix_len') ?? DEFAULT_LENGTHS.prefixLen,
  };
}

function mediaOf(given: Reader): RandomMedia {
  const text = (field: string, usual: string) => given.text(`random_mm_${field}`) ?? usual;
  return {
    itemsPerRequest: given.count('random_mm_base_items_per_request') ?? RANDOM_MM.itemsPerRequest,
    rangeRatio: given.number('random_mm_num_mm_items_range_ratio') ?? RANDOM_MM.rangeRatio,
    mostImages: mostImagesOf(text('limit_mm_per_prompt', RANDOM_MM.limits)),
    buckets: bucketsOf(text('bucket_config', RANDOM_MM.buckets)),
  };
}

/** 1000 unless said otherwise. @throws {ConfigError} */
function numPromptsOf(given: Reader): number {
  const count = given.count('num_prompts') ?? DEFAULT_NUM_PROMPTS;
  if (count > 0) return count;
  throw new ConfigError('--num-prompts', 'a whole number of at least 1', count);
}

/** When they are sent: the load of `simulate`, with the data set as its source. @throws {ConfigError} */
export function loadOf(given: Reader, source: BenchSource): LoadOptions {
  const strategy = given.text('ramp_up_strategy');
  const ends = [given.number('ramp_up_start_rps'), given.number('ramp_up_end_rps')] as const;
  if (strategy === undefined && ends.some((end) => end !== undefined)) {
    throw new ConfigError('--ramp-up-strategy', 'linear or exponential', undefined);
  }
  const isTrace = given.text('trace') !== undefined;
  const rate = given.rate('request_rate');
  const load: LoadOptions = {
    source: source.load,
    numPrompts: isTrace ? given.count('num_prompts') : (source.numRequests ?? numPromptsOf(given)),
    // A trace keeps its own times; a data set file has none, and goes at once unless a rate is given.
    requestRate: rate ?? (isTrace || strategy !== undefined ? undefined : Infinity),
    burstiness: given.rate('burstiness'),
    maxConcurrency: given.count('max_concurrency'),
    ...(strategy !== undefined && {
      rampUp: {
        strategy: strategy as 'linear',
        startRps: ends[0] ?? Number.NaN,
        endRps: ends[1] ?? Number.NaN,
      },
    }),
  };
  checkLoad(load, flagName);
  return load;
}

/** Every request asks for one of the given models. */
export function withLora(
  source: BenchSource,
  flags: Flags,
  given: Reader,
  seed: number,
): BenchSource {
  const names = flags.loraModules;
  if (!Array.isArray(names) || names.length === 0) return source;
  const how = given.text('lora_assignment') ?? 'random';
  if (how !== 'random' && how !== 'round-robin') {
    throw new ConfigError('--lora-assignment', 'random or round-robin', how);
  }
  const chance = new Rng(seed).stream('lora');
  return {
    ...source,
    requestOf(spec, index): BenchRequest {
      const at = how === 'random' ? chance.integer(0, names.length - 1) : index % names.length;
      return { ...source.requestOf(spec, index), model: names[at] as string };
    },
  };
}
