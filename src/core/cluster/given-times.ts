/**
 * An engine whose times are given instead of simulated, for authors of tests: every request gets its
 * first token `ttftNs` after it arrived and one more every `itlNs`, whatever the load.
 *
 * The same contract as the simulated cluster, so that everything in front of it is the same. Requests
 * do not share anything, hence there are no steps: a token is an event of its own, kept in a heap by
 * the instant at which it is due. Times are exact multiples: nothing adds up.
 */

import type {
  Engine,
  FinishReason,
  InstanceSnapshot,
  RequestHandle,
  RequestSpec,
} from '../engine.js';
import { invariant } from '../errors.js';
import { NEVER, type Request, RequestTable } from '../request/request.js';
import type { Tracer } from '../trace/tracer.js';
import type { DurationNs, TimeNs } from '../units.js';
import { Outcome } from './outcome.js';

/** When the tokens of one request leave: the first after `ttftNs`, each other after its gap. */
export interface TokenTimes {
  readonly ttftNs: DurationNs;
  /** When they are used up, they begin again. */
  readonly gapsNs: readonly DurationNs[];
}

export interface GivenTimesOptions {
  /** Arrival to first token. */
  readonly ttftNs: DurationNs;
  /** Between two tokens of a request; fractions of a nanosecond are kept. */
  readonly itlNs: number;
  /** Times of one request, by its number in order of submission; absent: those above. */
  readonly timesOf?: (index: number) => TokenTimes | undefined;
  readonly maxModelLen: number;
  /** KV blocks that are reported, and what each holds: given times need none. */
  readonly numBlocks: number;
  readonly blockSize: number;
  readonly tracer: Tracer;
}

export class GivenTimes implements Engine {
  readonly #table = new RequestTable();
  readonly #due = new DueHeap();
  readonly #outcome = new Outcome();
  /** When the callers of requests go away. */
  readonly #cancelAt = new Map<RequestHandle, TimeNs>();
  readonly #handles = new Float64Array(1);
  readonly #one = new Uint8Array([1]);
  #now: TimeNs = 0;
  #numRunning = 0;
  #usedTokens = 0;

  constructor(private readonly options: GivenTimesOptions) {
    invariant(options.ttftNs >= 0 && options.itlNs >= 0, 'times are not negative');
  }

