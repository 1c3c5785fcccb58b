/** Instances for tests: small pools, and steps that cost what the test says. */

import type { InstanceConfig, SchedulerConfig } from '../../src/core/engine.js';
import { onClock } from '../../src/core/units.js';

export const SMALL_SCHEDULER: SchedulerConfig = {
  blockSize: 4,
  numGpuBlocks: 101,
  maxNumBatchedTokens: 64,
  maxNumScheduledTokens: 64,
  maxNumSeqs: 8,
  maxNumActiveSeqs: 8,
  maxModelLen: 256,
  enableChunkedPrefill: true,
  enablePrefixCaching: false,
  longPrefillTokenThreshold: 0,
  longPrefillTokenThresholdAdaptive: false,
  schedulerReserveFullIsl: true,
  watermark: 0,
  prefillScheduleInterval: 1,
  schedulerRecvInterval: 1,
  batchWaitTimeoutIters: 0,
  batchWaitMaxTokensRatio: 0,
  policy: 'fcfs',
  asyncScheduling: false,
  numSpeculativeTokens: 0,
};

export interface SmallOptions {
  /** Milliseconds of every step. */
  readonly stepMs?: number;
  readonly scheduler?: Partial<SchedulerConfig>;
}

export function smallInstance({ stepMs = 1, scheduler }: SmallOptions = {}): InstanceConfig {
  const ticks = onClock(stepMs / 1e3);
  return {
    pool: 0,
    scheduler: { ...SMALL_SCHEDULER, ...scheduler },
    cost: {
      base: () => ticks,
      contextSlope: () => 0,
      windowSlope: () => 0,
      window: Infinity,
      emptyStep: 0,
    },
  };
}
