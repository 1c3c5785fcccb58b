/**
 * A run: steps that decide alike, known only by their number and by how long each lasts.
 *
 * The first step lasts `first`; step j ≥ 1 lasts `next + (j − 1)·growth`, because the context of a
 * decode grows by one a step and the cost is affine in it. All three are integers on the clock's grid,
 * so the end of any step has a closed form and a run may be cut anywhere without moving any time. A
 * single step is a run of length 1.
 */

import { DOUBLE_ZERO } from '../double.js';
import { TICKS_PER_NS, type Ticks, type TimeNs } from '../units.js';

export class Run {
  /** Start of the step under way: whole nanoseconds and a carried fraction in ticks. */
  startNs: TimeNs = DOUBLE_ZERO;
  #fraction: Ticks = DOUBLE_ZERO;
  steps = 0;
  /** When the last of its steps is over. */
  endNs: TimeNs = DOUBLE_ZERO;
  first: Ticks = DOUBLE_ZERO;
  next: Ticks = DOUBLE_ZERO;
  growth: Ticks = DOUBLE_ZERO;

  constructor() {
    this.startNs = 0; // An instant that is told: no minus zero.
  }

  /** Begins at the point in time where the last run ended. */
  open(first: Ticks, next: Ticks, growth: Ticks): void {
    this.first = first;
    this.next = next;
    this.growth = growth;
    this.steps = 1;
    this.endNs = this.endOfStep(1);
  }

  /** Makes the run `steps` steps long. */
  resize(steps: number): void {
    this.steps = steps;
    this.endNs = this.endOfStep(steps);
  }

  /** Time passed without a step. */
  jumpTo(at: TimeNs): void {
    this.startNs = at;
    this.#fraction = 0;
  }

  /** When the first `steps` steps are over. */
  endOfStep(steps: number): TimeNs {
    return this.startNs + Math.floor((this.#fraction + this.ticks(steps)) / TICKS_PER_NS);
  }

  /** How long the first `steps` steps last together. */
  ticks(steps: number): Ticks {
    const more = steps - 1;
    return steps === 0
      ? 0
      : this.first + more * this.next + this.growth * ((more * (more - 1)) / 2);
  }

  /** The fewest steps whose end is not before `at`; at least 1, at most `limit`. */
  stepsUntil(at: TimeNs, limit: number): number {
    const target = (at - this.startNs) * TICKS_PER_NS - this.#fraction;
    if (this.first >= target || limit <= 1) return 1;
    if (this.ticks(limit) <= target) return limit;
    // first + m·next + growth·m(m−1)/2 = target, solved in floats and corrected in integers.
    const half = this.growth / 2;
    const linear = this.next - half;
    const rest = target - this.first;
    const root =
      half > 0
        ? (2 * rest) / (linear + Math.sqrt(linear * linear + 4 * half * rest))
        : rest / this.next;
    let steps = Math.max(1, Math.min(limit, Math.ceil(root) + 1));
    while (steps > 1 && this.ticks(steps - 1) >= target) steps--;
    while (steps < limit && this.ticks(steps) < target) steps++;
    return steps;
  }

  /** The first `steps` steps are over; fewer than there are. */
  slide(steps: number): void {
    if (steps === 0) return;
    const endNs = this.endOfStep(steps);
    this.#fraction += this.ticks(steps) - (endNs - this.startNs) * TICKS_PER_NS;
    this.startNs = endNs;
    this.first = this.next + (steps - 1) * this.growth;
    this.next += steps * this.growth;
    this.steps -= steps;
  }

  /** The last step is over. */
  finish(): void {
    this.#fraction += this.first - (this.endNs - this.startNs) * TICKS_PER_NS;
    this.startNs = this.endNs;
    this.steps = 0;
  }
}
