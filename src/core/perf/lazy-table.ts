/**
 * A function of a non-negative number, computed at knots and linear between them. Each knot, and each
 * whole number that is asked for, is remembered when first met: steps ask for whole numbers of tokens,
 * and a run that never prefills 8,192 of them does not pay for that knot.
 */

import type { Seconds } from '../units.js';
import { AxisValues } from './axis-values.js';
import { KNOTS } from './knots.js';

/** No cost is negative. */
const NOT_YET = -1;
/** Whole numbers below this are remembered. */
const MOST_WHOLE = 16_384;
const EVENLY = new AxisValues(KNOTS);

export class LazyTable {
  readonly #values: Float64Array;
  /** By whole number; as long as it had to be so far. */
  #whole = new Float64Array(0);

  /** @param knots at least two. Beyond the ends the nearest two are continued. */
  constructor(
    private readonly compute: (x: number) => Seconds,
    private readonly knots: AxisValues = EVENLY,
  ) {
    this.#values = new Float64Array(knots.count).fill(NOT_YET);
  }

  at(x: number): Seconds {
    const whole = x | 0;
    if (whole !== x || whole >= MOST_WHOLE) return this.#between(x);
    if (whole >= this.#whole.length || this.#whole[whole] === NOT_YET) this.#remember(whole);
    return this.#whole[whole]!;
  }

  #remember(whole: number): void {
    const known = this.#whole;
    if (whole >= known.length) {
      this.#whole = new Float64Array(2 ** (32 - Math.clz32(whole))).fill(NOT_YET);
      this.#whole.set(known);
    }
    this.#whole[whole] = this.#between(whole);
  }

  #between(x: number): Seconds {
    const { knots } = this;
    const i = Math.min(knots.below(x), knots.count - 2);
    const low = this.#value(i);
    const from = knots.at(i);
    // At a knot the next one is not needed.
    if (x === from) return low;
    return low + ((this.#value(i + 1) - low) * (x - from)) / (knots.at(i + 1) - from);
  }

  #value(i: number): Seconds {
    const known = this.#values[i]!;
    if (known !== NOT_YET) return known;
    const made = this.compute(this.knots.at(i));
    this.#values[i] = made;
    return made;
  }
}
