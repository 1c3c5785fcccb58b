/**
 * One schedule call of one instance: vLLM v1's continuous batching, decided on aggregates.
 *
 * A running request wants as many tokens as it knows and has not computed; a decode is one that wants
 * 1. The running come first, in the order of their admission, then the waiting queue. What makes this
 * cheap: whether a budget or the free blocks suffice depends on sums only, and decodes are a sum
 * (`DecodeSet`). Only when they do not suffice does order matter, and then `#walk` goes through the
 * running list one by one.
 *
 * Numbers in parentheses are the rules of the recorded traces (docs/parity.md).
 */

import type { SchedulerConfig } from '../engine.js';
import type { KvPool } from '../kv/kv-pool.js';
import { NEVER, type Request } from '../request/request.js';
import { RequestList } from '../request/request-list.js';
import type { TimeNs } from '../units.js';
import { addPrefill, type Batch, RequestBag } from './batch.js';
import type { DecodeSet } from './decode-set.js';
import { policyNamed } from './policies/index.js';
import type { SchedulerPolicy } from './policy.js';

/** What is told, while it happens, to whoever asked for it. */
export interface SchedulerEars {
  admitted(request: Request, hitTokens: number, resumed: boolean): void;
  preempted(request: Request): void;
  /** Whether somebody replays calls, and wants every request one serves in the order of the batch. */
  readonly hearsScheduled: boolean;
  scheduled(request: Request, numTokens: number, computed: number): void;
}

/** The last call of a request that still decodes. */
const FOREVER = Number.MAX_SAFE_INTEGER;

export class Scheduler {
  readonly running = new RequestList();
  readonly waiting = new RequestList();
  /** The running requests that still compute known tokens, in running order. */
  readonly prefills: Request[] = [];
  numPrefills = 0;
  /** Running requests with nothing left to schedule, whose last token is in flight. */
  numLimbo = 0;
  numPreemptions = 0;

  /** Whether the next call would decide the same, as far as the last one knows. */
  repeatable = false;
  /** Whether the last call held prefill back (45). */
  held = false;
  preemptedInCall = 0;

  readonly #policy: SchedulerPolicy;
  readonly #leftOut = new RequestBag();
  readonly #rejoined = new RequestBag();
  readonly #maxRunning: number;
  readonly #watermarkBlocks: number;
  #nextPosition = 0;
  /** Steps with tokens so far, the last of them that carried prefill, and (46). */
  #executed = 0;
  #lastPrefill = Number.NEGATIVE_INFINITY;
  #capacityBound = false;
  /** The call in which the head of the queue, not admitted, may find more in the cache than it did. */
  #headGainsAt = Infinity;

  constructor(
    private readonly config: SchedulerConfig,
    private readonly kv: KvPool,
    readonly decodes: DecodeSet,
    private readonly window: number,
    private readonly ears: SchedulerEars,
  ) {
    this.#policy = policyNamed(config.policy);
    this.#maxRunning = Math.min(config.maxNumSeqs, config.maxNumActiveSeqs);
    this.#watermarkBlocks = Math.floor(config.watermark * config.numGpuBlocks);
  }

  get numUnfinished(): number {
    return this.running.size + this.waiting.size;
  }

  /** Tokens whose KV is held by running requests; what they share counts once. */
  get residentTokens(): number {
    let tokens = this.decodes.sumComputed - this.kv.sharedBlocks * this.config.blockSize;
    for (let i = 0; i < this.numPrefills; i++) tokens += this.prefills[i]!.computed;
    return tokens;
  }

  enqueue(request: Request): void {
    request.phase = 'waiting';
    this.#queueAt(request, false);
  }

