/**
 * Brings the tokens of a request to its client: what a streamed answer (`streamed-answer.ts`) and a whole
 * one share.
 *
 * The engine says how many tokens are due; what they say is known beforehand. A choice is two numbers,
 * due and sent, and between them is what its client has yet to get.
 */

import type { RequestOutcome } from '../core/trace/tracer.js';
import { ApiError } from './api-error.js';
import type { Finish } from './frames.js';
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
export interface ChoiceState {
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
