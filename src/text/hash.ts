/** Hashing of numbers and texts: the same result in every process, for identities and for seeds. */

/** MurmurHash3's finaliser: every bit of a 32-bit number decides every bit of the result. */
export function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** 53 bits of a list of 32-bit integers. */
export function hashNumbers(values: ArrayLike<number>): number {
  const hash = new Hash(values.length);
  for (let i = 0; i < values.length; i++) hash.add(values[i]!);
  return hash.value();
}

/** 53 bits of a text. */
export function hashText(text: string): number {
  const hash = new Hash(-1);
  for (let i = 0; i < text.length; i++) hash.add(text.charCodeAt(i));
  return hash.value();
}

/** Two sums in the manner of FNV with different multipliers, each mixed at the end. */
class Hash {
  #a: number;
  #b: number;

  constructor(length: number) {
    this.#a = 0x811c9dc5 ^ length;
    this.#b = 0x2f0b4a27;
  }

  add(value: number): void {
    this.#a = Math.imul(this.#a ^ value, 0x01000193);
    this.#b = Math.imul(this.#b ^ value, 0x5bd1e995) ^ (this.#b >>> 15);
  }

  value(): number {
    return (mix(this.#a) & 0x1fffff) * 2 ** 32 + (mix(this.#b ^ this.#a) >>> 0);
  }
}