  /** Makes one schedule call into `batch`. `inFlight`: the batch before, when its tokens are still to come. */
  call(now: TimeNs, batch: Batch, inFlight: Batch | undefined): void {
    const { decodes, config } = this;
    batch.reset(decodes.calls + 1);
    const queued = this.running.size + this.waiting.size;
    const threshold = this.#threshold(queued);
    this.held = this.#holds();
    this.preemptedInCall = 0;
    this.#headGainsAt = Infinity;

    // The running: all at once where the sums allow it, one by one where they do not.
    let budget = config.maxNumScheduledTokens;
    const wanted = this.#chunks(threshold, budget - decodes.size);
    let numDecodes = decodes.size;
    if (wanted >= 0 && this.#takeBlocks()) {
      budget -= numDecodes + wanted;
      this.#publishChunks(batch.call);
    } else {
      numDecodes = this.#walk(now, batch, inFlight, threshold);
      budget -= this.#walkedTokens;
    }
    const ranPrefill = this.#shapePrefills(batch);

    // The waiting (7, 8), after the call has advanced everyone that runs.
    decodes.advance(1);
    batch.shape.numDecodes = numDecodes;
    batch.shape.decodeContext = decodes.sumComputed;
    batch.shape.decodeWindowContext = decodes.sumWindowed;
    batch.numTokens = numDecodes + batch.shape.prefillTokens;
    let admittedPrefill = false;
    if (this.preemptedInCall === 0) {
      admittedPrefill = this.#admit(now, batch, threshold, budget);
      if (!this.held) this.#capacityBound = this.waiting.size > 0; // (46)
    }
    if (batch.numTokens > 0) this.#executed++;
    if (ranPrefill || admittedPrefill) this.#lastPrefill = this.#executed; // (47)

    batch.shape.numSampled = numDecodes;
    if (this.ears.hearsScheduled) this.#tellScheduled();
    this.#settle(batch, numDecodes);
    this.repeatable =
      batch.shape.numPrefills === 0 &&
      this.preemptedInCall === 0 &&
      batch.singles.size === 0 &&
      this.#rejoined.size === 0 &&
      this.numLimbo === 0 &&
      decodes.size > 0;
  }

  /** How many more calls, at most `limit`, decide the same as the last one. */
  callsAlike(limit: number): number {
    if (!this.repeatable) return 0;
    let calls = Math.min(limit, this.decodes.callsUntilChange());
    if (this.held && this.waiting.size + this.numPrefills > 0) {
      const held = this.#lastPrefill + this.config.prefillScheduleInterval - 1 - this.#executed;
      if (held < calls) calls = held;
    }
    const gain = this.#headGainsAt - 1 - this.decodes.calls;
    if (gain < calls) calls = gain;
    if (calls <= 0) return 0;
    return this.decodes.callsWithin(this.kv.free, calls);
  }

  /** Makes `calls` more calls like the last one; the last of them may sample last tokens. */
  repeat(calls: number, batch: Batch): void {
    if (calls === 0) return;
    this.kv.take(this.decodes.blocksFor(calls));
    this.decodes.advance(calls);
    this.#executed += calls;
    batch.call = this.decodes.calls;
    if (this.ears.hearsScheduled) this.#tellScheduled();
    this.#retire(batch);
  }

