/**
 * Pipeline stages, as a flow shop: a batch enters a stage when it has left the one before and the stage
 * is free. Each takes an equal part of what the batch costs. Times are from now, so that they stay exact.
 */

import type { Batch } from '../sched/batch.js';
import { TICKS_PER_NS, type Ticks, type TimeNs } from '../units.js';

export class Stages {
  /** When each will be free. */
  readonly #freeIn: Float64Array;

  constructor(count: number) {
    this.#freeIn = new Float64Array(count);
  }

  enter(batch: Batch, now: TimeNs): void {
    const freeIn = this.#freeIn;
    const part = Math.round(batch.ticks / freeIn.length);
    batch.startedAt = now + Math.floor(freeIn[0]! / TICKS_PER_NS);
    let leavesIn = 0;
    for (let i = 0; i < freeIn.length; i++) {
      leavesIn = Math.max(leavesIn, freeIn[i]!) + part;
      freeIn[i] = leavesIn;
    }
    batch.leavesIn = leavesIn;
  }

  elapse(ticks: Ticks): void {
    const freeIn = this.#freeIn;
    for (let i = 0; i < freeIn.length; i++) freeIn[i] = Math.max(0, freeIn[i]! - ticks);
  }
}
