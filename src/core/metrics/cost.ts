/** What a run cost: GPUs are paid for as long as they are held, idle or not. */

import type { Seconds } from '../units.js';

const SECONDS_PER_HOUR = 3600;

export interface Bill {
  /** In the currency of the price. */
  readonly total: number;
  /** 0 when there were no output tokens. */
  readonly perMillionOutputTokens: number;
}

export function bill(gpuSeconds: Seconds, pricePerGpuHour: number, outputTokens: number): Bill {
  const total = (gpuSeconds / SECONDS_PER_HOUR) * pricePerGpuHour;
  return { total, perMillionOutputTokens: outputTokens > 0 ? (total / outputTokens) * 1e6 : 0 };
}
