/**
 * The running list, one by one: what a call does when tokens or blocks do not suffice for all, so that
 * order decides who goes short. Everything here follows the rules as they are written; it runs in a few
 * calls only, and costs the length of the list.
 */

import type { KvPool } from '../kv/kv-pool.js';
import { NEVER, type Request } from '../request/request.js';
import type { TimeNs } from '../units.js';
import { type Batch, RequestBag } from './batch.js';
import type { Budget } from './budget.js';
import type { SchedulerPolicy } from './policy.js';
import type { RunningSet } from './running-set.js';
import type { SchedulerEars } from './scheduler.js';
import type { WaitingQueue } from './waiting-queue.js';

export interface WalkParts {
  readonly set: RunningSet;
  readonly queue: WaitingQueue;
  readonly kv: KvPool;
  readonly budget: Budget;
  readonly policy: SchedulerPolicy;
  readonly ears: SchedulerEars;
}

/** What bounds the tokens of one request in a call. */
export interface Share {
  /** Most prompt tokens (5). */
  readonly threshold: number;
  /** Whether prefill is held back (45). */
  readonly held: boolean;
}

export class Walk {
  numPreemptions = 0;
  /** Decodes that this call passes over. */
  readonly leftOut = new RequestBag();

  constructor(private readonly parts: WalkParts) {}

  /**
   * The running list one by one, as the rules are written: whoever comes while budget is left gets
   * tokens (2, 3), and blocks, for which others are preempted (15–18). Returns the decodes served;
   * the others have left the aggregate until the call is over.
   */
  serve(now: TimeNs, batch: Batch, inFlight: Batch | undefined, most: Share): number {
    const { set, kv, budget } = this.parts;
    let numDecodes = 0;
    budget.reset();
    for (let i = 0; i < set.numMembers; i++) set.members[i]!.chunk = 0;
    let request = set.list.head;
    while (request && budget.left > 0) {
      const decoding = request.phase === 'decode';
      const want = decoding ? 1 : request.phase === 'limbo' ? 0 : set.wants(request, most.held);
      if (want <= 0) {
        request = request.next;
        continue;
      }
      const chunk = Math.min(want, most.threshold, budget.left);
      if (!decoding) request.chunk = chunk;
      const need: number = decoding ? this.#decodeNeeds(request) : set.missingBlocks(request);
      let asks = true;
      let next: Request | undefined = request.next;
      while (asks && need > kv.free) {
        const victim = this.#victim();
        asks = victim !== request;
        if (victim === next) next = next.next;
        numDecodes -= this.#preemptInWalk(victim, now, inFlight, batch.call);
      }
      if (asks) {
        kv.take(need);
        request.walkedCall = batch.call;
        if (decoding) numDecodes++;
        else set.serve(request, batch.call);
        budget.take(chunk);
      }
      request = next;
    }
    if (numDecodes < set.decodes.size) this.#leaveOut(batch.call, now, inFlight);
    return numDecodes;
  }

  #decodeNeeds(request: Request): number {
    const { set } = this.parts;
    const computed = set.decodes.computed(request);
    return set.blocks(computed + 1) - set.blocks(computed);
  }

  /** Decodes the walk did not reach leave the aggregate; they come back when the call is over. */
  #leaveOut(call: number, now: TimeNs, inFlight: Batch | undefined): void {
    const { set } = this.parts;
    for (let request = set.list.head; request; request = request.next) {
      if (request.phase !== 'decode' || request.walkedCall === call) continue;
      this.#stall(request, now, inFlight);
      set.leave(request);
      request.firstCall = call + 1;
      this.leftOut.add(request);
    }
  }

  #victim(): Request {
    const { set, policy } = this.parts;
    const compare = policy.compareVictims;
    let victim = set.list.tail!;
    if (!compare) return victim;
    for (let request = victim.prev; request; request = request.prev) {
      if (compare(request, victim) > 0) victim = request;
    }
    return victim;
  }

  /** Preempts; what the walk had given to `victim` goes back to the budget (18). Returns decodes unserved. */
  #preemptInWalk(victim: Request, now: TimeNs, inFlight: Batch | undefined, call: number): number {
    const served = victim.walkedCall === call;
    const decoding = victim.phase === 'decode';
    if (served) this.parts.budget.giveBack(decoding ? 1 : victim.chunk);
    this.#preempt(victim, now, inFlight, served ? call : undefined);
    return served && decoding ? 1 : 0;
  }

  /** (16) `servedIn`: the call that served it already, so that it holds the blocks for that. */
  #preempt(
    request: Request,
    now: TimeNs,
    inFlight: Batch | undefined,
    servedIn: number | undefined,
  ): void {
    const { set, queue, ears } = this.parts;
    this.#stall(request, now, inFlight);
    set.remove(request, true, servedIn);
    request.computed = 0;
    request.chunk = 0;
    request.drafts = 0;
    request.numPreemptions++;
    queue.comeBack(request);
    this.numPreemptions++;
    ears.preempted(request);
  }

  /** Notes since when `request` has had no token: now, or when the one in flight is delivered. */
  #stall(request: Request, now: TimeNs, inFlight: Batch | undefined): void {
    if (request.phase !== 'decode' && request.phase !== 'limbo') return;
    if (request.firstCall > this.parts.set.decodes.calls) return;
    if (inFlight) inFlight.stalling.add(request);
    else if (request.stalledSince === NEVER) request.stalledSince = now;
  }
}
