/**
 * What one instance did: sums over its steps, from which FLOP, bytes, utilisation and energy follow,
 * and means over time of its queues and its KV.
 */

import { DOUBLE_ZERO } from '../double.js';
import type { StepShape } from '../engine.js';
import type { DurationNs } from '../units.js';

export class InstanceStats {
  numSteps = 0;
  busyNs: DurationNs = DOUBLE_ZERO;
  prefillTokens = DOUBLE_ZERO;
  decodeTokens = DOUBLE_ZERO;
  prefillPairs = DOUBLE_ZERO;
  prefillWindowPairs = DOUBLE_ZERO;
  decodeContext = DOUBLE_ZERO;
  decodeWindowContext = DOUBLE_ZERO;
  numSampled = DOUBLE_ZERO;
  prefixQueries = DOUBLE_ZERO;
  prefixHits = DOUBLE_ZERO;
  draftTokens = 0;
  acceptedTokens = 0;
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
  }

  /** `steps` more of pure decodes; contexts are sums over all of them. */
  decodeSteps(steps: number, numDecodes: number, context: number, windowContext: number): void {
    this.numSteps += steps;
    this.decodeTokens += steps * numDecodes;
    this.numSampled += steps * numDecodes;
    this.decodeContext += context;
    this.decodeWindowContext += windowContext;
  }
}
