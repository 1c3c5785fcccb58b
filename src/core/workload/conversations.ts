/**
 * Conversations as a load: turn k + 1 arrives when turn k has been answered and its user has thought,
 * and its prompt is the whole history.
 *
 *   turn 1   [prefix][user 1]                            → answer 1
 *   turn 2   [prefix][user 1][answer 1][user 2]          → answer 2
 *
 * Every stretch has an identity, so a prefix cache finds what is still there. All lengths of a
 * conversation are drawn when it starts: what is said depends on the seed alone, when it is said also
 * on the system. A conversation ends early when a turn is not answered in full (the window is spent).
 *
 * @see vllm-bench, `--multi-turn`: the names of the options and their meaning
 */

import type { PromptSegment, RequestSpec } from '../engine.js';
import { ConfigError } from '../errors.js';
import type { RandomStream, Rng } from '../rng.js';
import type { RequestOutcome } from '../trace/tracer.js';
import { type Milliseconds, nsFromMs, type TimeNs } from '../units.js';
import type { AdapterChoice } from './adapters.js';
import { type Bodies, LengthRange, type RandomLengths } from './lengths/random.js';
import type { Arrival, Workload } from './workload.js';

export interface ConversationOptions {
  /** Questions of a conversation, uniform in [min, max]. */
  readonly minTurns: number;
  readonly maxTurns: number;
  /** From an answer to the next question. */
  readonly delayMs: Milliseconds;
  /** Mean length of questions after the first; absent: that of the first. */
  readonly perTurnInputLen?: number | undefined;
  /** Conversations under way at once; absent: no bound. */
  readonly maxActive?: number | undefined;
}

export const DEFAULT_TURNS = 3;

/** Names of token sequences: the common prefix, then questions and answers in turn. */
const PREFIX_CONTENT = 0;

interface Turn {
  readonly inputLen: number;
  readonly outputLen: number;
}

interface Conversation {
  readonly number: number;
  /** LoRA adapter of all its turns. */
  readonly lora: string | undefined;
  readonly turns: readonly Turn[];
  /** The turn that is asked now, from 0. */
  readonly turn: number;
}

/** One turn as a request, which knows the conversation it belongs to. */
interface TurnSpec extends RequestSpec {
  readonly conversation: Conversation;
  readonly prompt: readonly PromptSegment[];
  readonly outputContent: number;
}

/** What is said: first turns, one conversation after another, and what follows each. */
export class ConversationBodies implements Bodies {
  readonly #first: LengthRange;
  readonly #later: LengthRange;
  readonly #output: LengthRange;
  readonly #numTurns: RandomStream;
  readonly #prefix: readonly PromptSegment[];
  #numConversations = 0;
  #numContents = PREFIX_CONTENT;

  constructor(
    private readonly lengths: RandomLengths,
    private readonly options: ConversationOptions,
    rng: Rng,
    private readonly adapters?: AdapterChoice,
  ) {
    const { inputLen, outputLen, rangeRatio, outputRangeRatio = rangeRatio, prefixLen } = lengths;
    const input = rng.stream('input-lengths');
    this.#first = new LengthRange(inputLen, rangeRatio, input);
    this.#later = new LengthRange(options.perTurnInputLen ?? inputLen, rangeRatio, input);
    this.#output = new LengthRange(outputLen, outputRangeRatio, rng.stream('output-lengths'));
    this.#numTurns = rng.stream('turns');
    this.#prefix = prefixLen > 0 ? [{ content: PREFIX_CONTENT, length: prefixLen }] : [];
  }

