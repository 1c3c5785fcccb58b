/**
 * The oracle: vLLM v1's scheduler, one request and one step at a time.
 *
 * Written to be read beside the 47 rules observed on recorded traces (`rule n` below). It is the slow
 * and obvious counterpart of the engine: real lists, real block tables, real contents, no aggregates.
 * It knows neither steps of a trace nor time; `replay.ts` and `timed.ts` drive it.
 */

import { invariant } from '../../../src/core/errors.js';
import {
  type Derived,
  derive,
  type GoldenConfig,
  type GoldenRequest,
} from '../../parity/golden.js';
import { OracleAdapters } from './adapters.js';
import type { Call, Entry, Update } from './batch.js';
import { Cadence, type Wanted } from './cadence.js';
import { KvCache } from './kv-cache.js';
import { byPriority, OracleRequest } from './request.js';
import { accepted, Budget, proposed } from './speculation.js';

export class OracleScheduler {
  readonly derived: Derived;
  readonly running: OracleRequest[] = [];
  readonly waiting: OracleRequest[] = [];
  readonly kv: KvCache;
  readonly #maxActive: number;
  readonly #cadence: Cadence;
  /** Absent without LoRA. */
  readonly #adapters: OracleAdapters | undefined;

  constructor(readonly config: GoldenConfig) {
    this.derived = derive(config);
    this.#cadence = new Cadence(config);
    this.#adapters = config.max_loras === undefined ? undefined : new OracleAdapters(config);
    this.#maxActive = config.max_num_active_seqs ?? config.max_num_seqs;
    this.kv = new KvCache(config, this.derived);
  }

  /** Makes a request of a scenario; to be called in order of id, for all before the first is added. */
  prepare(id: number, spec: GoldenRequest): OracleRequest {
    return new OracleRequest(id, spec, this.kv.chain(id, spec));
  }

  add(request: OracleRequest): void {
    this.waiting.push(request);
    this.#orderWaiting();
  }

  get numUnfinished(): number {
    return this.running.length + this.waiting.length;
  }

  /** Rule 32: leaves its queue and frees its blocks at once. False if it has ended already. */
  abort(request: OracleRequest): boolean {
    if (request.ended) return false;
    this.#leave(request, 'abort');
    return true;
  }

  schedule(): Call {
    const call: Call = {
      entries: [],
      admitted: [],
      resumed: [],
      preempted: [],
      hits: [],
      evicted: [],
      loads: 0,
      fetches: 0,
      numAdapters: 0,
    };
    this.#adapters?.beginCall();
    const threshold = this.#threshold();
    const held = this.#cadence.holds(this.running, this.#wantedByAll());
    const budget = new Budget(this.config, this.derived.draft_slots);
    this.#scheduleRunning(call, budget, threshold, held);
    // Rule 8: nothing is admitted in a call in which anything was preempted.
    if (call.preempted.length === 0) {
      this.#admit(call, budget, threshold, held);
      if (!held) this.#cadence.released(this.waiting);
    }
    this.#cadence.called(call);
    if (this.#adapters) {
      const { loads, fetches } = this.#adapters;
      Object.assign(call, { loads, fetches, numAdapters: this.#adapters.numNeeded(this.running) });
      this.#adapters.endCall(this.running);
    }
    this.#afterSchedule(call);
    call.evicted = this.kv.pool.takeEvicted();
    return call;
  }

  /** Applies the sampled tokens of a batch, in batch order (rule 6). */
  update(call: Call): Update {
    const update: Update = { delivered: [], accepted: [], finished: [] };
    for (const entry of call.entries) {
      // Rules 32 and 37: output for a request that has ended is dropped.
      if (!entry.samples || entry.request.ended) continue;
      this.#deliver(entry, update);
    }
    if (this.config.num_speculative_tokens > 0 && !this.config.async_scheduling) {
      for (const { request } of call.entries) {
        if (!request.ended) {
          // With pipeline stages it may be in another batch by now.
          const waits = request.midPrefill || request.numInFlight > 0;
          request.numDrafts = waits ? 0 : proposed(this.config, request);
        }
      }
    }
    return update;
  }

  /** Rule 2: the running list first, in its order. */
  #scheduleRunning(call: Call, budget: Budget, threshold: number, held: boolean): void {
    let index = 0;
    while (index < this.running.length && budget.left > 0) {
      const request = this.running[index]!;
      const wanted = Math.min(this.#wanted(request, held), threshold, budget.left);
      const numScheduled = this.#withinWindow(request, wanted);
      // Rule 3: who has nothing to do is skipped.
      if (numScheduled <= 0) {
        index += 1;
        continue;
      }
      // Rule 15: victims until it fits, or until it is the victim itself (rules 17, 18).
      while (request.state === 'running' && !this.kv.grow(request, numScheduled)) {
        const victim = this.#chooseVictim();
        const position = this.running.indexOf(victim);
        if (position < index) index -= 1;
        const scheduled = call.entries.findIndex((entry) => entry.request === victim);
        if (scheduled >= 0) {
          // Rule 18: its tokens go back to the budget for those still to come.
          budget.giveBack(call.entries[scheduled]!.numScheduled);
          call.entries.splice(scheduled, 1);
        }
        this.#preempt(victim, position);
        call.preempted.push(victim);
      }
      if (request.state !== 'running') continue;
      // Rule 38: what the budget cuts off a request's drafts is dropped.
      const tokensDue = request.numKnown + request.numPlaceholders - request.numComputed;
      const numDrafts = Math.max(0, numScheduled - tokensDue);
      this.#put(call, budget, request, numScheduled, numDrafts, {
        admitted: false,
        prefill: request.midPrefill,
      });
      index += 1;
    }
  }

