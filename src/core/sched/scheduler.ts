/**
 * One schedule call of one instance: vLLM v1's continuous batching, decided on aggregates.
 *
 * A running request wants as many tokens as it knows and has not computed; a decode is one that wants
 * 1. The running come first, in the order of their admission, then the waiting queue. What makes this
 * cheap: whether a budget or the free blocks suffice depends on sums only, and decodes are a sum
 * (`DecodeSet`). Only when they do not suffice does order matter, and then a `Walk` goes through the
 * running list one by one.
 *
 * Numbers in parentheses are the rules of the recorded traces (docs/parity.md).
 */

import type { SchedulerConfig } from '../engine.js';
import type { KvPool } from '../kv/kv-pool.js';
import type { Request } from '../request/request.js';
import type { RequestList } from '../request/request-list.js';
import { addDrafted, addPrefill } from '../step-shape.js';
import type { TimeNs } from '../units.js';
import { Admission } from './admission.js';
import { type Batch, RequestBag } from './batch.js';
import { Budget } from './budget.js';
import { type Cadence, cadenceOf } from './cadence.js';
import type { DecodeSet } from './decode-set.js';
import { policyNamed } from './policies/index.js';
import { RunningSet } from './running-set.js';
import { type Speculation, speculationOf } from './speculation.js';
import { WaitingQueue } from './waiting-queue.js';
import { type Share, Walk } from './walk.js';

/** What is told, while it happens, to whoever asked for it. */
export interface SchedulerEars {
  admitted(request: Request, hitTokens: number, resumed: boolean): void;
  preempted(request: Request): void;
  /** It waits for KV from a tier, which is there at `until`. */
  loading(request: Request, until: TimeNs): void;
  /** Whether somebody replays calls, and wants every request one serves in the order of the batch. */
  readonly hearsScheduled: boolean;
  scheduled(request: Request, numTokens: number, computed: number, numDrafts: number): void;
}

/** More tokens than any prompt has, and a small integer. */
const NO_THRESHOLD = 2 ** 30;

export class Scheduler implements Share {
  readonly queue: WaitingQueue;
  readonly set: RunningSet;
  /** Whether the next call would decide the same, as far as the last one knows. */
  repeatable = false;
  /** Whether the last call held prefill back (45). */
  held = false;
  preemptedInCall = 0;
  /** Most prompt tokens of one request in this call (5). */
  threshold = NO_THRESHOLD;

  readonly #speculation: Speculation;
  readonly #budget: Budget;
  readonly #cadence: Cadence;
  readonly #walk: Walk;
  readonly #admission: Admission;
  /** Decodes passed over in the last call, which are back. */
  readonly #rejoined = new RequestBag();

