/**
 * One request inside the engine, and the table that hands out handles.
 *
 * Records are pooled: a simulation of millions of requests keeps as many as were ever alive at once.
 * A handle is a slot of the table plus a generation, so a stale handle is recognised in O(1).
 *
 *   phase      where it is           numComputedTokens
 *   arriving   on its way, not queued      0
 *   waiting    in the waiting queue        0; those it has loaded
 *   loading    in the waiting queue, with blocks for KV that is on its way: explicit
 *   prefill    running, computing known tokens, explicit in `computed`
 *   decode     running, one token a step   implied: `offset` + calls made (see DecodeSet)
 *   verify     running with speculation, its newest token and drafts; explicit in `computed`
 *   limbo      running, nothing left to schedule, its last token is in flight
 *   ended      the record is free
 */

import type { RequestHandle, RequestSpec } from '../engine.js';
import { invariant } from '../errors.js';
import type { TimeNs } from '../units.js';

export type Phase =
  | 'arriving'
  | 'waiting'
  | 'loading'
  | 'prefill'
  | 'decode'
  | 'verify'
  | 'limbo'
  | 'ended';

/**
 * "Never happened", for instants and call numbers. Not −1: fields that hold instants later are doubles
 * from the start (see `DOUBLE_ZERO`).
 */
export const NEVER = Number.NEGATIVE_INFINITY;

/** The instance of a request that has not been routed. */
export const NOWHERE = -1;

const NO_SPEC: RequestSpec = { promptTokens: 0, maxTokens: 0 };

export class Request {
  phase: Phase = 'ended';
  handle: RequestHandle = Number.NaN;
  spec: RequestSpec = NO_SPEC;
  /** Number in order of submission: the tie-breaker everywhere. */
  index = 0;
  instance = NOWHERE;
  priority = 0;

  promptTokens = 0;
  /** numComputedTokens when the last token is sampled: the last token's own KV is never computed. */
  endComputed = 0;

  /** Neighbours in the running list or the waiting queue: a request is in one of them. */
  prev: Request | undefined = undefined;
  next: Request | undefined = undefined;
  /** Order of admission; rises along the running list. */
  position = 0;

  /** Explicit while not decoding. `known` counts tokens still in flight. */
  computed = 0;
  known = 0;
  /** Tokens scheduled in the call being made. */
  chunk = 0;
  /** KV blocks held; while it decodes they follow from `computed`. */
  blocks = 0;
  /** With speculation: drafts to verify next, and (asynchronous) tokens scheduled that have not come. */
  drafts = 0;
  placeholders = 0;

  /** While decoding: computed − calls made, constant; neighbours in the bucket of its last call. */
  offset = 0;
  bucketPrev: Request | undefined = undefined;
  bucketNext: Request | undefined = undefined;
  /** First call whose batch has it, and last one, since it last began to decode. */
  firstCall = NEVER;
  lastCall = NEVER;
  /** The call in which a walk over the running list scheduled it. */
  walkedCall = NEVER;

  arrivedAt: TimeNs = NEVER;
  scheduledAt: TimeNs = NEVER;
  firstTokenAt: TimeNs = NEVER;
  /** Since its last token, when it missed a step (preempted, left out); NEVER while tokens flow. */
  stalledSince: TimeNs = NEVER;
  cachedTokens = 0;
  numPreemptions = 0;

  constructor(
    readonly slot: number,
    public generation: number,
  ) {}

  get numOutputTokens(): number {
    return this.known - this.promptTokens;
  }
}

/** Slots per generation of handles: more than may ever be alive at once. */
const SLOTS = 2 ** 26;

export class RequestTable {
  readonly #slots: Request[] = [];
  readonly #free: Request[] = [];
  #numFree = 0;
  #submitted = 0;

  get numSubmitted(): number {
    return this.#submitted;
  }

  get numAlive(): number {
    return this.#slots.length - this.#numFree;
  }

  open(at: TimeNs, spec: RequestSpec, maxModelLen: number): Request {
    const request = this.#numFree > 0 ? this.#free[--this.#numFree]! : this.#grow();
    request.phase = 'arriving';
    request.handle = request.generation * SLOTS + request.slot;
    request.spec = spec;
    request.index = this.#submitted++;
    request.instance = NOWHERE;
    request.priority = spec.priority ?? 0;
    request.promptTokens = spec.promptTokens;
    request.endComputed = Math.min(spec.promptTokens + spec.maxTokens, maxModelLen) - 1;
    request.computed = 0;
    request.known = spec.promptTokens;
    request.chunk = 0;
    request.drafts = 0;
    request.placeholders = 0;
    request.firstCall = NEVER;
    request.lastCall = NEVER;
    request.walkedCall = NEVER;
    request.arrivedAt = at;
    request.scheduledAt = NEVER;
    request.firstTokenAt = NEVER;
    request.stalledSince = NEVER;
    request.cachedTokens = 0;
    request.numPreemptions = 0;
    return request;
  }

  /** The live request of this handle, if it has not ended. */
  find(handle: RequestHandle): Request | undefined {
    const request = this.#slots[handle % SLOTS];
    return request?.handle === handle && request.phase !== 'ended' ? request : undefined;
  }

  close(request: Request): void {
    invariant(request.phase !== 'ended', 'a request ends once');
    request.phase = 'ended';
    request.generation++;
    request.spec = NO_SPEC;
    this.#free[this.#numFree++] = request;
  }

  #grow(): Request {
    const request = new Request(this.#slots.length, 0);
    invariant(request.slot < SLOTS, 'fewer than 2^26 requests are alive at once');
    this.#slots.push(request);
    return request;
  }
}
