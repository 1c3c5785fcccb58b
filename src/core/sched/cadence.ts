/**
 * When a call holds prefill back so that decodes go on undisturbed: three engines have three rules. None
 * holds anything while nothing decodes.
 */

import type { SchedulerConfig } from '../engine.js';

/** What a rule may ask of the call about to be made. */
export interface Ahead {
  /** Whether somebody decodes. */
  readonly isDecoding: boolean;
  /** Tokens of the call if it took all prompts it has slots for, counted up to `enough`; 0 if there is none to take. */
  tokensWithPrefill(enough: number): number;
}

export interface Cadence {
  /** Whether the call about to be made holds prefill back. */
  holds(ahead: Ahead): boolean;
  /** How many more calls hold (`held`) or do not, like the last one, while the same prompts wait. */
  callsAlike(held: boolean): number;
  /** A call that did not hold has admitted whom it could. */
  released(numWaiting: number): void;
  /** `calls` calls with tokens were made; the last one may have carried prefill. */
  executed(calls: number, carriedPrefill: boolean): void;
}

/** The rule of `config`, which has one of them or none. */
export function cadenceOf(config: SchedulerConfig): Cadence {
  const { schedulerRecvInterval, batchWaitTimeoutIters, batchWaitMaxTokensRatio } = config;
  if (schedulerRecvInterval > 1) return new Polls(schedulerRecvInterval);
  if (batchWaitTimeoutIters > 0) {
    const enough = batchWaitMaxTokensRatio * config.maxNumBatchedTokens;
    return new WaitsForCompany(batchWaitTimeoutIters, enough);
  }
  return new EveryNth(config.prefillScheduleInterval);
}

/** Calls on end hold, unless the last release left requests waiting. */
abstract class Paced implements Cadence {
  #capacityBound = false;

  abstract executed(calls: number, carriedPrefill: boolean): void;

  /** How many calls from now on may hold. */
  protected abstract get callsLeft(): number;

  holds({ isDecoding }: Ahead): boolean {
    return this.callsLeft > 0 && isDecoding && !this.#capacityBound;
  }

  callsAlike(held: boolean): number {
    return held ? this.callsLeft : Number.POSITIVE_INFINITY;
  }

  released(numWaiting: number): void {
    this.#capacityBound = numWaiting > 0;
  }
}

/** `prefill_schedule_interval` N: only every N-th step carries prefill (rules 45–47). */
class EveryNth extends Paced {
  /** Calls with tokens since one carried prefill. */
  #since = Number.POSITIVE_INFINITY;

  constructor(private readonly interval: number) {
    super();
  }

  protected get callsLeft(): number {
    return this.interval - 1 - this.#since;
  }

  executed(calls: number, carriedPrefill: boolean): void {
    this.#since = carriedPrefill ? 0 : this.#since + calls;
  }
}

/** SGLang's `scheduler_recv_interval` N: new requests are looked for every N decode steps, and after each step with prefill. */
class Polls extends Paced {
  /** Calls with tokens since requests were last looked for; `interval`: they are looked for next. */
  #since: number;

  constructor(private readonly interval: number) {
    super();
    this.#since = interval;
  }

  protected get callsLeft(): number {
    return this.interval - this.#since;
  }

  override holds(ahead: Ahead): boolean {
    const held = super.holds(ahead);
    if (this.callsLeft === 0 || !ahead.isDecoding) this.#since = 0;
    return held;
  }

  /** Where nothing waits, many calls may be made, and requests be looked for in between. */
  executed(calls: number, carriedPrefill: boolean): void {
    if (carriedPrefill) this.#since = this.interval;
    else if (calls > 0) this.#since = ((this.#since + calls - 1) % this.interval) + 1;
  }
}

/**
 * TensorRT-LLM's `batch_wait_timeout_iters` N and `batch_wait_max_tokens_ratio`: prompts wait N steps for
 * company, or until there are so many tokens that the step is worth it.
 */
class WaitsForCompany implements Cadence {
  #waited = 0;
  #holding = false;
  /** Whether the last call had prompts and slots for them. */
  #hadPrompts = false;

  constructor(
    private readonly timeout: number,
    private readonly enough: number,
  ) {}

  holds(ahead: Ahead): boolean {
    const tokens = ahead.isDecoding ? ahead.tokensWithPrefill(this.enough) : 0;
    this.#hadPrompts = tokens > 0;
    this.#holding = this.#hadPrompts && this.#waited < this.timeout && tokens < this.enough;
    if (this.#hadPrompts && !this.#holding) this.#waited = 0;
    return this.#holding;
  }

  callsAlike(held: boolean): number {
    if (held) return this.timeout - this.#waited;
    // Prompts that were let go and found no room wait anew.
    return this.#hadPrompts ? 0 : Number.POSITIVE_INFINITY;
  }

  released(): void {}

  executed(calls: number): void {
    if (this.#holding) this.#waited += calls;
  }
}
