/**
 * Drives a load against a server: every request at its own time on an absolute schedule, so that an
 * open loop stays open. What is late is late by a stated amount (`sentMs − scheduledMs`), and later
 * requests do not move.
 */

import { NS_PER_MS } from '../core/units.js';
import { waitUntil } from './pacer.js';
import type { BenchRequest, RequestRecord } from './request.js';
import type { SendTimes } from './sender.js';

/** What is sent, in the order and at the times of the load: milliseconds since its start. */
export interface PlannedRequest {
  readonly atMs: number;
  readonly request: BenchRequest;
}

export interface RunLoadOptions {
  /** The next request; `undefined` when there is no more. */
  readonly next: () => PlannedRequest | undefined;
  readonly maxConcurrency?: number | undefined;
  /** No request is sent after this many milliseconds. */
  readonly durationMs?: number | undefined;
  readonly send: (request: BenchRequest, times: SendTimes) => Promise<RequestRecord>;
  readonly onRecord: (record: RequestRecord) => void;
  readonly onSent?: () => void;
  /** Told of time that went by with looking at the clock alone. */
  readonly onIdle?: (ms: number) => void;
  /** Ends the run: nothing more is sent, what is under way is given up. */
  readonly signal?: AbortSignal | undefined;
}

export interface LoadRun {
  /** From before the first request to the last answer. */
  readonly durationMs: number;
  readonly originMs: number;
  readonly peakInFlight: number;
}

/** From a workload in nanoseconds to the plan a client follows. */
export const msOf = (ns: number): number => ns / NS_PER_MS;

/** Requests that wait for a slot: so many that none is ever missed, and no more to keep alive. */
const MOST_AHEAD = 32;

export async function runLoad(options: RunLoadOptions): Promise<LoadRun> {
  const { next, send, onRecord, onSent, onIdle, signal, durationMs = Infinity } = options;
  const slots = new Slots(options.maxConcurrency ?? Infinity);
  const originMs = performance.now();
  const inFlight = new Set<Promise<void>>();
  let peakInFlight = 0;
  for (let planned = next(); planned && planned.atMs <= durationMs; planned = next()) {
    const scheduledMs = originMs + planned.atMs;
    await waitUntil(scheduledMs, signal, onIdle);
    // A loop that is behind still lets answers in.
    if (inFlight.size % 64 === 63) await new Promise(setImmediate);
    if (signal?.aborted) break;
    const { request } = planned;
    const one = slots.run(async () => {
      if (signal?.aborted || performance.now() - originMs > durationMs) return;
      onSent?.();
      const dispatchedMs = performance.now();
      onRecord(await send(request, { originMs, scheduledMs, dispatchedMs }));
    });
    const done = one.finally(() => inFlight.delete(done));
    inFlight.add(done);
    peakInFlight = Math.max(peakInFlight, slots.numTaken);
    // With a bound and no times to wait for, the plan is not run ahead of what can be sent.
    if (slots.numWaiting >= MOST_AHEAD) await slots.room();
  }
  await Promise.all(inFlight);
  return { durationMs: performance.now() - originMs, originMs, peakInFlight };
}

/** A bound on what runs at once; who waits is served in order. */
class Slots {
  numTaken = 0;
  readonly #waiting: (() => void)[] = [];
  #head = 0;
  #onRoom: (() => void) | undefined;

  constructor(private readonly limit: number) {}

  get numWaiting(): number {
    return this.#waiting.length - this.#head;
  }

  async run(work: () => Promise<void>): Promise<void> {
    if (this.numTaken >= this.limit) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.numTaken++;
    }
    try {
      await work();
    } finally {
      this.#release();
    }
  }

  /** Resolves when somebody who waited has been served. */
  room(): Promise<void> {
    return new Promise((resolve) => {
      this.#onRoom = resolve;
    });
  }

  /** Hands the slot to who has waited longest. */
  #release(): void {
    const next = this.#waiting[this.#head];
    if (!next) {
      this.numTaken--;
      return;
    }
    this.#waiting[this.#head++] = () => {};
    if (this.#head === this.#waiting.length || this.#head > 4096) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
    next();
    this.#onRoom?.();
    this.#onRoom = undefined;
  }
}