  /** Tells the ears whom the call just made serves; before it is settled, or inside a run. */
  #tellScheduled(): void {
    for (const request of this.running) {
      if (request.phase === 'prefill') {
        if (request.chunk > 0) this.ears.scheduled(request, request.chunk, request.computed);
      } else if (request.phase === 'decode' && !this.#leftOut.has(request)) {
        this.ears.scheduled(request, 1, this.decodes.computed(request) - 1);
      }
    }
  }

  /** Takes a request out of whatever it is in; its blocks are free at once (32). */
  remove(request: Request): void {
    switch (request.phase) {
      case 'waiting':
        this.waiting.remove(request);
        return;
      case 'prefill':
        this.#dropPrefill(request);
        break;
      case 'decode':
        this.#leave(request);
        request.lastCall = this.decodes.calls;
        break;
      case 'limbo':
        this.numLimbo--;
        break;
      default:
        return;
    }
    this.running.remove(request);
    this.kv.release(request, this.#blocks(request.computed));
  }

  /**
   * A token that was in flight has come: what it completed can be found from now on (35). Needed only
   * for those that no further call would publish.
   */
  received(request: Request): void {
    if (!this.config.asyncScheduling) return;
    if (request.phase === 'decode') request.computed = this.decodes.computed(request);
    else if (request.phase !== 'limbo') return;
    this.kv.publish(request, request.computed, this.decodes.calls, true);
  }

  #join(request: Request): void {
    this.decodes.join(request);
    this.kv.follow(request);
  }

  #leave(request: Request): void {
    this.kv.unfollow(request);
    this.decodes.leave(request);
  }

  // ---- the running list ----

  /** Most prompt tokens of one request in this call (5). */
  #threshold(queued: number): number {
    const { longPrefillTokenThreshold: threshold, maxNumBatchedTokens } = this.config;
    if (threshold === 0 || queued <= 1) return Infinity;
    return this.config.longPrefillTokenThresholdAdaptive
      ? Math.max(threshold, Math.floor(maxNumBatchedTokens / queued))
      : threshold;
  }

  #holds(): boolean {
    const interval = this.config.prefillScheduleInterval;
    return (
      interval > 1 &&
      this.#executed - this.#lastPrefill < interval - 1 &&
      this.decodes.size + this.numLimbo > 0 &&
      !this.#capacityBound
    );
  }

  /**
   * Sets the chunk of every prefill, `left` tokens being left by the decodes. Returns their sum, or −1
   * where order decides who gets what: a prefill stands before decodes that go short.
   */
  #chunks(threshold: number, left: number): number {
    const { prefills, numPrefills } = this;
    if (left < 0) return -1;
    let total = 0;
    for (let i = 0; i < numPrefills; i++) {
      const request = prefills[i]!;
      const want = this.held ? 0 : Math.min(request.known - request.computed, threshold);
      request.chunk = want;
      total += want;
    }
    if (total <= left) return total;
    if (!this.#prefillsAreTail()) return -1;
    for (let i = 0, rest = left; i < numPrefills; i++) {
      const request = prefills[i]!;
      request.chunk = Math.min(request.chunk, rest);
      rest -= request.chunk;
    }
    return left;
  }

  #prefillsAreTail(): boolean {
    let request = this.running.tail;
    for (let i = this.numPrefills; i > 0; i--) {
      if (request !== this.prefills[i - 1]) return false;
      request = request?.prev;
    }
    return true;
  }

  /** Takes the blocks of all that is scheduled, if there are enough (22). */
  #takeBlocks(): boolean {
    let need = this.decodes.needingBlock(0);
    for (let i = 0; i < this.numPrefills; i++) {
      const { computed, chunk } = this.prefills[i]!;
      need += this.#blocks(computed + chunk) - this.#blocks(computed);
    }
    if (need > this.kv.free) return false;
    if (need > 0) this.kv.take(need);
    return true;
  }

  #blocks(tokens: number): number {
    return Math.ceil(tokens / this.config.blockSize);
  }

  #walkedTokens = 0;

  /**
   * The running list one by one, as the rules are written: whoever comes while budget is left gets
   * tokens (2, 3), and blocks, for which others are preempted (15–18). Returns the decodes served;
   * the others have left the aggregate until the call is over.
   */
  #walk(now: TimeNs, batch: Batch, inFlight: Batch | undefined, threshold: number): number {
    const { kv, config } = this;
    const call = batch.call;
    let budget = config.maxNumScheduledTokens;
    let numDecodes = 0;
    for (let i = 0; i < this.numPrefills; i++) this.prefills[i]!.chunk = 0;
    let request = this.running.head;
    walk: while (request && budget > 0) {
      const decoding = request.phase === 'decode';
      const skipped = request.phase === 'limbo' || (this.held && !decoding);
      if (skipped) {
        request = request.next;
        continue;
      }
      const computed = decoding ? this.decodes.computed(request) : request.computed;
      const want = decoding ? 1 : Math.min(request.known - computed, threshold);
      const chunk = Math.min(want, budget);
      const need = this.#blocks(computed + chunk) - this.#blocks(computed);
      while (need > kv.free) {
        const victim = this.#victim();
        const after: Request | undefined = request.next;
        if (victim.walkedCall === call) {
          // (18) It was served already: its tokens go back to the budget.
          const served = victim.phase === 'decode' ? 1 : victim.chunk;
          if (victim.phase === 'decode') numDecodes--;
          budget += served;
          this.#preempt(victim, now, inFlight, served);
        } else this.#preempt(victim, now, inFlight, 0);
        if (victim === request) {
          request = after;
          continue walk;
        }
      }
      if (need > 0) kv.take(need);
      request.walkedCall = call;
      if (decoding) numDecodes++;
      else {
        request.chunk = chunk;
        kv.publish(request, computed + chunk, call, false);
      }
      budget -= chunk;
      request = request.next;
    }
    if (numDecodes < this.decodes.size) this.#leaveOut(call, now, inFlight);
    this.#walkedTokens = config.maxNumScheduledTokens - budget;
    return numDecodes;
  }

  /** Decodes the walk did not reach leave the aggregate; they come back when the call is over. */
  #leaveOut(call: number, now: TimeNs, inFlight: Batch | undefined): void {
    for (let request = this.running.head; request; request = request.next) {
      if (request.phase !== 'decode' || request.walkedCall === call) continue;
      this.#stall(request, now, inFlight);
      this.#leave(request);
      this.#leftOut.add(request);
    }
  }

  #victim(): Request {
    const compare = this.#policy.compareVictims;
    let victim = this.running.tail!;
    if (!compare) return victim;
    for (let request = victim.prev; request; request = request.prev) {
      if (compare(request, victim) > 0) victim = request;
    }
    return victim;
  }

  /** (16) `served`: tokens it was already given in this call, whose blocks it holds as well. */
  #preempt(request: Request, now: TimeNs, inFlight: Batch | undefined, served: number): void {
    this.#stall(request, now, inFlight);
    if (request.phase === 'decode') {
      this.#leave(request);
      request.lastCall = this.decodes.calls;
      if (served > 0) this.#publishServed(request);
    } else if (request.phase === 'prefill') this.#dropPrefill(request);
    else this.numLimbo--;
    this.kv.release(request, this.#blocks(request.computed + served));
    this.running.remove(request);
    request.computed = 0;
    request.chunk = 0;
    request.numPreemptions++;
    request.phase = 'waiting';
    this.#queueAt(request, true);
    this.preemptedInCall++;
    this.numPreemptions++;
    this.ears.preempted(request);
  }

  /** A decode that was served in this call has published its block, although it goes (26, 35). */
  #publishServed(request: Request): void {
    const inFlight = this.config.asyncScheduling ? 1 : 0;
    this.kv.publish(request, request.computed + 1 - inFlight, this.decodes.calls + 1, false);
  }

  /** Notes since when `request` has had no token: now, or when the one in flight is delivered. */
  #stall(request: Request, now: TimeNs, inFlight: Batch | undefined): void {
    if (request.phase === 'prefill' || request.firstCall > this.decodes.calls) return;
    if (inFlight) inFlight.stalling.add(request);
    else if (request.stalledSince === NEVER) request.stalledSince = now;
  }

  #queueAt(request: Request, front: boolean): void {
    const compare = this.#policy.compareWaiting;
    if (!compare) {
      if (front) this.waiting.pushFront(request);
      else this.waiting.pushBack(request);
      return;
    }
    let place = this.waiting.tail;
    while (place && compare(request, place) < 0) place = place.prev;
    this.waiting.insertAfter(place, request);
  }

  #dropPrefill(request: Request): void {
    const { prefills } = this;
    let i = 0;
    while (prefills[i] !== request) i++;
    for (; i < this.numPrefills - 1; i++) prefills[i] = prefills[i + 1]!;
    this.numPrefills--;
  }

  /** Adds the running prefills to the batch; whether there was any (47). */
  #shapePrefills(batch: Batch): boolean {
    let any = false;
    for (let i = 0; i < this.numPrefills; i++) {
      const { computed, chunk } = this.prefills[i]!;
      if (chunk === 0) continue;
      addPrefill(batch.shape, chunk, computed, this.window);
      any = true;
    }
    return any;
  }

  /** The blocks that the chunks of this call fill can be found from now on (26). */
  #publishChunks(call: number): void {
    for (let i = 0; i < this.numPrefills; i++) {
      const request = this.prefills[i]!;
      if (request.chunk > 0)
        this.kv.publish(request, request.computed + request.chunk, call, false);
    }
  }

  // ---- the waiting queue ----

  /** Admits from the head while it fits (7–13). Whether anyone was admitted with more than one token (47). */
  #admit(now: TimeNs, batch: Batch, threshold: number, budget: number): boolean {
    const { config, kv } = this;
    let carriesPrefill = false;
    while (budget > 0 && this.running.size < this.#maxRunning) {
      const request = this.waiting.head;
      if (!request) break;
      const hit = kv.lookUp(request);
      this.#headGainsAt = kv.gainsAtCall;
      const want = request.known - hit;
      if (this.held && want > 1) break; // (45)
      let chunk = Math.min(want, threshold);
      if (chunk > budget) {
        if (!config.enableChunkedPrefill) break; // (9)
        chunk = budget;
      }
      const watermark = this.running.size > 0 ? this.#watermarkBlocks : 0; // (12)
      const hitBlocks = hit / config.blockSize;
      const available = kv.free - kv.hitFreeBlocks - watermark + hitBlocks;
      if (config.schedulerReserveFullIsl) {
        if (this.#blocks(Math.min(request.known, config.maxModelLen)) > available) break; // (10)
      }
      const blocks = this.#blocks(hit + chunk);
      if (blocks > available) break; // (11)

      this.waiting.remove(request);
      const resumed = request.scheduledAt !== NEVER;
      kv.admit(request, blocks - hitBlocks);
      this.#headGainsAt = Infinity;
      request.phase = 'prefill';
      request.computed = hit;
      request.chunk = chunk;
      request.position = this.#nextPosition++;
      kv.publish(request, hit + chunk, batch.call, false);
      if (!resumed) {
        request.scheduledAt = now;
        request.cachedTokens = hit;
      }
      this.running.pushBack(request);
      this.prefills[this.numPrefills++] = request;
      addPrefill(batch.shape, chunk, hit, this.window);
      batch.numTokens += chunk;
      budget -= chunk;
      carriesPrefill ||= want > 1;
      this.ears.admitted(request, hit, resumed);
    }
    return carriesPrefill;
  }

  // ---- after the call ----

  /** Advances prefills; completed ones decode from here on. Last tokens go to limbo. */
  #settle(batch: Batch, numDecodes: number): void {
    const { decodes, prefills } = this;
    const call = decodes.calls;
    batch.steady = numDecodes;
    for (let i = 0; i < this.#rejoined.size; i++) {
      // Left out in the call before, served in this one: their gap is longer than the step.
      const request = this.#rejoined.at(i);
      if (request?.phase !== 'decode' || request.firstCall !== call) continue;
      batch.steady--;
      batch.singles.add(request);
    }
    this.#rejoined.clear();
    this.#retire(batch);

    let kept = 0;
    for (let i = 0; i < this.numPrefills; i++) {
      const request = prefills[i]!;
      request.computed += request.chunk;
      request.chunk = 0;
      if (request.computed < request.known) {
        prefills[kept++] = request;
        continue;
      }
      batch.shape.numSampled++;
      batch.singles.add(request);
      request.firstCall = call;
      request.lastCall = FOREVER;
      if (request.computed >= request.endComputed) {
        request.known = request.computed + 1;
        this.#toLimbo(request, batch);
      } else this.#join(request);
    }
    this.numPrefills = kept;

    for (let i = 0; i < this.#leftOut.size; i++) {
      const request = this.#leftOut.at(i)!;
      request.firstCall = call + 1;
      request.lastCall = FOREVER;
      this.#join(request);
      this.#rejoined.add(request);
    }
    this.#leftOut.clear();
  }

  /** Decodes whose last token this call samples have nothing left to schedule. */
  #retire(batch: Batch): void {
    for (let request = this.decodes.due(); request; request = this.decodes.due()) {
      this.#leave(request);
      this.#toLimbo(request, batch);
    }
  }

  #toLimbo(request: Request, batch: Batch): void {
    request.phase = 'limbo';
    request.lastCall = this.decodes.calls;
    this.numLimbo++;
    batch.finishing.add(request);
  }
}
