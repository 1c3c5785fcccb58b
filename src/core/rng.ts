/**
 * Chance, as a function of the seed.
 *
 * One stream per purpose (`rng.stream('arrivals')`), so a new draw in one place moves nothing
 * elsewhere. The generator is sfc32 (Chris Doty-Humphrey's small fast counter, period ≥ 2^32 whatever
 * the state), seeded by hashing seed and purpose and discarding the first draws.
 */

export interface RandomStream {
  /** Uniform in [0, 1), 53 bits. */
  next(): number;
  /** Uniform integer in [low, high], both included. */
  integer(low: number, high: number): number;
  /** Exponential with mean 1. */
  exponential(): number;
  /** Standard normal. */
  normal(): number;
  /** Gamma with the given shape and mean 1. */
  gamma(shape: number): number;
}

export class Rng {
  constructor(readonly seed: number) {}

  stream(purpose: string): RandomStream {
    return new Sfc32(hash(`${this.seed}/${purpose}`));
  }
}

class Sfc32 implements RandomStream {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: readonly [number, number, number]) {
    [this.#a, this.#b, this.#c] = seed;
    for (let i = 0; i < 16; i++) this.#word();
  }

  #word(): number {
    const t = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    this.#c |= 0;
    return t >>> 0;
  }

  next(): number {
    const high = this.#word() >>> 5;
    const low = this.#word() >>> 6;
    return (high * 67_108_864 + low) / 9_007_199_254_740_992;
  }

  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  exponential(): number {
    return -Math.log1p(-this.next());
  }

  normal(): number {
    // Marsaglia's polar method; the second value is dropped so that the state is the generator alone.
    for (;;) {
      const u = 2 * this.next() - 1;
      const v = 2 * this.next() - 1;
      const s = u * u + v * v;
      if (s > 0 && s < 1) return u * Math.sqrt((-2 * Math.log(s)) / s);
    }
  }

  gamma(shape: number): number {
    // Marsaglia & Tsang (2000); shapes below 1 are boosted by one and scaled back.
    const boost = shape < 1 ? (1 - this.next()) ** (1 / shape) : 1;
    const d = (shape < 1 ? shape + 1 : shape) - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const v = (1 + c * x) ** 3;
      if (v <= 0) continue;
      if (Math.log(1 - this.next()) < 0.5 * x * x + d - d * v + d * Math.log(v)) {
        return (boost * d * v) / shape;
      }
    }
  }
}

/** Three words from a string: FNV-1a with three offsets, finished by MurmurHash3's mixer. */
function hash(text: string): [number, number, number] {
  return [0x811c9dc5, 0x9e3779b9, 0x85ebca6b].map((offset) => {
    let h = offset;
    for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) | 0;
  }) as [number, number, number];
}
