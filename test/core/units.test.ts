/** The clock's grid: every cost rounded to the nearest of its ticks. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { onClock, TICKS_PER_NS } from '../../src/core/units.js';

const TICKS_PER_S = TICKS_PER_NS * 1e9;

describe('onClock', () => {
  it('rounds to the nearest tick, halves up, and to whole nanoseconds above 17 s', () => {
    const seconds = fc.oneof(
      fc.double({ min: 0, max: 1e-9, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.integer({ min: 0, max: 2 ** 30 }).map((n) => (n + 0.5) / TICKS_PER_S),
    );
    fc.assert(
      fc.property(seconds, (s) => {
        const ticks = Math.round(s * TICKS_PER_S);
        const whole = Math.round(ticks / TICKS_PER_NS) * TICKS_PER_NS;
        expect(onClock(s)).toBe(ticks < 2 ** 50 ? ticks : whole);
      }),
      { numRuns: 2000, seed: 1 },
    );
  });
});
