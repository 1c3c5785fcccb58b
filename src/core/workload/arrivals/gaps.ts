/**
 * When requests come, as gaps with mean 1: renewal processes, one stream of chance each.
 *
 * A load of rate r multiplies its gaps by 1/r, so the same seed at twice the rate is the same load,
 * compressed. The processes are those of `vllm bench serve`: the gaps follow a gamma distribution of
 * shape `burstiness` (CV = 1/√burstiness): 1 is Poisson, below 1 is burstier, infinity is constant.
 */

import type { RandomStream } from '../../rng.js';

export interface Gaps {
  /** From the arrival before to the next one. */
  next(): number;
  /** Sum of the next `count` gaps, which it draws. */
  sum(count: number): number;
}

/** One more factor (at least 2^-53) still leaves a normal number. */
const SMALLEST_PRODUCT = 1e-280;

export class PoissonGaps implements Gaps {
  readonly #chance: RandomStream;
  constructor(chance: RandomStream) {
    this.#chance = chance;
  }
  next(): number {
    return -Math.log(1 - this.#chance.next());
  }
  /** A sum of logarithms is the logarithm of a product: many draws cost one. */
  sum(count: number): number {
    let sum = 0;
    let product = 1;
    for (let i = 0; i < count; i++) {
      product *= 1 - this.#chance.next();
      if (product > SMALLEST_PRODUCT) continue;
      sum -= Math.log(product);
      product = 1;
    }
    return sum - Math.log(product);
  }
}

export class GammaGaps implements Gaps {
  readonly #chance: RandomStream;
  readonly #shape: number;
  constructor(chance: RandomStream, shape: number) {
    this.#chance = chance;
    this.#shape = shape;
  }
  next(): number {
    return this.#chance.gamma(this.#shape);
  }
  sum(count: number): number {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += this.next();
    return sum;
  }
}

export class ConstantGaps implements Gaps {
  next(): number {
    return 1;
  }
  sum(count: number): number {
    return count;
  }
}

export function gapsOf(burstiness: number, chance: RandomStream): Gaps {
  if (burstiness === Infinity) return new ConstantGaps();
  return burstiness === 1 ? new PoissonGaps(chance) : new GammaGaps(chance, burstiness);
}