  /** The first turn of the next conversation. */
  next(): RequestSpec {
    const { minTurns, maxTurns } = this.options;
    const length = this.#numTurns.integer(minTurns, maxTurns);
    const turns = Array.from({ length }, (_, i) => ({
      inputLen: (i === 0 ? this.#first : this.#later).draw(),
      outputLen: this.#output.draw(),
    }));
    const lora = this.adapters?.draw();
    const conversation = { number: this.#numConversations++, lora, turns, turn: 0 };
    return this.#ask(conversation, this.#prefix, this.lengths.prefixLen);
  }

  /** The turn after one that ended; `undefined`: nothing more is said. */
  followUp({ spec, outputTokens }: RequestOutcome): RequestSpec | undefined {
    const { conversation, prompt, promptTokens, outputContent, maxTokens } = spec as TurnSpec;
    const turn = conversation.turn + 1;
    if (turn === conversation.turns.length || outputTokens < maxTokens) return undefined;
    const history = [...prompt, { content: outputContent, length: outputTokens }];
    return this.#ask({ ...conversation, turn }, history, promptTokens + outputTokens);
  }

  #ask(
    conversation: Conversation,
    history: readonly PromptSegment[],
    historyLen: number,
  ): TurnSpec {
    const { number, lora, turns, turn } = conversation;
    const { inputLen, outputLen } = turns[turn]!;
    return {
      id: `${number}-${turn}`,
      promptTokens: historyLen + inputLen,
      maxTokens: outputLen,
      prompt: [...history, { content: ++this.#numContents, length: inputLen }],
      outputContent: ++this.#numContents,
      ...(lora !== undefined && { lora }),
      conversation,
    };
  }
}

/** When it is said: conversations start as `starts` says, and go on by themselves. */
export class Conversations implements Workload {
  readonly numRequests: number | undefined;
  readonly #waiting = new Waiting();
  /** The conversation that starts next, while one is left. */
  #upcoming: Arrival | undefined;
  #numActive = 0;
  /** When the last place for a conversation became free. */
  #freeAt: TimeNs = 0;

  constructor(
    private readonly starts: Workload,
    private readonly bodies: ConversationBodies,
    private readonly options: ConversationOptions,
  ) {
    const { minTurns, maxTurns } = options;
    const { numRequests } = starts;
    if (minTurns === maxTurns && numRequests !== undefined)
      this.numRequests = numRequests * maxTurns;
    this.#upcoming = starts.next();
  }

  next(): Arrival | undefined {
    const { maxActive = Infinity } = this.options;
    const start = this.#numActive < maxActive ? this.#upcoming : undefined;
    if (!start) return this.#waiting.shift();
    const at = Math.max(start.at, this.#freeAt);
    if (this.#waiting.nextAt <= at) return this.#waiting.shift();
    this.#numActive++;
    this.#upcoming = this.starts.next();
    return { at, spec: start.spec };
  }

  ended(outcome: RequestOutcome): void {
    const { endedAt } = outcome;
    const spec = this.bodies.followUp(outcome);
    if (spec) {
      this.#waiting.push({ at: endedAt + nsFromMs(this.options.delayMs), spec });
      return;
    }
    // A place counts only where there are not enough of them.
    if (this.#numActive-- === this.options.maxActive) this.#freeAt = endedAt;
  }
}

/** Turns whose users think, earliest first; ties in the order in which they began to. */
class Waiting {
  readonly #heap: { readonly arrival: Arrival; readonly seq: number }[] = [];
  #seq = 0;

  get nextAt(): TimeNs {
    return this.#heap[0]?.arrival.at ?? Infinity;
  }

  push(arrival: Arrival): void {
    const heap = this.#heap;
    let i = heap.push({ arrival, seq: this.#seq++ }) - 1;
    for (let up = (i - 1) >> 1; i > 0 && this.#before(i, up); i = up, up = (i - 1) >> 1) {
      this.#swap(i, up);
    }
  }

  shift(): Arrival | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || first === last) return first?.arrival;
    heap[0] = last!;
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      if (left >= heap.length) break;
      const least = left + 1 < heap.length && this.#before(left + 1, left) ? left + 1 : left;
      if (!this.#before(least, i)) break;
      this.#swap(i, least);
      i = least;
    }
    return first.arrival;
  }

  #before(i: number, j: number): boolean {
    const [a, b] = [this.#heap[i]!, this.#heap[j]!];
    return a.arrival.at < b.arrival.at || (a.arrival.at === b.arrival.at && a.seq < b.seq);
  }

  #swap(i: number, j: number): void {
    const heap = this.#heap;
    [heap[i], heap[j]] = [heap[j]!, heap[i]!];
  }
}

/** @throws {ConfigError} for conversations that mean nothing */
export function checkConversations(
  { minTurns, maxTurns, delayMs, perTurnInputLen, maxActive }: ConversationOptions,
  name: (field: string) => string,
): void {
  const count = (field: string, value: number | undefined) => {
    if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) return;
    throw new ConfigError(name(field), 'a whole number of at least 1', value);
  };
  count('multi_turn_min_turns', minTurns);
  count('multi_turn_max_turns', maxTurns);
  count('per_turn_input_len', perTurnInputLen);
  count('multi_turn_concurrency', maxActive);
  if (maxTurns < minTurns) {
    throw new ConfigError(name('multi_turn_max_turns'), `at least ${minTurns} turns`, maxTurns);
  }
  if (!(delayMs >= 0 && delayMs < 1e12)) {
    throw new ConfigError(name('multi_turn_delay_ms'), 'milliseconds, at least 0', delayMs);
  }
}