  constructor(
    private readonly config: SchedulerConfig,
    private readonly kv: KvPool,
    readonly decodes: DecodeSet,
    private readonly window: number,
    private readonly ears: SchedulerEars,
  ) {
    this.#speculation = speculationOf(config);
    this.#budget = new Budget(config, this.#speculation.draftSlots);
    this.#cadence = cadenceOf(config);
    const policy = policyNamed(config.policy);
    this.queue = new WaitingQueue(policy);
    this.set = new RunningSet(config, this.#speculation, kv, decodes);
    const parts = { set: this.set, queue: this.queue, kv, budget: this.#budget, policy, ears };
    this.#walk = new Walk(parts);
    this.#admission = new Admission(config, this.#speculation, window, parts);
  }

  get running(): RequestList {
    return this.set.list;
  }

  get waiting(): RequestList {
    return this.queue.list;
  }

  get numPreemptions(): number {
    return this.#walk.numPreemptions;
  }

  get numUnfinished(): number {
    return this.set.list.size + this.waiting.size;
  }

  /** Makes one schedule call into `batch`. `inFlight`: the batch before, when its tokens are still to come. */
  call(now: TimeNs, batch: Batch, inFlight: Batch | undefined): void {
    const { decodes, set } = this;
    batch.reset(decodes.calls + 1);
    this.threshold = this.#threshold();
    this.held = this.#cadence.holds(this.#admission);
    this.#admission.headGainsAt = Infinity;
    this.#admission.blocked = false;
    const preemptedBefore = this.#walk.numPreemptions;
    const firstNew = set.nextPosition;

    // The running: all at once where the sums allow it, one by one where they do not.
    let numDecodes = decodes.size;
    this.#budget.reset();
    if (this.#share() && this.#takeBlocks(batch.call)) {
      if (numDecodes > 0) this.#budget.take(numDecodes);
    } else numDecodes = this.#walk.serve(now, batch, inFlight, this);
    this.preemptedInCall = this.#walk.numPreemptions - preemptedBefore;

    // What they compute; the call has then advanced everyone that runs.
    decodes.advance(1);
    batch.shape.numDecodes = numDecodes;
    batch.shape.decodeContext = decodes.sumComputed;
    batch.shape.decodeWindowContext = decodes.sumWindowed;
    batch.numTokens = numDecodes;
    if (set.adapters) batch.shape.loraTokens = set.adapters.numDecodes;
    const ranPrefill = this.#shapeMembers(batch);

    // The waiting (7, 8).
    let admittedPrefill = false;
    if (this.preemptedInCall === 0) {
      admittedPrefill = this.#admission.admit(now, batch, this, ranPrefill);
      if (!this.held) this.#cadence.released(this.waiting.size); // (46)
    }
    this.#cadence.executed(batch.numTokens > 0 ? 1 : 0, ranPrefill || admittedPrefill);

    batch.shape.numSampled = numDecodes;
    if (set.adapters) batch.shape.numAdapters = set.adapters.numActive;
    if (this.ears.hearsScheduled) this.#tellScheduled();
    this.#settle(batch, numDecodes, firstNew);
    this.repeatable =
      batch.shape.numPrefills === 0 &&
      this.preemptedInCall === 0 &&
      batch.singles.size === 0 &&
      this.#rejoined.size === 0 &&
      set.numLimbo === 0 &&
      decodes.size > 0;
  }

  /** How many more calls, at most `limit`, decide the same as the last one. */
  callsAlike(limit: number): number {
    if (!this.repeatable) return 0;
    const { decodes } = this;
    let calls = Math.min(limit, decodes.callsUntilChange());
    if (this.waiting.size + this.set.numMembers > 0) {
      calls = Math.min(calls, this.#cadence.callsAlike(this.held));
    }
    calls = Math.min(calls, this.#admission.headGainsAt - 1 - decodes.calls);
    // With tiers, a block taken may change what the head finds.
    const free = this.kv.tiers && this.#admission.blocked ? 0 : this.kv.free;
    return calls <= 0 ? 0 : decodes.callsWithin(free, calls);
  }

  /** Makes `calls` more calls like the last one; the last of them may sample last tokens. */
  repeat(calls: number, batch: Batch): void {
    if (calls === 0) return;
    this.kv.take(this.decodes.blocksFor(calls));
    this.decodes.advance(calls);
    this.#cadence.executed(calls, false);
    batch.call = this.decodes.calls;
    if (this.ears.hearsScheduled) this.#tellScheduled();
    this.#retire(batch);
  }

  /** Takes a request out of whatever it is in; its blocks are free at once (32). */
  remove(request: Request): void {
    const { phase } = request;
    if (phase === 'waiting' || phase === 'loading') {
      this.waiting.remove(request);
      this.set.letGo(request, false);
    } else if (phase !== 'arriving') this.set.remove(request, false, undefined);
  }

  /** Tells the ears whom the call just made serves; before it is settled, or inside a run. */
  #tellScheduled(): void {
    const { ears, decodes } = this;
    for (let request = this.running.head; request; request = request.next) {
      if (request.phase === 'decode') {
        if (this.#walk.leftOut.has(request)) continue;
        ears.scheduled(request, 1, decodes.computed(request) - 1, 0);
      } else if (request.phase !== 'limbo' && request.chunk > 0) {
        ears.scheduled(request, request.chunk, request.computed, draftsIn(request));
      }
    }
  }

  // ---- the running list ----

  /** Most prompt tokens of one request in this call (5). */
  #threshold(): number {
    const { longPrefillTokenThreshold: threshold, maxNumBatchedTokens } = this.config;
    const queued = this.numUnfinished;
    if (threshold === 0 || queued <= 1) return NO_THRESHOLD;
    return this.config.longPrefillTokenThresholdAdaptive
      ? Math.max(threshold, Math.floor(maxNumBatchedTokens / queued))
      : threshold;
  }

  /**
   * Sets the chunk of every member, decodes having theirs. False where order decides who gets what: a
   * member stands before decodes that go short.
   */
  #share(): boolean {
    const { members, numMembers } = this.set;
    const budget = this.#budget;
    const left = budget.left - this.decodes.size;
    if (left < 0) return false;
    if (numMembers === 0) return true;
    let total = 0;
    for (let i = 0; i < numMembers; i++) {
      const request = members[i]!;
      request.chunk = Math.min(this.set.wants(request, this.held), this.threshold);
      total += request.chunk;
    }
    if (total > left || budget.draftSlots > 0) {
      if (!this.set.membersAreTail()) return false;
    } else if (total === 0) return true;
    // Each in turn, what is reserved for decodes aside.
    for (let i = 0; i < numMembers; i++) {
      const request = members[i]!;
      const most = Math.max(0, budget.left - this.decodes.size);
      request.chunk = Math.min(request.chunk, most);
      if (request.chunk > 0) budget.take(request.chunk);
    }
    return true;
  }

  /** Takes the blocks of all that is scheduled, if there are enough (22). */
  #takeBlocks(call: number): boolean {
    const { set, kv } = this;
    let need = this.decodes.needingBlock;
    for (let i = 0; i < set.numMembers; i++) {
      const request = set.members[i]!;
      if (request.chunk > 0) need += set.missingBlocks(request);
    }
    if (need > kv.free) return false;
    if (need > 0) kv.take(need);
    for (let i = 0; i < set.numMembers; i++) {
      const request = set.members[i]!;
      if (request.chunk > 0) set.serve(request, call);
    }
    return true;
  }

  /** Adds the members served to the batch; whether any of them computes its prompt (47). */
  #shapeMembers(batch: Batch): boolean {
    const { adapters } = this.set;
    let prefill = false;
    for (let i = 0; i < this.set.numMembers; i++) {
      const member = this.set.members[i]!;
      const { computed, chunk, phase } = member;
      if (chunk === 0) continue;
      batch.numTokens += chunk;
      if (adapters && member.spec.lora !== undefined) batch.shape.loraTokens! += chunk;
      if (phase === 'verify') addDrafted(batch.shape, chunk, computed, this.window);
      else {
        addPrefill(batch.shape, chunk, computed, this.window);
        prefill = true;
      }
    }
    return prefill;
  }

