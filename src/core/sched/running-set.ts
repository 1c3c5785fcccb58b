/**
 * Who is running, and the blocks they hold.
 *
 *   members   compute known tokens or verify drafts: explicit, one by one, in running order
 *   decodes   compute one token a call: an aggregate (`DecodeSet`)
 *   limbo     have nothing left to schedule; their last token is in flight
 *
 * All of them stand in one list, in order of admission. With speculation nobody joins the aggregate:
 * how far a request comes in a step depends on a draw. Nor with pipeline stages: a decode waits for the
 * batch it is in to come back, while others are scheduled.
 */

import type { SchedulerConfig } from '../engine.js';
import type { KvPool } from '../kv/kv-pool.js';
import type { Request } from '../request/request.js';
import { RequestList } from '../request/request-list.js';
import { Adapters } from './adapters.js';
import type { DecodeSet } from './decode-set.js';
import { type Speculation, stagesOf } from './speculation.js';

/** The last call of a request that still decodes. */
const FOREVER = Number.MAX_SAFE_INTEGER;

export class RunningSet {
  readonly list = new RequestList();
  readonly members: Request[] = [];
  /** LoRA adapters, where there are any. */
  readonly adapters: Adapters | undefined;
  numMembers = 0;
  /** Members that verify drafts. */
  numVerifying = 0;
  numLimbo = 0;
  /** Tokens of waiting requests that hold blocks for KV from a tier. */
  heldTokens = 0;
  /** Position of the next one admitted. */
  nextPosition = 0;
  readonly #blockSize: number;
  readonly #maxModelLen: number;
  readonly #numDrafts: number;
  readonly #lookahead: number;
  readonly #hashLookahead: number;
  readonly #async: boolean;
  /** Whether a call may be made while tokens of an earlier one are still to come. */
  readonly overlaps: boolean;

  constructor(
    config: SchedulerConfig,
    speculation: Speculation,
    private readonly kv: KvPool,
    readonly decodes: DecodeSet,
  ) {
    this.#blockSize = config.blockSize;
    this.#maxModelLen = config.maxModelLen;
    this.#numDrafts = speculation.numDrafts;
    this.#lookahead = speculation.lookaheadTokens;
    this.#hashLookahead = speculation.hashLookahead;
    this.#async = config.asyncScheduling;
    this.overlaps = config.asyncScheduling || stagesOf(config) > 1;
    this.adapters = config.lora && new Adapters(config.lora);
  }

  get size(): number {
    return this.list.size;
  }

  /** Whether anyone is past its prompt. */
  get isDecoding(): boolean {
    return this.decodes.size + this.numLimbo + this.numVerifying > 0;
  }

