/**
 * Brings the tokens of a request to its client.
 *
 * The engine says how many tokens are due; what they say is known beforehand. A streamed answer keeps
 * two numbers per choice, due and sent, so a reader that does not keep up costs no memory: when it has
 * caught up it gets everything due in one frame. All tokens that become due in one turn of the event
 * loop leave in one write. Headers leave with the first token: until then a refusal is a real status.
 */

import type { RequestOutcome } from '../core/trace/tracer.js';
import { ApiError } from './api-error.js';
import type { EventStream } from './event-stream.js';
import { errorFrames, type Finish, type Frames, NO_LOGPROBS } from './frames.js';
import type { LiveModel, LiveRequest, RequestListener } from './live-model.js';
import type { AnswerPlan } from './plan.js';
import type { Usage } from './usage.js';

/** What the log line of a request tells, in simulated time. */
export interface DeliveryReport {
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
  /** Arrival to first token, and to the end; absent where it did not get so far. */
  readonly ttftMs: number | undefined;
  readonly e2eMs: number | undefined;
  readonly reason: string;
}

/** One answer on its way: a choice of the reply. */
interface ChoiceState {
  readonly plan: AnswerPlan;
  readonly request: LiveRequest;
  due: number;
  sent: number;
  /** Characters sent. */
  chars: number;
  /** Tokens that became due together, as (from, to) pairs, until they are sent: they share a chunk. */
  readonly bursts: number[];
  ended: boolean;
}

/** What both kinds of delivery share: submitting, counting, cancelling, and the report at the end. */
export abstract class Delivery implements Usage {
  /** Settles when the last word is said; rejects with an `ApiError` if nothing had been sent. */
  readonly done: Promise<DeliveryReport>;
  protected readonly choices: ChoiceState[] = [];
  #resolve!: (report: DeliveryReport) => void;
  #reject!: (error: ApiError) => void;
  #promptTokens = 0;
  #cachedTokens = 0;
  #firstTokenNs: number | undefined;
  #endNs: number | undefined;
  #settled = false;
  #report: DeliveryReport | undefined;

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /**
   * Submits `plans`: the answers to one prompt of a request received `waitedMs` ago. Choices are numbered
   * in the order of submission.
   */
  submit(model: LiveModel, plans: readonly AnswerPlan[], waitedMs: number): void {
    this.#promptTokens += plans[0]?.spec.promptTokens ?? 0;
    for (const plan of plans) {
      const index = this.choices.length;
      const listener: RequestListener = {
        onTokens: (numTokens) => {
          const choice = this.choices[index]!;
          choice.due += numTokens;
          this.due(index, choice, numTokens);
        },
        onEnd: (outcome) => this.#ended(index, outcome),
        onFail: () => this.#fail(index, 'abort', ENDED_BY_SERVER),
      };
      const request = model.submit(plan.spec, listener, waitedMs);
      this.choices.push({ plan, request, due: 0, sent: 0, chars: 0, bursts: [], ended: false });
    }
  }

  /** The client has gone. */
  cancel(): void {
    for (const { request, ended } of this.choices) if (!ended) request.cancel();
    this.settle('abort');
  }

  /** `numTokens` more tokens of a choice are due, all at once. */
  protected abstract due(index: number, choice: ChoiceState, numTokens: number): void;
  /** A choice has all its tokens. */
  protected abstract finished(index: number, choice: ChoiceState): void;
  /** Every choice has finished. */
  protected abstract complete(): void;
  /** Tells the client of a failure, if anything has been sent. @returns whether it was told. */
  protected abstract failed(error: ApiError): boolean;

  get promptTokens(): number {
    return this.#promptTokens;
  }

  /** Those that have been sent. */
  get completionTokens(): number {
    return this.choices.reduce((sum, { sent }) => sum + sent, 0);
  }

  get cachedTokens(): number {
    return this.#cachedTokens;
  }

  /** How it went, from the moment the last word is said. */
  get report(): DeliveryReport | undefined {
    return this.#report;
  }

  /** Whether the last word is said: nothing may be sent any more. */
  protected get settled(): boolean {
    return this.#settled;
  }

  protected settle(reason: string): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#report = {
      promptTokens: this.promptTokens,
      outputTokens: this.completionTokens,
      cachedTokens: this.cachedTokens,
      ttftMs: this.#firstTokenNs === undefined ? undefined : this.#firstTokenNs / 1e6,
      e2eMs: this.#endNs === undefined ? undefined : this.#endNs / 1e6,
      reason,
    };
    this.#resolve(this.#report);
  }

  #ended(index: number, outcome: RequestOutcome): void {
    const choice = this.choices[index]!;
    choice.ended = true;
    if (this.#settled) return;
    this.#note(outcome);
    const { reason } = outcome;
    if (reason === 'rejected') {
      this.#fail(index, reason, doesNotFit(outcome));
      return;
    }
    if (reason === 'abort') {
      this.#fail(index, reason, ENDED_BY_SERVER);
      return;
    }
    choice.due = choice.plan.output.numTokens;
    this.finished(index, choice);
    if (!this.choices.every(({ ended }) => ended)) return;
    this.complete();
    this.settle(reason);
  }

  #note({ arrivedAt, firstTokenAt, endedAt, cachedTokens }: RequestOutcome): void {
    this.#cachedTokens = Math.max(this.#cachedTokens, cachedTokens);
    if (firstTokenAt !== undefined) {
      this.#firstTokenNs = Math.min(this.#firstTokenNs ?? Infinity, firstTokenAt - arrivedAt);
    }
    this.#endNs = Math.max(this.#endNs ?? 0, endedAt - arrivedAt);
  }

  /** The server gives up on choice `index`, and so on the whole reply. */
  #fail(index: number, reason: string, error: ApiError): void {
    this.choices[index]!.ended = true;
    if (this.#settled) return;
    for (const { request, ended } of this.choices) if (!ended) request.cancel();
    if (this.failed(error)) {
      this.settle(reason);
      return;
    }
    this.#settled = true;
    this.#reject(error);
  }
}

const ENDED_BY_SERVER = new ApiError('overloaded', 'The request was ended by the server.', {
  retryAfterS: 1,
});

const doesNotFit = ({ spec }: RequestOutcome): ApiError =>
  new ApiError(
    'invalid',
    `A request of ${spec.promptTokens} prompt tokens and ${spec.maxTokens} output tokens does not fit into the KV cache of this server.`,
    { code: 'context_length_exceeded' },
  );

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

/** Waits for all answers; `complete` is called with their usage. */
export class WholeAnswer extends Delivery {
  readonly #send: (plans: readonly AnswerPlan[], usage: Usage) => void;

  constructor(send: (plans: readonly AnswerPlan[], usage: Usage) => void) {
    super();
    this.#send = send;
  }

  protected override due(): void {}

  protected override finished(_index: number, choice: ChoiceState): void {
    choice.sent = choice.due;
  }

  protected override complete(): void {
    this.#send(
      this.choices.map(({ plan }) => plan),
      this,
    );
  }

  protected override failed(): boolean {
    return false;
  }
}

export const finishOf = ({ output }: AnswerPlan): Finish => ({
  reason: output.finishReason,
  stop: output.stopReason,
});
