/**
 * A function of a non-negative number, remembered at knots and linear between them.
 *
 * Knots are 0 … 8 and then four per octave, so an index is a shift and a mask. Each is computed when
 * first needed: a run that never prefills 8,192 tokens does not pay for that knot.
 */

import type { Seconds } from '../units.js';

/** No cost is negative. */
const NOT_YET = -1;
const KNOTS_PER_OCTAVE = 4;
const FIRST_OCTAVE = 3;
/** 2^18 tokens; beyond, the last two knots are continued. */
const LAST_OCTAVE = 18;
/** Where the octaves would begin if the first eight knots were two of them. */
const ZEROTH_OCTAVE = FIRST_OCTAVE - 8 / KNOTS_PER_OCTAVE;
const LAST_KNOT = 2 ** LAST_OCTAVE;
const NUM_KNOTS = 8 + (LAST_OCTAVE - FIRST_OCTAVE) * KNOTS_PER_OCTAVE + 1;

/** Where the knots are, and one over the distance to the next. */
export const KNOTS = Float64Array.from({ length: NUM_KNOTS }, (_, i) => {
  if (i < 8) return i;
  const octave = FIRST_OCTAVE + ((i - 8) >> 2);
  return 2 ** octave * (1 + ((i - 8) & 3) / KNOTS_PER_OCTAVE);
});
const INVERSE_WIDTHS = KNOTS.map((x, i) => 1 / ((KNOTS[i + 1] ?? 2 * x) - x));

export class LazyTable {
  readonly #values = new Float64Array(NUM_KNOTS).fill(NOT_YET);
  readonly #compute: (x: number) => Seconds;

  constructor(compute: (x: number) => Seconds) {
    this.#compute = compute;
  }

  at(x: number): Seconds {
    const index = knotBelow(x);
    const low = this.#values[index]!;
    const high = this.#values[index + 1]!;
    if (low === NOT_YET || high === NOT_YET) return this.#fillFor(x, index);
    return low + (high - low) * (x - KNOTS[index]!) * INVERSE_WIDTHS[index]!;
  }

  /** At a knot the next one is not needed. */
  #fillFor(x: number, index: number): Seconds {
    this.#fill(index);
    if (x === KNOTS[index]) return this.#values[index]!;
    this.#fill(index + 1);
    return this.at(x);
  }

  #fill(index: number): void {
    if (this.#values[index] === NOT_YET) this.#values[index] = this.#compute(KNOTS[index]!);
  }
}

/** Index of the last knot at or below `x`, and never the very last: there is always one above. */
export function knotBelow(x: number): number {
  if (x >= LAST_KNOT) return NUM_KNOTS - 2;
  // Shifts, and of a whole number: converting at each, or a product, costs more than all the rest.
  const whole = x | 0;
  if (whole < 8) return whole;
  const octave = 31 - Math.clz32(whole);
  return ((octave - ZEROTH_OCTAVE) << 2) | ((whole >> (octave - 2)) & 3);
}
