/**
 * A run: steps that decide alike, known only by their number and by how long each lasts.
 *
 * The first step lasts `first`; step j ≥ 1 lasts `next + (j − 1)·growth`, because the context of a
 * decode grows by one a step and the cost is affine in it. All three are integers on the clock's grid,
 * so the end of any step has a closed form and a run may be cut anywhere without moving any time. A
 * single step is a run of length 1.
 */

import { TICKS_PER_NS, type Ticks, type TimeNs } from '../units.js';

export class Run {
  /** Start of the step under way: whole nanoseconds and a carried fraction in ticks. */
  startNs: TimeNs = 0;
  #fraction: Ticks = 0;
  steps = 0;
  first: Ticks = 0;
  next: Ticks = 0;
  growth: Ticks = 0;

  /** Begins at the point in time where the last run ended. */
  open(first: Ticks, next: Ticks, growth: Ticks): void {
    this.steps = 1;
    this.first = first;
    this.next = next;
    this.growth = growth;
  }

  /** Time passed without a step. */
  jumpTo(at: TimeNs): void {
    this.startNs = at;
    this.#fraction = 0;
  }

  get endNs(): TimeNs {
    return this.endOfStep(this.steps);
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
    this.#advance(this.ticks(steps));
    this.first = this.next + (steps - 1) * this.growth;
    this.next += steps * this.growth;
    this.steps -= steps;
  }

  /** The last step is over. */
  finish(): void {
    this.#advance(this.first);
    this.steps = 0;
  }

  #advance(ticks: Ticks): void {
    const sum = this.#fraction + ticks;
    const ns = Math.floor(sum / TICKS_PER_NS);
    this.startNs += ns;
    this.#fraction = sum - ns * TICKS_PER_NS;
  }
}
