/**
 * What pure decodes cost, piecewise affine in Σ context: a closed form between the measured contexts.
 *
 * For each number of decodes the time is taken at the contexts that were measured next to it and is
 * linear between them. Times that fall as the context grows are noise, and are levelled (isotonic
 * regression). Each piece is rounded onto the clock's grid once, anchored at its first knot.
 */

import { onClock, type Seconds, type Ticks } from '../../units.js';

/** The source of a profile: a time, and the contexts at which it may bend. */
export interface DecodeTimes {
  /** `context`: of each of the `numDecodes`, on average. */
  seconds(numDecodes: number, context: number): Seconds;
  knots(numDecodes: number): readonly number[];
  /** Seconds below which no hardware could do it; proportional to the context. */
  floor(numDecodes: number, context: number): Seconds;
}

interface Profile {
  /** Σ context from which each piece holds; the first is 0. */
  readonly from: readonly number[];
  readonly base: readonly Ticks[];
  readonly slope: readonly Ticks[];
}

export class DecodeProfiles {
  readonly #profiles: (Profile | undefined)[] = [];

  constructor(private readonly times: DecodeTimes) {}

  base(numDecodes: number, sumContext: number): Ticks {
    const profile = this.#of(numDecodes);
    return profile.base[pieceAt(profile, sumContext)]!;
  }

  slope(numDecodes: number, sumContext: number): Ticks {
    const profile = this.#of(numDecodes);
    return profile.slope[pieceAt(profile, sumContext)]!;
  }

  /** Steps from this one on, each with one token more per decode, that the same piece holds for. */
  stepsAlike(numDecodes: number, sumContext: number): number {
    const profile = this.#of(numDecodes);
    const end = profile.from[pieceAt(profile, sumContext) + 1];
    return end === undefined
      ? Number.POSITIVE_INFINITY
      : Math.ceil((end - sumContext) / numDecodes);
  }

  #of(numDecodes: number): Profile {
    return this.#profiles[numDecodes] ?? this.#make(numDecodes);
  }

  #make(numDecodes: number): Profile {
    const made = profileOf(this.times, numDecodes);
    this.#profiles[numDecodes] = made;
    return made;
  }
}

function pieceAt({ from }: Profile, sumContext: number): number {
  let piece = from.length - 1;
  while (piece > 0 && from[piece]! > sumContext) piece--;
  return piece;
}

function profileOf(times: DecodeTimes, numDecodes: number): Profile {
  const measured = times.knots(numDecodes).filter((context) => context > 0);
  const last = measured.at(-1) ?? 1;
  // Beyond the last knot the time grows as it does over the next stretch of the same length.
  const contexts = [0, ...measured, 2 * last];
  const floors = contexts.map((context) => times.floor(numDecodes, context));
  const raw = contexts.map((context, i) =>
    Math.max(floors[i]!, times.seconds(numDecodes, context)),
  );
  const seconds = levelled(raw).map((value, i) => Math.max(floors[i]!, value));
  const base: Ticks[] = [];
  const slope: Ticks[] = [];
  for (let i = 0; i < contexts.length - 1; i++) {
    const tokens = (contexts[i + 1]! - contexts[i]!) * numDecodes;
    const least = (floors[i + 1]! - floors[i]!) / tokens;
    const isTail = i === contexts.length - 2;
    const chord = (seconds[i + 1]! - seconds[i]!) / tokens;
    const perToken = onClock(isTail ? Math.max(least, chord) : chord);
    slope.push(perToken);
    base.push(onClock(seconds[i]!) - perToken * contexts[i]! * numDecodes);
  }
  return { from: contexts.slice(0, -1).map((context) => context * numDecodes), base, slope };
}

/** The nearest sequence that never falls, in least squares: neighbours that fall share their mean. */
export function levelled(values: readonly number[]): number[] {
  const pools: { sum: number; count: number }[] = [];
  for (const value of values) {
    let pool = { sum: value, count: 1 };
    for (let last = pools.at(-1); last; last = pools.at(-1)) {
      if (last.sum / last.count <= pool.sum / pool.count) break;
      pool = { sum: last.sum + pool.sum, count: last.count + pool.count };
      pools.pop();
    }
    pools.push(pool);
  }
  return pools.flatMap(({ sum, count }) => Array<number>(count).fill(sum / count));
}
