/**
 * How long requests are, drawn: the `random` data set of `vllm bench serve`.
 *
 * A length is uniform in [⌊(1 − r)·len⌋, ⌈(1 + r)·len⌉], at least 1; r = 0 is a fixed length, and then
 * all requests share one specification. A common prefix comes on top of the prompt length.
 */

import type { PromptSegment, RequestSpec } from '../../engine.js';
import type { RandomStream, Rng } from '../../rng.js';

/** What is asked, request by request; `undefined` when there is no more. */
export interface Bodies {
  next(): RequestSpec | undefined;
}

export interface RandomLengths {
  readonly inputLen: number;
  readonly outputLen: number;
  /** r above, in [0, 1). */
  readonly rangeRatio: number;
  /** r of the outputs, where it is another. */
  readonly outputRangeRatio?: number | undefined;
  /** Tokens of a prefix that all prompts share; 0: they share nothing. */
  readonly prefixLen: number;
}

export function randomBodies(lengths: RandomLengths, rng: Rng): Bodies {
  const { rangeRatio, outputRangeRatio = rangeRatio, prefixLen } = lengths;
  if (rangeRatio === 0 && outputRangeRatio === 0 && prefixLen === 0) {
    return new FixedBodies({ promptTokens: lengths.inputLen, maxTokens: lengths.outputLen });
  }
  return new DrawnBodies(lengths, rng);
}

class FixedBodies implements Bodies {
  readonly #spec: RequestSpec;
  constructor(spec: RequestSpec) {
    this.#spec = spec;
  }
  next(): RequestSpec {
    return this.#spec;
  }
}

/** Names of the token sequences that prompts are made of: the common prefix, then one per request. */
const PREFIX_CONTENT = 0;

class DrawnBodies implements Bodies {
  readonly #input: LengthRange;
  readonly #output: LengthRange;
  readonly #prefix: PromptSegment | undefined;
  #numDrawn = 0;

  constructor(lengths: RandomLengths, rng: Rng) {
    const { inputLen, outputLen, rangeRatio, outputRangeRatio = rangeRatio, prefixLen } = lengths;
    this.#input = new LengthRange(inputLen, rangeRatio, rng.stream('input-lengths'));
    this.#output = new LengthRange(outputLen, outputRangeRatio, rng.stream('output-lengths'));
    this.#prefix = prefixLen > 0 ? { content: PREFIX_CONTENT, length: prefixLen } : undefined;
  }

  next(): RequestSpec {
    const inputLen = this.#input.draw();
    const maxTokens = this.#output.draw();
    const content = PREFIX_CONTENT + ++this.#numDrawn;
    if (!this.#prefix) return { promptTokens: inputLen, maxTokens };
    return {
      promptTokens: this.#prefix.length + inputLen,
      maxTokens,
      prompt: [this.#prefix, { content, length: inputLen }],
    };
  }
}

/** Lengths around a mean, as above. */
export class LengthRange {
  readonly #low: number;
  readonly #high: number;
  readonly #chance: RandomStream;

  constructor(mean: number, ratio: number, chance: RandomStream) {
    this.#low = Math.max(1, Math.floor(mean * (1 - ratio)));
    this.#high = Math.ceil(mean * (1 + ratio));
    this.#chance = chance;
  }

  draw(): number {
    return this.#low === this.#high ? this.#low : this.#chance.integer(this.#low, this.#high);
  }
}