  /** Tokens a running request wants (rules 1, 33, 34). */
  #wanted(request: OracleRequest, held: boolean): number {
    // Rule 45: chunks of a held call are skipped.
    if (held && request.midPrefill) return 0;
    const inFlight = request.numPlaceholders;
    // Rule 34: no step is spent beyond max_tokens.
    const end = request.promptTokens + request.spec.max_tokens;
    if (inFlight > 0 && request.numComputed + 2 - inFlight >= end) return 0;
    return request.numKnown + request.numDrafts + inFlight - request.numComputed;
  }

  #withinWindow({ numComputed }: OracleRequest, tokens: number): number {
    return Math.min(tokens, this.config.max_model_len - 1 - numComputed);
  }

  /** Of the running, and of those in the queue that there are slots for. */
  #wantedByAll(): Wanted {
    const slots = Math.min(this.config.max_num_seqs, this.#maxActive) - this.running.length;
    const queued = this.waiting.slice(0, Math.max(0, slots)).map(({ numKnown }) => numKnown);
    const chunks = this.running.filter(({ midPrefill }) => midPrefill);
    const sum = (tokens: readonly number[]) => tokens.reduce((a, b) => a + b, 0);
    const ofRunning = (requests: readonly OracleRequest[]) =>
      sum(
        requests.map((request) =>
          Math.max(0, this.#withinWindow(request, this.#wanted(request, false))),
        ),
      );
    return {
      all: ofRunning(this.running) + sum(queued),
      prefill: ofRunning(chunks) + sum(queued),
    };
  }

  /** Rule 15: fcfs takes the tail, priority the least urgent, the asker included. */
  #chooseVictim(): OracleRequest {
    if (this.config.policy === 'fcfs') return this.running.at(-1)!;
    return this.running.toSorted(byPriority).at(-1)!;
  }

  /** Rule 16: loses its blocks and its place, keeps its outputs. */
  #preempt(request: OracleRequest, position: number): void {
    this.running.splice(position, 1);
    this.kv.release(request);
    request.numComputed = 0;
    request.numDrafts = 0;
    request.midPrefill = false;
    request.numPreemptions += 1;
    request.state = 'waiting';
    this.waiting.unshift(request);
    this.#orderWaiting();
  }

  /** The waiting queue: rules 7 to 14. */
  #admit(call: Call, budget: Budget, threshold: number, held: boolean): void {
    const k = this.config.num_speculative_tokens;
    const ranChunk = call.entries.some((entry) => entry.prefill);
    const ran = call.entries.length > 0;
    // Rule 7: the scan stops at the first head that cannot be admitted. Only who would need an adapter
    // too many is passed over, and keeps its place.
    let index = 0;
    while (
      index < this.waiting.length &&
      budget.left > 0 &&
      this.running.length < Math.min(this.config.max_num_seqs, this.#maxActive)
    ) {
      const request = this.waiting[index]!;
      // Rule 36: not resumed while output is pending.
      if (request.numPlaceholders + request.numInFlight > 0) return;
      const { lora } = request.spec;
      if (lora !== undefined && this.#adapters?.admits(lora, this.running) === false) {
        index += 1;
        continue;
      }
      const hit = this.kv.lookUp(request);
      const hitTokens = hit.length * this.config.block_size;
      const numDue = request.numKnown - hitTokens;
      // Rule 45: a held call admits only who needs a single token.
      if (held && numDue > 1) return;
      let numScheduled = numDue;
      // Rule 43: a single token is padded with drafts that are all rejected.
      const padded =
        k > 0 &&
        numDue === 1 &&
        !ranChunk &&
        (ran || hitTokens > 0) &&
        hitTokens + 1 + k + 1 <= this.config.max_model_len;
      if (padded) {
        numScheduled = 1 + k;
        if (numScheduled > budget.left) return;
      }
      numScheduled = Math.min(numScheduled, threshold);
      // Rule 9: without chunked prefill all of it must fit.
      if (!this.config.enable_chunked_prefill && numScheduled > budget.left) return;
      numScheduled = Math.min(numScheduled, budget.left);
      const anyRunning = this.running.length > 0;
      if (!this.kv.hasRoom(request, hit, hitTokens + numScheduled, anyRunning)) return;

      const resumed = request.numPreemptions > 0;
      (resumed ? call.resumed : call.admitted).push(request);
      call.hits.push({ request, tokens: hitTokens, known: request.numKnown });
      this.kv.record(request, hitTokens);
      request.cachedTokens ??= hitTokens;
      this.waiting.splice(index, 1);
      if (lora !== undefined) this.#adapters?.use(lora, this.running);
      this.running.push(request); // Rule 13: at the tail, whatever place it had before.
      request.state = 'running';
      this.kv.pool.touch(hit);
      request.blocks = [...hit];
      request.numPublished = hit.length;
      request.numComputed = hitTokens;
      invariant(this.kv.grow(request, numScheduled), 'an admitted request gets its blocks');
      const numDrafts = Math.max(0, numScheduled - numDue);
      this.#put(call, budget, request, numScheduled, numDrafts, { admitted: true, prefill: true });
    }
  }

  /** Puts a request with room for its tokens into the batch. */
  #put(
    call: Call,
    budget: Budget,
    request: OracleRequest,
    numScheduled: number,
    numDrafts: number,
    how: { readonly admitted: boolean; readonly prefill: boolean },
  ): void {
    budget.take(numScheduled);
    // Rules 26 and 42: blocks are cached before they are computed, up to the known tokens.
    this.kv.publish(request, request.numComputed + numScheduled);
    call.entries.push({
      request,
      numScheduled,
      numComputed: request.numComputed,
      numDrafts,
      ...how,
      samples: false,
    });
  }

  /** Rule 4: computed advances at the call, not at the update. */
  #afterSchedule(call: Call): void {
    for (const entry of call.entries) {
      const { request } = entry;
      request.numComputed += entry.numScheduled;
      request.midPrefill = request.numComputed < request.numKnown + request.numPlaceholders;
      entry.samples = !request.midPrefill;
      request.numDrafts = 0;
      if (entry.samples) request.numInFlight += 1;
      if (!this.config.async_scheduling || request.midPrefill) continue;
      // Rule 33: placeholders stand for the tokens to come, drafts included.
      request.numPlaceholders += 1 + entry.numDrafts;
      request.numDrafts = this.config.num_speculative_tokens;
    }
  }

  /** Rule 5: cuts prompts, unless a request is alone; 0 is off, adaptive or not. */
  #threshold(): number {
    const { long_prefill_token_threshold, long_prefill_token_threshold_adaptive } = this.config;
    const queued = this.running.length + this.waiting.length;
    if (queued <= 1 || long_prefill_token_threshold === 0) return Number.POSITIVE_INFINITY;
    if (!long_prefill_token_threshold_adaptive) return long_prefill_token_threshold;
    const share = Math.floor(this.config.max_num_batched_tokens / queued);
    return Math.max(long_prefill_token_threshold, share);
  }

  /** Rule 6, and 36 and 39 where tokens were in flight or drafts were rejected. */
  #deliver(entry: Entry, update: Update): void {
    const { request, numDrafts } = entry;
    request.numInFlight -= 1;
    const wasRunning = request.state === 'running';
    // Drafts of a padded admission are all rejected (rule 43).
    const held = entry.admitted ? 0 : accepted(this.config, request, numDrafts);
    if (numDrafts > 0) update.accepted.push({ request, drafts: held });
    // Rule 36: of a request preempted in the meantime, computed stays 0.
    if (wasRunning) request.numComputed -= numDrafts - held;
    if (this.config.async_scheduling) request.numPlaceholders -= numDrafts - held;
    let tokens = 0;
    let stops = false;
    while (tokens < held + 1 && !stops) {
      request.numOutputs += 1;
      tokens += 1;
      stops =
        request.numKnown >= this.config.max_model_len ||
        request.numOutputs >= request.spec.max_tokens;
    }
    if (this.config.async_scheduling) request.numPlaceholders -= tokens;
    update.delivered.push({ request, tokens });
    // Rules 35 and 42: what the tokens complete is cached now, up to the tokens in flight. The last
    // token never gets KV (rules 4, 30), although drafts thrown away may have passed it (rule 39).
    const cacheable = Math.min(request.numComputed - request.numPlaceholders, request.numKnown - 1);
    if (wasRunning) this.kv.publish(request, cacheable);
    if (!stops) return;
    this.#leave(request, 'length');
    update.finished.push(request);
  }

  #leave(request: OracleRequest, end: 'length' | 'abort'): void {
    const queue = request.state === 'running' ? this.running : this.waiting;
    queue.splice(queue.indexOf(request), 1);
    this.kv.release(request);
    request.state = end;
  }

  /** Rule 20: priority keeps the queue ordered; fcfs keeps what was put where. */
  #orderWaiting(): void {
    if (this.config.policy === 'priority') this.waiting.sort(byPriority);
  }
}
