/**
 * The answer of one request, fixed when it is submitted: how many tokens, why it ends, and what each
 * token says.
 *
 * A real server finds a stop string while it generates. Here the text is a function of the seed, so it
 * is searched beforehand and the engine is told a length. As with OpenAI, the answer ends before the
 * stop string; tokens that would have shown a part of it say nothing, but are generated and counted.
 */

import type { FinishReason } from '../core/engine.js';
import { type Lexicon, lexiconOf, mixSeed } from './synthesis.js';
import type { Tokenizer } from './tokenizer.js';

export interface OutputTextOptions {
  readonly tokenizer: Tokenizer;
  readonly seed: number;
  /** Tokens generated when no stop string ends it earlier. */
  readonly maxTokens: number;
  /** Why it ends at `maxTokens`. With `stop`, the text ends in a full stop where one fits. */
  readonly finishReason: 'stop' | 'length';
  readonly stop?: readonly string[];
  /** Stop strings complete within the first `minTokens` tokens do not count. */
  readonly minTokens?: number;
  /** Shows the stop string itself, too (vLLM's `include_stop_str_in_output`). */
  readonly includeStop?: boolean;
}

/** Tokens searched at a time. */
const SEARCH_CHUNK = 64;

export class OutputText {
  readonly numTokens: number;
  readonly finishReason: Extract<FinishReason, 'stop' | 'length'>;
  /** The stop string that ended it. */
  readonly stopReason: string | undefined;
  readonly #lexicon: Lexicon;
  readonly #seed: number;
  /** What the tokens from `#tailFrom` on show instead of the synthesised text; later ones nothing. */
  readonly #tailFrom: number;
  readonly #tail: readonly string[];
  /** The whole text, once it has been asked for. */
  #whole: string | undefined;

  constructor(options: OutputTextOptions) {
    this.#lexicon = lexiconOf(options.tokenizer);
    this.#seed = mixSeed(options.seed);
    const hit = this.#findStop(options);
    this.numTokens = hit?.numTokens ?? options.maxTokens;
    this.finishReason = hit ? 'stop' : options.finishReason;
    this.stopReason = hit?.stop;
    if (hit) {
      this.#tail = [hit.cutPiece];
      this.#tailFrom = hit.cutToken;
    } else {
      const { finishReason, maxTokens } = options;
      this.#tail = finishReason === 'stop' ? this.#lexicon.ending(this.#seed, maxTokens) : [];
      this.#tailFrom = maxTokens - this.#tail.length;
    }
  }

  /** What token i shows; the empty string for tokens that belong to the stop string. */
  piece(i: number): string {
    if (i < this.#tailFrom) return this.#lexicon.piece(this.#seed, i);
    return this.#tail[i - this.#tailFrom] ?? '';
  }

  /** Another word that could stand at token i, the k-th. */
  alternative(i: number, k: number): string {
    return this.#lexicon.alternative(this.#seed, i, k);
  }

  /** What tokens `from` to `to` − 1 show together. */
  text(from = 0, to = this.numTokens): string {
    const isWhole = from === 0 && to === this.numTokens;
    if (isWhole && this.#whole !== undefined) return this.#whole;
    let text = '';
    for (let i = from; i < to; i++) text += this.piece(i);
    if (isWhole) this.#whole = text;
    return text;
  }

  /** The stop string completed by the fewest tokens; of several in one token, the one that begins first. */
  #findStop(options: OutputTextOptions): StopHit | undefined {
    const stops = (options.stop ?? []).filter((stop) => stop !== '');
    if (stops.length === 0) return undefined;
    const longest = Math.max(...stops.map(({ length }) => length));
    const ends: number[] = [];
    let text = '';
    while (ends.length < options.maxTokens) {
      const searched = text.length;
      const until = Math.min(ends.length + SEARCH_CHUNK, options.maxTokens);
      for (let i = ends.length; i < until; i++) {
        text += this.#lexicon.piece(this.#seed, i);
        ends.push(text.length);
      }
      const from = Math.max(0, searched - longest + 1);
      const hit = firstHit({ text, from, stops, ends, minTokens: options.minTokens ?? 0 });
      if (hit)
        return options.includeStop
          ? cutAt(hit, hit.end, ends, text)
          : cutAt(hit, hit.start, ends, text);
    }
    return undefined;
  }
}

interface StopHit {
  readonly stop: string;
  readonly numTokens: number;
  readonly cutToken: number;
  readonly cutPiece: string;
}

interface Found {
  readonly stop: string;
  readonly start: number;
  readonly end: number;
  /** Tokens generated when it is complete. */
  readonly numTokens: number;
}

function firstHit(search: {
  readonly text: string;
  readonly from: number;
  readonly stops: readonly string[];
  readonly ends: readonly number[];
  readonly minTokens: number;
}): Found | undefined {
  const { text, from, stops, ends, minTokens } = search;
  let best: Found | undefined;
  for (const stop of stops) {
    for (let start = text.indexOf(stop, from); start >= 0; start = text.indexOf(stop, start + 1)) {
      const end = start + stop.length;
      const numTokens = ends.findIndex((tokenEnd) => tokenEnd >= end) + 1;
      if (numTokens <= minTokens) continue;
      const sooner = best === undefined || numTokens < best.numTokens;
      if (sooner || (numTokens === best?.numTokens && start < best.start)) {
        best = { stop, start, end, numTokens };
      }
      break;
    }
  }
  return best;
}

function cutAt(hit: Found, at: number, ends: readonly number[], text: string): StopHit {
  const cutToken = ends.findIndex((tokenEnd) => tokenEnd > at);
  const reached = cutToken < 0 ? ends.length : cutToken;
  const cutPiece = text.slice(reached === 0 ? 0 : ends[reached - 1], at);
  return { stop: hit.stop, numTokens: hit.numTokens, cutToken: reached, cutPiece };
}
