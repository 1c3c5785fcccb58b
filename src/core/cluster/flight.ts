/**
 * The batches that have been called and not delivered, oldest first, when a call is made.
 *
 *   synchronous          none: a step delivers the batch it was called with
 *   asynchronous         one: a call is made while the batch before is computed
 *   s pipeline stages    s − 1: every stage is busy with a batch of its own
 *
 * While fewer are in flight than may be, a call follows the one before in the same instant; then the
 * oldest is waited for. This is the batch queue of vLLM's engine core (`step_with_batch_queue`).
 */

import type { SchedulerConfig } from '../engine.js';
import type { Batch } from '../sched/batch.js';
import { stagesOf } from '../sched/speculation.js';
import type { Ticks, TimeNs } from '../units.js';
import { Stages } from './stages.js';

export class Flight {
  /** Batches a call may find in flight. */
  readonly depth: number;
  readonly #stages: Stages | undefined;
  readonly #batches: Batch[] = [];

  constructor(config: SchedulerConfig) {
    const stages = stagesOf(config);
    this.depth = stages > 1 ? stages - 1 : config.asyncScheduling ? 1 : 0;
    this.#stages = stages > 1 ? new Stages(stages) : undefined;
  }

  get batches(): readonly Batch[] {
    return this.#batches;
  }

  get oldest(): Batch | undefined {
    return this.#batches[0];
  }

  /** `batch` is called and priced at `now`: it goes to the first stage. */
  enter(batch: Batch, now: TimeNs): void {
    if (this.#stages && batch.numTokens > 0) this.#stages.enter(batch, now);
  }

  /** Whether another call follows `batch` at once, so that the step begun with it delivers nothing. */
  fillsUp({ numTokens }: Batch): boolean {
    if (this.#batches.length >= this.depth) return false;
    return numTokens > 0 || this.#batches.length === 0;
  }

  /** From now until the oldest is computed. */
  get untilOldest(): Ticks {
    const { oldest } = this;
    if (!oldest) return 0;
    return this.#stages ? oldest.leavesIn : oldest.ticks;
  }

  /** A run of steps alike: `batch` takes the place of the one in flight. */
  replaceOldest(batch: Batch): void {
    this.#batches[0] = batch;
  }

  /** What is in flight brings nothing. */
  clear(): void {
    this.#batches.length = 0;
  }

  /** When `batch`, whose step is over, began to be computed. */
  startOf(batch: Batch, stepStart: TimeNs): TimeNs {
    return this.#stages ? batch.startedAt : stepStart;
  }

  /** The batch delivered by a step in which `called` was called; `undefined`: none. */
  takeDelivered(called: Batch): Batch | undefined {
    if (this.depth === 0) return called;
    return this.fillsUp(called) ? undefined : this.#batches.shift();
  }

  /** The batch called in a step that is over is in flight. An empty one only where `evenEmpty`: stages have nothing to do with it. */
  push(batch: Batch, evenEmpty: boolean): void {
    if (batch.numTokens > 0 || (evenEmpty && !this.#stages)) this.#batches.push(batch);
  }

  /** A step of `ticks` is over, in which `called` was called. */
  elapse(ticks: Ticks, called: Batch): void {
    if (!this.#stages) return;
    this.#stages.elapse(ticks);
    called.leavesIn -= ticks;
    for (const batch of this.#batches) batch.leavesIn -= ticks;
  }
}
