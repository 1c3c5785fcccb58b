/**
 * Where a function of a number of tokens or sequences is known: at 0 … 8, and then four times per octave.
 *
 * A knot has three bits and then zeros, so that shifting a number until three are left tells both the
 * octave and the quarter of it.
 */

const KNOTS_PER_OCTAVE = 4;
/** Of the first knot that has a fourth bit. */
const FIRST_OCTAVE = 3;
/** 2^18 tokens; beyond, the last two knots are continued. */
const LAST_OCTAVE = 18;
const LAST_KNOT = 2 ** LAST_OCTAVE;
const NUM_KNOTS = 8 + (LAST_OCTAVE - FIRST_OCTAVE) * KNOTS_PER_OCTAVE + 1;

export const KNOTS = Float64Array.from({ length: NUM_KNOTS }, (_, i) => {
  const shift = Math.max(0, Math.floor(i / KNOTS_PER_OCTAVE) - 1);
  return (i - shift * KNOTS_PER_OCTAVE) * 2 ** shift;
});

/** Index of the last knot at or below `x`, and never the very last: there is always one above. */
export function knotBelow(x: number): number {
  if (x >= LAST_KNOT) return NUM_KNOTS - 2;
  // Shifts, and of a whole number: converting at each, or a product, costs more than all the rest.
  const whole = x | 0;
  if (whole < 8) return whole;
  const shift = 29 - Math.clz32(whole);
  return (shift << 2) + (whole >> shift);
}
