/**
 * How the tokens of a step spread over experts: how many experts they touch, and what the fullest GPU gets.
 *
 * Uniform routing sends a token to each of E experts with probability k/E. Real routers have favourites:
 * then expert e has a probability of its own, drawn once from the seed, the same in every layer.
 *
 *   touched(M) = Σ_e 1 − (1 − p_e)^M             Σ_e p_e = k
 */

import type { RandomStream } from '../rng.js';

export interface ExpertLoad {
  /** Experts whose weights are read. */
  readonly touched: number;
  /** Rows computed: a token counts for each of its experts. */
  readonly rows: number;
}

export interface ExpertRouting {
  /** Of all experts together. */
  inAll(tokens: number): ExpertLoad;
  /** Of the fullest of `ranks` GPUs that hold equal numbers of whole experts. */
  ofFullest(tokens: number, ranks: number): ExpertLoad;
}

/** Experts that `tokens` tokens touch, each sent to `perToken` of `numExperts` at random. */
export const touchedExperts = (numExperts: number, perToken: number, tokens: number): number =>
  numExperts * (1 - (1 - perToken / numExperts) ** tokens);

export class UniformRouting implements ExpertRouting {
  constructor(
    private readonly numExperts: number,
    private readonly perToken: number,
  ) {}

  inAll(tokens: number): ExpertLoad {
    const touched = touchedExperts(this.numExperts, this.perToken, tokens);
    return { touched, rows: tokens * this.perToken };
  }

  ofFullest(tokens: number, ranks: number): ExpertLoad {
    const { touched, rows } = this.inAll(tokens);
    return {
      touched: fullest(touched / ranks, ranks, this.numExperts / ranks),
      rows: fullest(rows / ranks, ranks, rows),
    };
  }
}

/** Experts differ in popularity. */
export class SkewedRouting implements ExpertRouting {
  readonly #popularity: Float64Array;

  /** @param popularity for each expert, the probability that a token is sent to it; together k. */
  constructor(popularity: Float64Array) {
    this.#popularity = popularity;
  }

  inAll(tokens: number): ExpertLoad {
    return this.#load(tokens, 0, this.#popularity.length);
  }

  ofFullest(tokens: number, ranks: number): ExpertLoad {
    const perRank = this.#popularity.length / ranks;
    let touched = 0;
    let rows = 0;
    for (let rank = 0; rank < ranks; rank++) {
      const load = this.#load(tokens, rank * perRank, (rank + 1) * perRank);
      touched = Math.max(touched, load.touched);
      rows = Math.max(rows, load.rows);
    }
    return {
      touched: fullest(touched, ranks, perRank),
      rows: fullest(rows, ranks, this.inAll(tokens).rows),
    };
  }

  #load(tokens: number, from: number, to: number): ExpertLoad {
    let touched = 0;
    let rows = 0;
    for (let e = from; e < to; e++) {
      const p = this.#popularity[e]!;
      touched += 1 - (1 - p) ** tokens;
      rows += p * tokens;
    }
    return { touched, rows };
  }
}

/**
 * Popularities with this coefficient of variation, drawn from a gamma distribution. No expert gets a
 * token twice, so none exceeds 1; what is cut off goes to the others.
 */
export function drawPopularity(
  experts: { readonly numExperts: number; readonly perToken: number },
  variation: number,
  random: RandomStream,
): Float64Array {
  const { numExperts, perToken } = experts;
  const weights = Float64Array.from({ length: numExperts }, () => random.gamma(1 / variation ** 2));
  let scale = 0;
  for (let numFull = -1, full: readonly number[] = []; full.length !== numFull; ) {
    numFull = full.length;
    const open = weights.reduce((sum, weight) => sum + (weight * scale < 1 ? weight : 0), 0);
    scale = (perToken - numFull) / open;
    full = Array.from(weights).filter((weight) => weight * scale >= 1);
  }
  return weights.map((weight) => Math.min(1, weight * scale));
}

/** Expected largest of `ranks` Poisson loads of mean `mean`, at most `most`. */
const fullest = (mean: number, ranks: number, most: number): number =>
  Math.min(most, mean + (ranks > 1 ? Math.sqrt(2 * mean * Math.log(ranks)) : 0));
