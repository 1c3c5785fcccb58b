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
const NUM_KNOTS = 8 + (LAST_OCTAVE - FIRST_OCTAVE) * KNOTS_PER_OCTAVE + 1;

export class LazyTable {
  readonly #values = new Float64Array(NUM_KNOTS).fill(NOT_YET);

  constructor(private readonly compute: (x: number) => Seconds) {}

  at(x: number): Seconds {
    const index = knotBelow(x);
    const low = this.#knot(index);
    const start = knotAt(index);
    if (x === start) return low;
    return low + ((this.#knot(index + 1) - low) * (x - start)) / (knotAt(index + 1) - start);
  }

  #knot(index: number): Seconds {
    const value = this.#values[index]!;
    if (value !== NOT_YET) return value;
    const computed = this.compute(knotAt(index));
    this.#values[index] = computed;
    return computed;
  }
}

/** Index of the last knot at or below `x`, and never the very last: there is always one above. */
function knotBelow(x: number): number {
  if (x < 8) return Math.floor(x);
  const octave = 31 - Math.clz32(x);
  const index = 8 + (octave - FIRST_OCTAVE) * KNOTS_PER_OCTAVE + ((x >> (octave - 2)) & 3);
  return index < NUM_KNOTS - 1 ? index : NUM_KNOTS - 2;
}

function knotAt(index: number): number {
  if (index < 8) return index;
  const octave = FIRST_OCTAVE + ((index - 8) >> 2);
  return 2 ** octave * (1 + ((index - 8) & 3) / KNOTS_PER_OCTAVE);
}
