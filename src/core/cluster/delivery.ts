/**
 * What leaves an instance: the tokens of a batch when its step is over, and requests that end.
 *
 * Decodes that flow along are one number with a weight; touched one by one are only those for whom the
 * batch is special (a first token, a gap, the last token) and, with speculation, all of it.
 */

import type { Acceptance, FinishReason } from '../engine.js';
import type { RunMetrics } from '../metrics/run-metrics.js';
import type { SpeculationStats } from '../metrics/speculation-stats.js';
import { NEVER, type Request, type RequestTable } from '../request/request.js';
import type { Batch } from '../sched/batch.js';
import type { Scheduler } from '../sched/scheduler.js';
import type { Tracer } from '../trace/tracer.js';
import { TICKS_PER_NS, type Ticks, type TimeNs } from '../units.js';
import { Outcome } from './outcome.js';

export interface DeliveryOptions {
  readonly scheduler: Scheduler;
  /** What became of the drafts; absent without speculation. */
  readonly drafts: SpeculationStats | undefined;
  readonly metrics: RunMetrics;
  readonly table: RequestTable;
  readonly tracer: Tracer;
  readonly acceptance: Acceptance | undefined;
  /** Drafts proposed after a step: k, and none in asynchronous mode, where they are made on the device. */
  readonly proposes: number;
}

export class Delivery {
  readonly #outcome = new Outcome();

  constructor(private readonly options: DeliveryOptions) {}

  /** Decides how many tokens each request of `batch` gets; before anyone is told. */
  draw(batch: Batch): void {
    if (batch.drafted.requests.size > 0) batch.drafted.draw(this.options.acceptance);
  }

  /** Hands out the tokens of a batch; those that got their last one end. */
  deliver(batch: Batch, now: TimeNs, stepTicks: Ticks): void {
    const { metrics, scheduler } = this.options;
    metrics.itl.addWeighted(stepTicks / TICKS_PER_NS, batch.steady);
    const { singles, finishing, stalling } = batch;
    for (let i = 0; i < singles.size; i++) {
      const request = singles.at(i);
      if (!request) continue;
      this.#gap(request, now);
      request.stalledSince = NEVER;
    }
    if (batch.drafted.requests.size > 0) this.#deliverDrafted(batch, now);
    if (finishing.size > 1) finishing.sortByPosition();
    for (let i = 0; i < finishing.size; i++) {
      const request = finishing.at(i);
      if (!request) continue;
      scheduler.set.received(request);
      this.#finish(request, now);
    }
    for (let i = 0; i < stalling.size; i++) {
      const request = stalling.at(i);
      if (!request) continue;
      request.stalledSince = now;
      scheduler.set.received(request);
    }
  }

  /** The first token, or one after a gap of its own. */
  #gap(request: Request, now: TimeNs): void {
    if (request.firstTokenAt === NEVER) request.firstTokenAt = now;
    else this.options.metrics.itl.addWeighted(now - request.stalledSince, 1);
  }

  #deliverDrafted({ drafted }: Batch, now: TimeNs): void {
    const { metrics, scheduler, acceptance, proposes, drafts: stats } = this.options;
    for (let i = 0; i < drafted.requests.size; i++) {
      const request = drafted.requests.at(i);
      if (!request) continue;
      const [drafts, held, tokens] = [drafted.drafts[i]!, drafted.held[i]!, drafted.tokens[i]!];
      this.#gap(request, now);
      // The others of this step come with it.
      metrics.itl.addWeighted(0, tokens - 1);
      request.stalledSince = now;
      stats?.count(drafts, held);
      const goesOn = scheduler.set.verified(request, drafts, held, tokens);
      if (request.known > request.endComputed) this.#finish(request, now);
      else if (goesOn && proposes > 0) {
        request.drafts = acceptance!.proposed?.(request, proposes) ?? proposes;
      }
    }
  }

  // ---- ends ----

  #finish(request: Request, now: TimeNs): void {
    this.options.scheduler.remove(request);
    const { spec, numOutputTokens } = request;
    const reason = numOutputTokens < spec.maxTokens ? 'length' : (spec.finishReason ?? 'length');
    this.#end(request, reason, now, now, numOutputTokens);
  }

  /** A request that can never be served (14). */
  reject(request: Request, now: TimeNs): void {
    this.#end(request, 'rejected', now, NEVER, 0);
  }

  /**
   * The caller of `request` went away. What is in flight for it, in `batches`, is dropped: it was
   * counted as known, and weighs in its batch. `stepBegan`: when tokens flowed last.
   */
  abort(
    request: Request,
    at: TimeNs,
    stepBegan: TimeNs,
    batches: readonly (Batch | undefined)[],
  ): void {
    this.options.scheduler.remove(request);
    let tokens = request.phase === 'arriving' ? 0 : request.numOutputTokens;
    for (const batch of batches) if (batch) tokens -= withdraw(batch, request);
    const { firstTokenAt, stalledSince } = request;
    const lastTokenAt =
      firstTokenAt === NEVER ? NEVER : stalledSince === NEVER ? stepBegan : stalledSince;
    this.#end(request, 'abort', at, lastTokenAt, tokens);
  }

  #end(
    request: Request,
    reason: FinishReason,
    at: TimeNs,
    lastTokenAt: TimeNs,
    tokens: number,
  ): void {
    const { metrics, table, tracer } = this.options;
    metrics.ended(request, reason, lastTokenAt, tokens);
    const told = tracer.requestFinish !== undefined;
    if (told) this.#outcome.of(request, reason, at, lastTokenAt, tokens);
    table.close(request);
    if (told) tracer.requestFinish!(this.#outcome);
  }
}

/** Takes `request` out of a batch that has still to be delivered; 1 when it was in it. */
function withdraw(batch: Batch, request: Request): number {
  const { firstCall, lastCall } = request;
  if (firstCall === NEVER || firstCall > batch.call || lastCall < batch.call) return 0;
  if (firstCall < batch.call) batch.steady--;
  return 1;
}
