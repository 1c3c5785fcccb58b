/**
 * The values that were measured along an axis, and where a number lies among them.
 *
 * Nothing is searched: which knot of `knots.ts` lies below a number takes a few shifts, and where
 * each of them lies among the values is written down here. From there it is a step or none, because
 * measured sizes are spread much like the knots are. After the last value comes infinity, towards which
 * no number makes any way: the edge is no special case.
 */

import { KNOTS, knotBelow } from './knots.js';

export class AxisValues {
  readonly count: number;
  /** Rising, and one more: infinity. */
  readonly #values: Float64Array;
  /** By knot: index of the last value at or below it; 0 where there is none. */
  readonly #start: Int32Array;

  /** @param values at least one, none negative, in any order */
  constructor(values: Iterable<number>) {
    const rising = Float64Array.from(new Set([...values, Number.POSITIVE_INFINITY])).sort();
    this.count = rising.length - 1;
    this.#values = rising;
    let i = 0;
    this.#start = Int32Array.from(KNOTS, (knot) => {
      while (rising[i + 1]! <= knot) i++;
      return i;
    });
  }

  /** Index of the last value at or below `x`, which is finite; of the first if there is none. */
  below(x: number): number {
    let i = this.#start[knotBelow(x)]!;
    while (this.#values[i + 1]! <= x) i++;
    return i;
  }

  /** How far `x` is on the way from value `i`, which is `below(x)`, to the next; 0 outside of the values. */
  partOf(x: number, i: number): number {
    const low = this.#values[i]!;
    return Math.max(0, (x - low) / (this.#values[i + 1]! - low));
  }

  at(i: number): number {
    return this.#values[i]!;
  }

  all(): number[] {
    return [...this.#values.subarray(0, this.count)];
  }

  covers(x: number): boolean {
    return x >= this.#values[0]! && x <= this.#values[this.count - 1]!;
  }
}
