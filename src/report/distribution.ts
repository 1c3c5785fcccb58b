/**
 * A distribution as one line of block characters, from its quantiles alone.
 *
 * The line runs from the smallest sample to the largest, logarithmically, because latencies spread over
 * decades; a block's height is the share of samples in its bin.
 */

import type { LatencySummary } from '../core/metrics/report.js';

const BLOCKS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const NUM_QUANTILES = 100;

/** Empty when there is nothing to see: no samples, or all alike. */
export function distribution(latency: LatencySummary, numBins = 24): string {
  const low = Math.max(latency.minMs, latency.maxMs * 1e-4);
  if (latency.count < 2 || !(latency.maxMs > low * 1.001)) return '';
  const scale = numBins / Math.log(latency.maxMs / low);
  const bins = new Array<number>(numBins).fill(0);
  for (let i = 0; i < NUM_QUANTILES; i++) {
    const ms = latency.quantileMs((i + 0.5) / NUM_QUANTILES);
    const bin = Math.floor(scale * Math.log(Math.max(ms, low) / low));
    bins[Math.max(0, Math.min(numBins - 1, bin))]!++;
  }
  // Both ends have a sample, even where no quantile fell.
  bins[0] ||= 1;
  bins[numBins - 1] ||= 1;
  const most = Math.max(...bins);
  return bins.map((count) => BLOCKS[count === 0 ? 0 : Math.ceil((8 * count) / most)]).join('');
}