  /** Tokens a member wants (1, 3, 33, 34, 45). */
  wants(request: Request, held: boolean): number {
    if (held && request.phase === 'prefill') return 0;
    const { known, computed, placeholders } = request;
    if (this.#numDrafts === 0) return known - computed;
    if (placeholders > 0 && !this.#async) return 0; // On its way through the stages.
    const end = request.promptTokens + request.spec.maxTokens;
    if (placeholders > 0 && computed + 2 - placeholders >= end) return 0;
    const most = this.#maxModelLen - 1 - computed;
    return Math.min(known + request.drafts + placeholders - computed, most);
  }

  // ---- blocks ----

  blocks(tokens: number): number {
    return Math.ceil(tokens / this.#blockSize);
  }

  /** Blocks of a request with so many computed tokens: drafts to come have theirs already (22, 40). */
  blocksFor(tokens: number): number {
    if (this.#lookahead === 0) return this.blocks(tokens);
    return this.blocks(Math.min(tokens + this.#lookahead, this.#maxModelLen));
  }

  /** Blocks a member needs for its chunk beyond what it has. */
  missingBlocks({ computed, chunk, blocks }: Request): number {
    return Math.max(0, this.blocksFor(computed + chunk) - blocks);
  }

  /** A member is served: it has the blocks of its chunk, and what the chunk fills can be found (26, 42). */
  serve(request: Request, call: number): void {
    request.blocks += this.missingBlocks(request);
    this.#publish(request, call);
  }

  #publish(request: Request, call: number): void {
    const { computed, chunk, known } = request;
    this.kv.publish(request, Math.min(computed + chunk, known - this.#hashLookahead), call, false);
  }

  /** A decode was served in a call and goes all the same: it has published its block (26, 35). */
  serveLeaving(request: Request, call: number): void {
    request.blocks = this.blocks(request.computed + 1);
    this.kv.publish(request, request.computed + (this.#async ? 0 : 1), call, false);
  }

  // ---- coming and going ----

  /** Takes in a request at the tail (13), with the blocks of its first chunk. */
  admit(request: Request, hit: number, chunk: number, call: number): void {
    const blocks = this.blocksFor(hit + chunk);
    const loaded = request.computed > 0;
    request.phase = 'prefill';
    request.computed = hit;
    request.chunk = chunk;
    request.blocks = blocks;
    request.position = this.nextPosition++;
    if (loaded) this.heldTokens -= hit;
    if (loaded) this.kv.take(blocks - hit / this.#blockSize);
    else this.kv.admit(request, blocks - hit / this.#blockSize);
    this.list.pushBack(request);
    this.members[this.numMembers++] = request;
    this.#publish(request, call);
  }

  /** A waiting request gets blocks for `found` tokens that are on their way, beside those of its hit. */
  hold(request: Request, hit: number, found: number): void {
    request.phase = 'loading';
    request.computed = hit + found;
    request.blocks = request.computed / this.#blockSize;
    this.heldTokens += request.computed;
    this.kv.admit(request, found / this.#blockSize);
  }

  /** They have come: it can be admitted, and others can find them. */
  loaded(request: Request): void {
    request.phase = 'waiting';
    request.position = this.nextPosition++;
    this.kv.publish(request, request.computed, this.decodes.calls, true);
  }

  /** A waiting request lets go of the blocks it holds, if it does; `comesBack`: it goes on waiting. */
  letGo(request: Request, comesBack: boolean): void {
    if (request.computed === 0) return;
    this.heldTokens -= request.computed;
    request.computed = 0;
    this.kv.release(request, request.blocks, comesBack);
  }

  /** From call `call` on it computes one token a call; no longer a member, if it was one. */
  join(request: Request, call: number): void {
    request.firstCall = call;
    request.lastCall = FOREVER;
    this.decodes.join(request);
    this.kv.follow(request);
    if (this.adapters && request.spec.lora !== undefined) this.adapters.numDecodes++;
  }

  /** Out of the aggregate; still running. */
  leave(request: Request): void {
    this.kv.unfollow(request);
    this.decodes.leave(request);
    request.blocks = this.blocks(request.computed);
    if (this.adapters && request.spec.lora !== undefined) this.adapters.numDecodes--;
  }

  /** Nothing is left to schedule of it. */
  toLimbo(request: Request): void {
    request.phase = 'limbo';
    request.lastCall = this.decodes.calls;
    this.numLimbo++;
    if (this.adapters) this.#leaveAdapter(request);
  }

  #leaveAdapter({ spec: { lora } }: Request): void {
    if (lora !== undefined) this.adapters!.leave(lora, this.decodes.calls);
  }

  /** A member has computed all it knows, or has not. */
  setVerifying(request: Request, verifying: boolean): void {
    if (request.phase === 'verify') this.numVerifying--;
    if (verifying) this.numVerifying++;
    request.phase = verifying ? 'verify' : 'prefill';
  }

  /**
   * Runs no longer, and gives its blocks back; `preempted`: for a while only. `servedIn`: the call that
   * had served it already.
   */
  remove(request: Request, preempted: boolean, servedIn: number | undefined): void {
    if (this.adapters && request.phase !== 'limbo') this.#leaveAdapter(request);
    switch (request.phase) {
      case 'decode':
        this.leave(request);
        request.lastCall = this.decodes.calls;
        if (servedIn !== undefined) this.serveLeaving(request, servedIn);
        break;
      case 'limbo':
        this.numLimbo--;
        break;
      default:
        if (request.phase === 'verify') this.numVerifying--;
        this.#dropMember(request);
    }
    this.list.remove(request);
    this.kv.release(request, request.blocks, preempted);
  }

  #dropMember(request: Request): void {
    const { members } = this;
    let i = 0;
    while (members[i] !== request) i++;
    for (; i < this.numMembers - 1; i++) members[i] = members[i + 1]!;
    this.numMembers--;
  }

  /** Whether all decodes stand before all members. */
  membersAreTail(): boolean {
    let request = this.list.tail;
    for (let i = this.numMembers; i > 0; i--) {
      if (request !== this.members[i - 1]) return false;
      request = request?.prev;
    }
    return true;
  }

  // ---- what updates bring ----

  /**
   * A token that was in flight has come: what it completed can be found from now on (35). Needed only
   * where no further call would publish it.
   */
  received(request: Request): void {
    if (!this.#async) return;
    const decoding = request.phase === 'decode';
    if (!decoding && request.phase !== 'limbo') return;
    const computed = decoding ? this.decodes.computed(request) : request.computed;
    this.kv.publish(request, computed, this.decodes.calls, true);
  }

  /**
   * Of `drafts` drafts `held` held, and `tokens` tokens were generated (39). Whether it goes on running.
   * Who was preempted meanwhile still gets its tokens (36).
   */
  verified(request: Request, drafts: number, held: number, tokens: number): boolean {
    const running = request.phase === 'verify';
    if (running) request.computed -= drafts - held;
    if (this.overlaps) request.placeholders -= drafts - held + tokens;
    request.known += tokens;
    if (!running) return false;
    const { computed, placeholders, known } = request;
    this.kv.publish(
      request,
      Math.min(computed - placeholders, known - 1),
      this.decodes.calls,
      true,
    );
    return known <= request.endComputed;
  }

  /** Tokens whose KV is held; what is shared counts once. */
  get residentTokens(): number {
    let tokens =
      this.decodes.sumComputed + this.heldTokens - this.kv.sharedBlocks * this.#blockSize;
    for (let i = 0; i < this.numMembers; i++) tokens += this.members[i]!.computed;
    return tokens;
  }
}