  // ---- after the call ----

  /** Advances members; those that have computed all they know decode from here on. Last tokens go to limbo. */
  #settle(batch: Batch, numDecodes: number, firstNew: number): void {
    const { decodes, set } = this;
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

    const { oneByOne } = this.#speculation;
    let kept = 0;
    for (let i = 0; i < set.numMembers; i++) {
      const request = set.members[i]!;
      const drafts = oneByOne ? draftsIn(request) : 0;
      const served = request.chunk > 0;
      request.computed += request.chunk;
      request.chunk = 0;
      if (oneByOne) {
        if (served) this.#settleDrafted(request, drafts, batch, request.position >= firstNew);
        set.members[kept++] = request;
      } else if (request.computed < request.known) set.members[kept++] = request;
      else this.#complete(request, batch);
    }
    set.numMembers = kept;

    for (let i = 0; i < this.#walk.leftOut.size; i++) {
      const request = this.#walk.leftOut.at(i)!;
      set.join(request, call + 1);
      this.#rejoined.add(request);
    }
    this.#walk.leftOut.clear();
  }

  /** All that `request` knows is computed: it gets a token, and decodes from the next call on. */
  #complete(request: Request, batch: Batch): void {
    batch.shape.numSampled++;
    batch.singles.add(request);
    if (request.computed < request.endComputed) {
      this.set.join(request, batch.call);
      return;
    }
    request.firstCall = batch.call;
    request.known = request.computed + 1;
    this.set.toLimbo(request);
    batch.finishing.add(request);
  }

  /** Followed one by one, everyone stays a member, and who has computed all it knows gets tokens (33, 38). */
  #settleDrafted(request: Request, drafts: number, batch: Batch, admitted: boolean): void {
    const complete = request.computed >= request.known + request.placeholders;
    this.set.setVerifying(request, complete);
    request.drafts = 0;
    if (!complete) return;
    batch.shape.numSampled++;
    batch.drafted.add(request, drafts, admitted);
    if (!this.set.overlaps) return;
    request.placeholders += 1 + drafts;
    // Drafts made on the device are there at once; others when the tokens have come.
    if (this.config.asyncScheduling) request.drafts = this.#speculation.numDrafts;
  }

  /** Decodes whose last token this call samples have nothing left to schedule. */
  #retire(batch: Batch): void {
    for (let request = this.decodes.due(); request; request = this.decodes.due()) {
      this.set.leave(request);
      this.set.toLimbo(request);
      batch.finishing.add(request);
    }
  }
}

/** Draft tokens in the chunk of a member: what goes beyond the tokens it knows (38). */
function draftsIn({ chunk, known, placeholders, computed }: Request): number {
  return Math.max(0, chunk - (known + placeholders - computed));
}
