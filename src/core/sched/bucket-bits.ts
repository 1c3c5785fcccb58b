/**
 * Which buckets of a ring are not empty: a bitset with a summary over it, so that the next one is found
 * by looking at a handful of words instead of scanning.
 */

export class BucketBits {
  readonly #words: Int32Array;
  readonly #summary: Int32Array;

  /** `length`: a power of two, at least 1024. */
  constructor(private readonly length: number) {
    this.#words = new Int32Array(length / 32);
    this.#summary = new Int32Array(length / 1024);
  }

  set(slot: number): void {
    this.#words[slot >>> 5]! |= 1 << (slot & 31);
    this.#summary[slot >>> 10]! |= 1 << ((slot >>> 5) & 31);
  }

  clear(slot: number): void {
    const word = slot >>> 5;
    this.#words[word]! &= ~(1 << (slot & 31));
    if (this.#words[word] === 0) this.#summary[slot >>> 10]! &= ~(1 << (word & 31));
  }

  /** Distance from `start` to the next set bit around the ring, `start` itself included; Infinity: none. */
  distance(start: number): number {
    const within = this.#words[start >>> 5]! >>> (start & 31);
    if (within !== 0) return trailingZeros(within);
    const numWords = this.#words.length;
    let word = ((start >>> 5) + 1) & (numWords - 1);
    for (let looked = 0; looked <= this.#summary.length; looked++) {
      const bits = this.#summary[word >>> 5]! >>> (word & 31);
      if (bits !== 0) {
        word = (word + trailingZeros(bits)) & (numWords - 1);
        const slot = (word << 5) + trailingZeros(this.#words[word]!);
        return (slot - start) & (this.length - 1);
      }
      word = ((word | 31) + 1) & (numWords - 1);
    }
    return Infinity;
  }
}

/** Index of the lowest set bit of a non-zero word. */
function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}
