/**
 * What a run amounts to: the report that every surface prints in its own way.
 *
 * Latencies are summaries over requests (TTFT, TPOT, E2E, queue) or over gaps between tokens (ITL);
 * see `docs/metrics.md` for the formulas. Times are simulated.
 */

import type { DurationNs, Milliseconds } from '../units.js';
import type { SpeculationCounts } from './speculation-stats.js';

/** Order statistics of one metric. Quantiles come from a sketch (relative error < 0.4 %) unless `exact`. */
export interface LatencySummary {
  readonly count: number;
  readonly meanMs: Milliseconds;
  readonly stdMs: Milliseconds;
  readonly minMs: Milliseconds;
  readonly maxMs: Milliseconds;
  readonly exact: boolean;
  /** Value below which a fraction `q` in [0, 1] of the samples lies; 0 when there are none. */
  quantileMs(q: number): Milliseconds;
}

export interface InstanceReport {
  readonly pool: number;
  readonly instance: number;
  readonly numSteps: number;
  /** Time during which a step was under way. */
  readonly busyNs: DurationNs;
  /**
   * Where a step can be under way without anything to compute: the time in which a pipeline stage, on
   * average, or a rank in lock-step computed. What is missing to `busyNs` are bubbles.
   */
  readonly workNs?: DurationNs;
  readonly prefillTokens: number;
  readonly decodeTokens: number;
  /** Sums over all steps of the shape's fields: what FLOP and bytes are computed from. */
  readonly prefillPairs: number;
  readonly prefillWindowPairs: number;
  readonly decodeContext: number;
  readonly decodeWindowContext: number;
  readonly numSampled: number;
  /** Steps that carry prompt tokens, and the sums over the decodes in them. */
  readonly numPrefillSteps: number;
  readonly mixedDecodeTokens: number;
  readonly mixedDecodeContext: number;
  readonly mixedDecodeWindowContext: number;
  readonly numPreemptions: number;
  readonly numBlocks: number;
  readonly peakBlocksUsed: number;
  /** Time-weighted means over the whole run. */
  readonly meanBlocksUsed: number;
  readonly meanRunning: number;
  readonly meanWaiting: number;
  readonly peakRunning: number;
  readonly peakWaiting: number;
  /** Tokens looked up in the prefix cache at admission, and found there. */
  readonly prefixQueries: number;
  readonly prefixHits: number;
  /** With speculation: drafts verified, and how many of them held. */
  readonly speculation?: SpeculationCounts;
  /** With LoRA adapters: how they came and went. */
  readonly lora?: LoraReport;
  /** With KV tiers: what each of them found and moved, from fast to slow. */
  readonly kvTiers?: readonly KvTierReport[];
}

export interface KvTierReport {
  readonly name: string;
  readonly capacityBlocks: number;
  /** Blocks it holds at the end. */
  readonly numBlocks: number;
  /** Tokens looked up in it, because nothing faster had them, and found. */
  readonly queryTokens: number;
  readonly hitTokens: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly evictedBlocks: number;
  /** Time its link spent reading and writing; the two may overlap. */
  readonly readNs: DurationNs;
  readonly writeNs: DurationNs;
}

export interface LoraReport {
  /** Adapters put into a slot of the GPU, and those of them that came from disk. */
  readonly loads: number;
  readonly fetches: number;
  /** Adapters that lost their slot, and that left host memory. */
  readonly evictions: number;
  readonly cpuEvictions: number;
  /** For how long steps waited for them. */
  readonly loadNs: DurationNs;
}

export interface RunReport {
  /** From the first arrival to the last event. */
  readonly durationNs: DurationNs;
  readonly submitted: number;
  readonly completed: number;
  readonly aborted: number;
  readonly rejected: number;
  /** Submitted and neither ended nor able to go on, or cut off when the run was stopped. */
  readonly unfinished: number;
  /** Of completed requests. */
  readonly totalInputTokens: number;
  readonly totalOutputTokens: number;
  readonly totalCachedTokens: number;
  readonly ttft: LatencySummary;
  readonly tpot: LatencySummary;
  readonly itl: LatencySummary;
  readonly e2el: LatencySummary;
  readonly queue: LatencySummary;
  /** Completed requests that met every bound of `--goodput`; absent when none was given. */
  readonly good?: number;
  readonly instances: readonly InstanceReport[];
  /** Whether work was left that no future event could have moved (a prompt larger than the pool). */
  readonly stuck: boolean;
}

/** Bounds a good request meets, in milliseconds: vLLM's `--goodput ttft:… tpot:… e2el:…`. */
export interface Slo {
  readonly ttftMs?: Milliseconds;
  readonly tpotMs?: Milliseconds;
  readonly e2elMs?: Milliseconds;
}
