/**
 * The decodes of an instance as one aggregate.
 *
 * Every decode advances by one token in every call, so relative to the number of calls made nothing
 * about it changes: `offset = numComputedTokens − calls` is constant from the day it joins until it
 * leaves. Sums over decodes are then sums of constants, and a decode is touched twice in its life.
 *
 *   Σ context          numDecodes · calls + Σ offset
 *   who needs a block  those with computed ≡ 0 (mod blockSize), i.e. offset ≡ −calls: a histogram
 *   who finishes when  call `endComputed − offset`: a ring of buckets, one per call
 *   who fills window   call `window − offset`: a ring of counts
 *
 * The rings are as long as a request can decode, so no two different calls share a bucket.
 */

import type { Request } from '../request/request.js';
import { BucketBits } from './bucket-bits.js';

export class DecodeSet {
  /** Schedule calls made so far. */
  calls = 0;
  size = 0;
  #sumOffset = 0;
  /** Decodes by `offset mod blockSize`. */
  readonly #byPhase: Float64Array;
  readonly #mask: number;
  readonly #buckets: (Request | undefined)[];
  readonly #due: BucketBits;
  /** Decodes whose context has not filled the attention window yet. */
  numShort = 0;
  #sumShortOffset = 0;
  readonly #fills: Int32Array;
  readonly #filling: BucketBits;

  constructor(
    private readonly blockSize: number,
    maxModelLen: number,
    /** Attention window in tokens; Infinity: none. */
    private readonly window: number,
  ) {
    const length = ringLength(maxModelLen);
    const windowed = window === Infinity ? 1024 : length;
    this.#mask = length - 1;
    this.#buckets = new Array(length).fill(undefined);
    this.#due = new BucketBits(length);
    this.#fills = new Int32Array(windowed);
    this.#filling = new BucketBits(windowed);
    this.#byPhase = new Float64Array(blockSize);
  }

  /** Σ numComputedTokens over all decodes. */
  get sumComputed(): number {
    return this.size * this.calls + this.#sumOffset;
  }

  /** Σ min(numComputedTokens, window) over all decodes. */
  get sumWindowed(): number {
    if (this.window === Infinity) return this.sumComputed;
    const filled = this.size - this.numShort;
    return this.numShort * this.calls + this.#sumShortOffset + filled * this.window;
  }

  computed(request: Request): number {
    return request.offset + this.calls;
  }

  /** `calls` calls are made; none of those before the last has anyone due or filling the window. */
  advance(calls: number): void {
    this.calls += calls;
    if (this.numShort > 0) this.#fillWindows();
  }

  /** Takes in a request whose known tokens are all computed but the newest. */
  join(request: Request): void {
    const offset = request.computed - this.calls;
    request.phase = 'decode';
    request.offset = offset;
    this.size++;
    this.#sumOffset += offset;
    this.#byPhase[this.#phase(offset)]!++;
    const slot = (request.endComputed - offset) & this.#mask;
    const first = this.#buckets[slot];
    request.bucketPrev = undefined;
    request.bucketNext = first;
    if (first) first.bucketPrev = request;
    else this.#due.set(slot);
    this.#buckets[slot] = request;
    if (request.computed < this.window && this.window !== Infinity) this.#short(offset, 1);
  }

  /** Lets a decode go; its `computed` and `known` are explicit again. */
  leave(request: Request): void {
    const { offset, bucketPrev, bucketNext } = request;
    this.size--;
    this.#sumOffset -= offset;
    this.#byPhase[this.#phase(offset)]!--;
    if (bucketNext) bucketNext.bucketPrev = bucketPrev;
    if (bucketPrev) bucketPrev.bucketNext = bucketNext;
    else {
      const slot = (request.endComputed - offset) & this.#mask;
      this.#buckets[slot] = bucketNext;
      if (!bucketNext) this.#due.clear(slot);
    }
    request.bucketPrev = undefined;
    request.bucketNext = undefined;
    request.computed = offset + this.calls;
    request.known = request.computed + 1;
    if (request.computed < this.window && this.window !== Infinity) this.#short(offset, -1);
  }

  /** A decode whose last token is sampled by the call just made. */
  due(): Request | undefined {
    return this.#buckets[this.calls & this.#mask];
  }

  /** Calls from now until one in which somebody gets the last token or fills the window; Infinity: never. */
  callsUntilChange(): number {
    const start = this.calls + 1;
    let calls = 1 + this.#due.distance(start & this.#mask);
    if (this.numShort > 0) {
      const filled = 1 + this.#filling.distance(start & this.#mask);
      if (filled < calls) calls = filled;
    }
    return calls;
  }

  /** How many decodes need a new block in the next call. */
  get needingBlock(): number {
    return this.#byPhase[this.#nextPhase]!;
  }

  /** Phase of the decodes that need a block in the next call; in each call after it, the one before. */
  get #nextPhase(): number {
    const phase = this.calls % this.blockSize;
    return phase === 0 ? 0 : this.blockSize - phase;
  }

  /** The largest number of calls, at most `limit`, whose block needs `free` covers. */
  callsWithin(free: number, limit: number): number {
    // Every period takes one block for each; mostly there is room for more than that.
    if (Math.ceil(limit / this.blockSize) * this.size <= free) return limit;
    const periods = Math.min(Math.floor(limit / this.blockSize), Math.floor(free / this.size));
    let calls = periods * this.blockSize;
    let taken = periods * this.size;
    for (let phase = this.#nextPhase; calls < limit; calls++) {
      taken += this.#byPhase[phase]!;
      if (taken > free) break;
      phase = phase === 0 ? this.blockSize - 1 : phase - 1;
    }
    return calls;
  }

  /** Blocks that the next `calls` calls take. */
  blocksFor(calls: number): number {
    const periods = Math.floor(calls / this.blockSize);
    let taken = periods * this.size;
    let phase = this.#nextPhase;
    for (let i = periods * this.blockSize; i < calls; i++) {
      taken += this.#byPhase[phase]!;
      phase = phase === 0 ? this.blockSize - 1 : phase - 1;
    }
    return taken;
  }

  #phase(offset: number): number {
    const phase = offset % this.blockSize;
    return phase < 0 ? phase + this.blockSize : phase;
  }

  /** One decode more, or fewer, whose context is inside the window. */
  #short(offset: number, change: 1 | -1): void {
    this.numShort += change;
    this.#sumShortOffset += change * offset;
    const slot = (this.window - offset) & this.#mask;
    const before = this.#fills[slot]!;
    this.#fills[slot] = before + change;
    if (before === 0) this.#filling.set(slot);
    else if (before + change === 0) this.#filling.clear(slot);
  }

  /** Those whose context reaches the window with this call; all of them have the same offset. */
  #fillWindows(): void {
    const slot = this.calls & this.#mask;
    const filled = this.#fills[slot]!;
    if (filled === 0) return;
    this.numShort -= filled;
    this.#sumShortOffset -= filled * (this.window - this.calls);
    this.#fills[slot] = 0;
    this.#filling.clear(slot);
  }
}

function ringLength(maxModelLen: number): number {
  return Math.max(1024, 2 ** Math.ceil(Math.log2(maxModelLen + 2)));
}