  submit(at: TimeNs, spec: RequestSpec, waitedNs: DurationNs = 0): RequestHandle {
    invariant(at >= this.#now, 'a request is submitted no earlier than now');
    const { ttftNs, maxModelLen } = this.options;
    const request = this.#table.open(at - Math.min(waitedNs, ttftNs, at), spec, maxModelLen);
    request.instance = 0;
    this.#due.push(at, request);
    return request.handle;
  }

  cancel(at: TimeNs, handle: RequestHandle): void {
    const request = this.#table.find(handle);
    if (!request) return;
    const cancelAt = Math.max(at, this.#now);
    this.#cancelAt.set(handle, cancelAt);
    this.#due.push(cancelAt, request);
  }

  nextEventAt(): TimeNs | undefined {
    return this.#due.size > 0 ? this.#due.firstAt : undefined;
  }

  advanceTo(t: TimeNs): void {
    while (this.#due.size > 0 && this.#due.firstAt <= t) {
      const at = this.#due.firstAt;
      const request = this.#due.pop();
      this.#now = at;
      if (request) this.#turn(request, at);
    }
    if (t !== Infinity && t > this.#now) this.#now = t;
  }

  snapshot(): readonly InstanceSnapshot[] {
    const { numBlocks, blockSize } = this.options;
    return [
      {
        pool: 0,
        instance: 0,
        at: this.#now,
        numRunning: this.#numRunning,
        numWaiting: 0,
        numBlocks,
        freeBlocks: Math.max(0, numBlocks - Math.ceil(this.#usedTokens / blockSize)),
        cachedBlocks: 0,
        busy: this.#numRunning > 0,
      },
    ];
  }

  /** Something is due for `request`: its arrival, its cancellation, or a token. */
  #turn(request: Request, at: TimeNs): void {
    if (at >= (this.#cancelAt.get(request.handle) ?? Infinity)) this.#end(request, 'abort', at);
    else if (request.phase === 'arriving') this.#start(request, at);
    else this.#token(request, at);
  }

  #start(request: Request, at: TimeNs): void {
    const { tracer, maxModelLen, ttftNs } = this.options;
    tracer.requestArrive?.(at, request.handle, request.spec, 0);
    if (request.promptTokens >= maxModelLen || request.spec.maxTokens < 1) {
      this.#end(request, 'rejected', at);
      return;
    }
    request.phase = 'decode';
    request.scheduledAt = at;
    this.#numRunning++;
    this.#usedTokens += request.promptTokens;
    tracer.requestSchedule?.(at, request.handle, {
      instance: 0,
      resumed: false,
      cachedTokens: 0,
      knownTokens: request.known,
    });
    const times = this.options.timesOf?.(request.index);
    this.#due.push(Math.max(at, request.arrivedAt + (times?.ttftNs ?? ttftNs)), request);
  }

  #token(request: Request, at: TimeNs): void {
    const { tracer, itlNs } = this.options;
    if (request.firstTokenAt === NEVER) request.firstTokenAt = at;
    request.known++;
    this.#usedTokens++;
    this.#handles[0] = request.handle;
    tracer.tokens?.({
      at,
      instance: 0,
      count: 1,
      handles: this.#handles,
      numTokens: this.#one,
    });
    // The last token's own KV is never computed.
    if (request.known > request.endComputed) {
      const cut = request.numOutputTokens < request.spec.maxTokens;
      this.#end(request, cut ? 'length' : (request.spec.finishReason ?? 'length'), at);
    } else {
      const gaps = this.options.timesOf?.(request.index)?.gapsNs;
      const next = gaps?.length
        ? at + gaps[(request.numOutputTokens - 1) % gaps.length]!
        : request.firstTokenAt + Math.round(itlNs * request.numOutputTokens);
      this.#due.push(next, request);
    }
  }

  #end(request: Request, reason: FinishReason, at: TimeNs): void {
    if (request.phase === 'decode') {
      this.#numRunning--;
      this.#usedTokens -= request.known;
    }
    const lastTokenAt = reason === 'stop' || reason === 'length' ? at : NEVER;
    const outcome = this.#outcome.of(request, reason, at, lastTokenAt, request.numOutputTokens);
    this.#cancelAt.delete(request.handle);
    this.#table.close(request);
    this.options.tracer.requestFinish?.(outcome);
  }
}

/** A binary heap of what is due, by instant and then by order of submission to it. */
class DueHeap {
  readonly #times: number[] = [];
  readonly #order: number[] = [];
  readonly #requests: Request[] = [];
  readonly #handles: RequestHandle[] = [];
  #pushed = 0;
  size = 0;

  get firstAt(): TimeNs {
    return this.#times[0]!;
  }

  push(at: TimeNs, request: Request): void {
    let i = this.size++;
    const order = this.#pushed++;
    for (let up = (i - 1) >> 1; i > 0 && at < this.#times[up]!; up = (i - 1) >> 1) {
      this.#move(up, i);
      i = up;
    }
    this.#set(i, at, order, request, request.handle);
  }

  /** Takes the first; `undefined` when its request has ended meanwhile. */
  pop(): Request | undefined {
    const request = this.#requests[0]!;
    const handle = this.#handles[0];
    const last = --this.size;
    if (last > 0) this.#sink(last);
    return request.handle === handle && request.phase !== 'ended' ? request : undefined;
  }

  /** Puts the entry at `last` where the first one was, and down to its place. */
  #sink(last: number): void {
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#before(child + 1, child)) child++;
      if (!this.#before(child, last)) break;
      this.#move(child, i);
      i = child;
    }
    this.#move(last, i);
  }

  #before(a: number, b: number): boolean {
    const difference = this.#times[a]! - this.#times[b]!;
    return difference < 0 || (difference === 0 && this.#order[a]! < this.#order[b]!);
  }

  #move(from: number, to: number): void {
    const order = this.#order[from]!;
    this.#set(to, this.#times[from]!, order, this.#requests[from]!, this.#handles[from]!);
  }

  #set(i: number, at: TimeNs, order: number, request: Request, handle: RequestHandle): void {
    this.#times[i] = at;
    this.#order[i] = order;
    this.#requests[i] = request;
    this.#handles[i] = handle;
  }
}
