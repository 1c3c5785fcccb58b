/**
 * An answer that leaves as its tokens become due.
 *
 * A reader that does not keep up costs no memory: when it has caught up it gets everything due in one
 * frame. All tokens that become due in one turn of the event loop leave in one write. Headers leave with
 * the first token: until then a refusal is a real status.
 */

import type { ApiError } from './api-error.js';
import { type ChoiceState, Delivery, finishOf } from './delivery.js';
import type { EventStream } from './event-stream.js';
import { errorFrames, type Frames, NO_LOGPROBS } from './frames.js';
import type { AnswerPlan } from './plan.js';

/** Collects the answers that have something to send, and lets each send it once per turn. */
export class Outbox {
  #waiting: StreamedAnswer[] = [];

  add(answer: StreamedAnswer): void {
    if (this.#waiting.push(answer) > 1) return;
    queueMicrotask(() => {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const each of waiting) each.flush();
    });
  }
}

export interface StreamOptions {
  readonly frames: Frames;
  readonly outbox: Outbox;
  /** Sends the headers. Called once, when the first token is due. */
  readonly open: () => EventStream;
  /** `logprobs` of tokens `from` to `to` − 1, as JSON text, when asked for; `offset` in characters. */
  readonly logprobs?: (plan: AnswerPlan, from: number, to: number, offset: number) => string;
  /** What stands before the answers to a prompt (`echo`), by choice. */
  readonly echo?: (index: number) => string;
  /** The body of the error frame. */
  readonly errorBody: (error: ApiError) => object;
}

export class StreamedAnswer extends Delivery {
  readonly #options: StreamOptions;
  #stream: EventStream | undefined;
  #queued = false;
  #draining = false;
  #behind = false;

  constructor(options: StreamOptions) {
    super();
    this.#options = options;
  }

  protected override due(_index: number, choice: ChoiceState, numTokens: number): void {
    // While the reader is behind, everything will share a chunk anyway.
    if (numTokens > 1 && !this.#draining) choice.bursts.push(choice.due - numTokens, choice.due);
    this.#wake();
  }

  #wake(): void {
    if (this.#queued || this.#draining || this.settled) return;
    this.#queued = true;
    this.#options.outbox.add(this);
  }

  protected override finished(): void {
    this.#wake();
  }

  protected override complete(): void {
    this.#stream ??= this.#options.open();
    this.#stream.end(this.#framesDue() + this.#options.frames.end(this));
  }

  protected override failed(error: ApiError): boolean {
    if (!this.#stream) return false;
    this.#stream.end(errorFrames(this.#options.errorBody(error)));
    return true;
  }

  /** Writes everything that is due; a slow reader gets it when it has caught up. */
  flush(): void {
    this.#queued = false;
    if (this.settled || !this.#hasDue()) return;
    this.#stream ??= this.#options.open();
    if (this.#stream.blocked) {
      this.#behind = true;
      this.#draining = true;
      this.#stream.onDrain(() => {
        this.#draining = false;
        this.#wake();
      });
      return;
    }
    this.#stream.write(this.#framesDue());
    this.#behind = false;
  }

  #hasDue(): boolean {
    for (const { due, sent } of this.choices) if (due > sent) return true;
    return false;
  }

  /** The frames of everything due. The last token of a choice waits for its end, a moment later. */
  #framesDue(): string {
    let frames = '';
    for (let index = 0; index < this.choices.length; index++) {
      const choice = this.choices[index]!;
      const last = choice.plan.output.numTokens;
      const whole = Math.min(choice.due, last - 1);
      const until = choice.ended ? last : whole;
      if (choice.sent >= until) continue;
      if (choice.sent === 0) frames += this.#opening(index, choice);
      if (this.#behind && choice.sent < whole) frames += this.#frame(index, choice, whole);
      while (choice.sent < until) frames += this.#frame(index, choice, endOfChunk(choice, until));
    }
    return frames;
  }

  #opening(index: number, choice: ChoiceState): string {
    const { frames, echo } = this.#options;
    const prompt = echo?.(index) ?? '';
    choice.chars += prompt.length;
    return frames.open(index, this) + (prompt === '' ? '' : frames.token(index, prompt, this));
  }

  /** One chunk that brings choice `index` up to token `to`. */
  #frame(index: number, choice: ChoiceState, to: number): string {
    const { frames, logprobs } = this.#options;
    const { plan, sent, chars } = choice;
    const { output } = plan;
    const text = to === sent + 1 ? output.piece(sent) : output.text(sent, to);
    const chances = logprobs?.(plan, sent, to, chars) ?? NO_LOGPROBS;
    choice.sent = to;
    choice.chars += text.length;
    if (to === output.numTokens) {
      return frames.last(index, text, finishOf(plan), this, chances);
    }
    return text === '' && !logprobs ? '' : frames.token(index, text, this, chances);
  }
}

/** Where the next chunk ends: with its token, or with those that a step generated together. */
function endOfChunk({ sent, bursts }: ChoiceState, until: number): number {
  while (bursts.length > 0 && bursts[1]! <= sent) bursts.splice(0, 2);
  const [from = until, to = until] = bursts;
  return from <= sent ? Math.min(to, until) : sent + 1;
}
