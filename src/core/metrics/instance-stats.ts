/**
 * What one instance did: sums over its steps, from which FLOP, bytes, utilisation and energy follow,
 * and means over time of its queues and its KV.
 */

import { DOUBLE_ZERO } from '../double.js';
import type { StepShape } from '../engine.js';
import type { DurationNs } from '../units.js';
import type { InstanceReport } from './report.js';

/** What an instance's report says of its steps and of means over time. */
export type StatsSummary = Omit<
  InstanceReport,
  | 'pool'
  | 'instance'
  | 'numPreemptions'
  | 'numBlocks'
  | 'speculation'
  | 'workNs'
  | 'lora'
  | 'kvTiers'
>;

export class InstanceStats {
  numSteps = 0;
  busyNs: DurationNs = DOUBLE_ZERO;
  workNs: DurationNs = DOUBLE_ZERO;
  prefillTokens = DOUBLE_ZERO;
  decodeTokens = DOUBLE_ZERO;
  prefillPairs = DOUBLE_ZERO;
  prefillWindowPairs = DOUBLE_ZERO;
  decodeContext = DOUBLE_ZERO;
  decodeWindowContext = DOUBLE_ZERO;
  numSampled = DOUBLE_ZERO;
  numPrefillSteps = 0;
  mixedDecodeTokens = DOUBLE_ZERO;
  mixedDecodeContext = DOUBLE_ZERO;
  mixedDecodeWindowContext = DOUBLE_ZERO;
  prefixQueries = DOUBLE_ZERO;
  prefixHits = DOUBLE_ZERO;
  peakBlocksUsed = 0;
  peakRunning = 0;
  peakWaiting = 0;
  /** Integrals over time, in request·ns and token·ns. */
  runningTime = DOUBLE_ZERO;
  waitingTime = DOUBLE_ZERO;
  residentTime = DOUBLE_ZERO;

  /** One step of this shape begins. */
  step(shape: StepShape): void {
    this.numSteps++;
    this.prefillTokens += shape.prefillTokens;
    this.prefillPairs += shape.prefillPairs;
    this.prefillWindowPairs += shape.prefillWindowPairs;
    this.numSampled += shape.numSampled;
    this.decodeTokens += shape.numDecodes;
    this.decodeContext += shape.decodeContext;
    this.decodeWindowContext += shape.decodeWindowContext;
    if (shape.prefillTokens === 0) return;
    this.numPrefillSteps++;
    this.mixedDecodeTokens += shape.numDecodes;
    this.mixedDecodeContext += shape.decodeContext;
    this.mixedDecodeWindowContext += shape.decodeWindowContext;
  }

  /** `steps` more of pure decodes; contexts are sums over all of them. */
  decodeSteps(steps: number, numDecodes: number, context: number, windowContext: number): void {
    this.numSteps += steps;
    this.decodeTokens += steps * numDecodes;
    this.numSampled += steps * numDecodes;
    this.decodeContext += context;
    this.decodeWindowContext += windowContext;
  }

  /** Its part of the report of a run that took `durationNs`. */
  summary(durationNs: DurationNs, blockSize: number): StatsSummary {
    const mean = (integral: number): number => (durationNs > 0 ? integral / durationNs : 0);
    return {
      numSteps: this.numSteps,
      busyNs: this.busyNs + 0,
      prefillTokens: this.prefillTokens + 0,
      decodeTokens: this.decodeTokens + 0,
      prefillPairs: this.prefillPairs + 0,
      prefillWindowPairs: this.prefillWindowPairs + 0,
      decodeContext: this.decodeContext + 0,
      decodeWindowContext: this.decodeWindowContext + 0,
      numSampled: this.numSampled + 0,
      numPrefillSteps: this.numPrefillSteps,
      mixedDecodeTokens: this.mixedDecodeTokens + 0,
      mixedDecodeContext: this.mixedDecodeContext + 0,
      mixedDecodeWindowContext: this.mixedDecodeWindowContext + 0,
      peakBlocksUsed: this.peakBlocksUsed,
      meanBlocksUsed: mean(this.residentTime) / blockSize,
      meanRunning: mean(this.runningTime),
      meanWaiting: mean(this.waitingTime),
      peakRunning: this.peakRunning,
      peakWaiting: this.peakWaiting,
      prefixQueries: this.prefixQueries + 0,
      prefixHits: this.prefixHits + 0,
    };
  }
}
