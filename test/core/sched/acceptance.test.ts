import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rng } from '../../../src/core/rng.js';
import {
  DEFAULT_ACCEPTANCE,
  DrawnAcceptance,
  drawnAcceptance,
  survivalOfCounts,
  survivalOfRates,
} from '../../../src/core/sched/acceptance.js';

const stream = (seed = 1) => new Rng(seed).stream('acceptance');

describe('Acceptance', () => {
  it('multiplies rates by position, the last one standing for all further', () => {
    expect([...survivalOfRates([0.8, 0.5], 4)]).toEqual([0.8, 0.4, 0.2, 0.1]);
  });

  it('makes of recorded counts how often at least so many held', () => {
    expect([...survivalOfCounts([0, 1, 3, 3], 4)]).toEqual([0.75, 0.5, 0.5, 0]);
  });

  it('accepts as often as its rates say', () => {
    const acceptance = new DrawnAcceptance([survivalOfRates([0.8, 0.5], 2)], stream());
    const counts = [0, 0, 0];
    for (let i = 0; i < 10_000; i++) counts[acceptance.accepted({ index: 0 }, 2)]!++;
    // Standard deviation is below 50.
    [2000, 4000, 4000].forEach((expected, i) => {
      expect(Math.abs(counts[i]! - expected)).toBeLessThan(200);
    });
  });

  it('accepts everything at 1, nothing at 0, and never more than was drafted', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.nat(), fc.integer(), (k, drafts, seed) => {
        const of = (rate: number) =>
          new DrawnAcceptance([survivalOfRates([rate], k)], stream(seed));
        const numDrafts = drafts % (k + 1);
        expect(of(1).accepted({ index: 0 }, numDrafts)).toBe(numDrafts);
        expect(of(0).accepted({ index: 0 }, numDrafts)).toBe(0);
        expect(of(0.5).accepted({ index: 0 }, numDrafts)).toBeLessThanOrEqual(numDrafts);
      }),
    );
  });

  it('gives each request the counts of one recorded request', () => {
    const counts = [[3], [0], [1]];
    const acceptance = drawnAcceptance({
      method: 'ngram',
      numSpeculativeTokens: 3,
      acceptance: { kind: 'recorded', counts },
    })(stream());
    const request = (index: number) => ({ index, numOutputTokens: 1, spec: LONE });
    expect([0, 1, 2, 3, 4].map((i) => acceptance.accepted(request(i), 3))).toEqual([3, 0, 1, 3, 0]);
  });

  it('has an assumption for every method', () => {
    for (const rate of Object.values(DEFAULT_ACCEPTANCE)) {
      expect(rate > 0 && rate < 1).toBe(true);
    }
  });
});

const LONE = { promptTokens: 1, maxTokens: 1 };
