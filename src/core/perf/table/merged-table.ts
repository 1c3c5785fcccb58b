/**
 * A function of a number, computed at given knots and linear between them. Each knot, and each whole
 * number that is asked for, is remembered when first met: steps ask for whole numbers of tokens.
 */

import type { Seconds } from '../../units.js';
import { AxisValues } from './axis-values.js';

/** No cost is negative. */
const NOT_YET = -1;
/** Whole numbers below this are remembered. */
const NUM_WHOLE = 16_384;

export class MergedTable {
  readonly #knots: AxisValues;
  readonly #values: Float64Array;
  readonly #whole = new Float64Array(NUM_WHOLE).fill(NOT_YET);

  /** @param knots in any order; at least two differ. Beyond the ends the nearest two are continued. */
  constructor(
    knots: Iterable<number>,
    private readonly compute: (x: number) => Seconds,
  ) {
    this.#knots = new AxisValues(knots);
    this.#values = new Float64Array(this.#knots.count).fill(NOT_YET);
  }

  at(x: number): Seconds {
    if (!(x < NUM_WHOLE && Math.floor(x) === x)) return this.#between(x);
    const known = this.#whole[x]!;
    if (known !== NOT_YET) return known;
    const made = this.#between(x);
    this.#whole[x] = made;
    return made;
  }

  #between(x: number): Seconds {
    const knots = this.#knots;
    const i = Math.min(knots.below(x), knots.count - 2);
    const low = this.#value(i);
    const from = knots.at(i);
    if (x === from) return low;
    return low + ((this.#value(i + 1) - low) * (x - from)) / (knots.at(i + 1) - from);
  }

  #value(i: number): Seconds {
    const known = this.#values[i]!;
    if (known !== NOT_YET) return known;
    const made = this.compute(this.#knots.at(i));
    this.#values[i] = made;
    return made;
  }
}
