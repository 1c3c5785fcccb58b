/** The limits of an engine: what the user said, checked, or the engine's defaults for this GPU. */

import { ConfigError } from '../errors.js';
import type { GpuSpec } from '../model/gpu.js';
import type { PoolOptions } from '../scenario.js';
import { GIB } from '../units.js';
import type { EngineProfile } from './engine-profile.js';

export interface Limits {
  readonly blockSize: number;
  readonly maxNumSeqs: number;
  readonly maxNumBatchedTokens: number;
  /** Of GPU memory, in (0, 1]. */
  readonly utilization: number;
  readonly enableChunkedPrefill: boolean;
}

/** From this memory on, vLLM takes larger defaults; the A100 is excepted by name there too. */
const LARGE_BYTES = 70 * GIB;

/** @throws {ConfigError} naming the flag of the first option out of range. */
export function engineLimits(
  options: PoolOptions,
  { defaults }: EngineProfile,
  gpu: GpuSpec,
): Limits {
  checkOptions(options);
  const large = gpu.memoryBytes >= LARGE_BYTES && !gpu.name.startsWith('A100');
  return {
    blockSize: options.blockSize ?? defaults.blockSize,
    maxNumSeqs: options.maxNumSeqs ?? (large ? defaults.maxNumSeqsLarge : defaults.maxNumSeqs),
    maxNumBatchedTokens:
      options.maxNumBatchedTokens ??
      (large ? defaults.maxNumBatchedTokensLarge : defaults.maxNumBatchedTokens),
    utilization: options.gpuMemoryUtilization ?? defaults.gpuMemoryUtilization,
    enableChunkedPrefill: options.enableChunkedPrefill ?? defaults.enableChunkedPrefill,
  };
}

const COUNTS = {
  '--block-size': 'blockSize',
  '--max-num-seqs': 'maxNumSeqs',
  '--max-num-active-seqs': 'maxNumActiveSeqs',
  '--max-num-batched-tokens': 'maxNumBatchedTokens',
  '--max-num-scheduled-tokens': 'maxNumScheduledTokens',
  '--max-model-len': 'maxModelLen',
  '--num-gpu-blocks-override': 'numGpuBlocksOverride',
  '--prefill-schedule-interval': 'prefillScheduleInterval',
  '--scheduler-recv-interval': 'schedulerRecvInterval',
} as const satisfies Record<string, keyof PoolOptions>;

function checkOptions(options: PoolOptions): void {
  for (const [flag, name] of Object.entries(COUNTS)) {
    const value = options[name];
    if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
      throw new ConfigError(flag, 'a whole number, at least 1', value);
    }
  }
  within(
    '--gpu-memory-utilization',
    options.gpuMemoryUtilization,
    (x) => x > 0 && x <= 1,
    '(0, 1]',
  );
  within('--watermark', options.watermark, (x) => x >= 0 && x < 1, '[0, 1)');
  within(
    '--batch-wait-timeout-iters',
    options.batchWaitTimeoutIters,
    (x) => Number.isInteger(x) && x >= 0,
    '0, 1, 2, ...',
  );
  within(
    '--batch-wait-max-tokens-ratio',
    options.batchWaitMaxTokensRatio,
    (x) => x >= 0 && x <= 1,
    '[0, 1]',
  );
  within('--input-latency', options.inputLatencyMs, (x) => x >= 0, '[0, ∞) milliseconds');
  checkCadence(options);
}

/** Engines hold prefill back in three ways. That of TensorRT-LLM has two numbers, and with one of them waits for nothing. */
function checkCadence(options: PoolOptions): void {
  const { prefillScheduleInterval: nth, schedulerRecvInterval: poll } = options;
  const { batchWaitTimeoutIters: iters, batchWaitMaxTokensRatio: ratio } = options;
  const ways: readonly (readonly [flag: string, value: number | undefined, off: number])[] = [
    ['--prefill-schedule-interval', nth, 1],
    ['--scheduler-recv-interval', poll, 1],
    ['--batch-wait-timeout-iters', iters, 0],
  ];
  const [one, other] = ways.filter(([, value, off]) => (value ?? off) > off);
  if (one && other) {
    const expected = `no ${one[0]} beside it: there is one way of holding prefill back`;
    throw new ConfigError(other[0], expected, other[1]);
  }
  const both = 'a number above 0: prompts wait by both or not at all';
  if (iters && !ratio) throw new ConfigError('--batch-wait-max-tokens-ratio', both, ratio);
  if (ratio && !iters) throw new ConfigError('--batch-wait-timeout-iters', both, iters);
}

function within(
  flag: string,
  value: number | undefined,
  holds: (x: number) => boolean,
  range: string,
): void {
  if (value !== undefined && !holds(value))
    throw new ConfigError(flag, `a number in ${range}`, value);
}
