/**
 * What one thread that measures does to what it measures: how late it stamps, how late its requests leave,
 * and how full it is. Nothing but the thread's own event loop is needed for it.
 *
 * **Receiving.** The loop asks the system which sockets have data, then handles them one after the other.
 * All that are handled in one turn had arrived when it began, so a stamp is late by at least its time since
 * the first stamp of the turn. If the loop had not slept since the turn before, data came while it was
 * busy: on average in the middle of that stretch. Two turns in a row are looked at, then some are let
 * pass, so that it costs nothing that could be measured.
 *
 * **Sending.** From the stamp of a request until its bytes are with the system. A new connection takes a
 * round trip of the network besides, which is not the client's: the fastest of the run stands for it.
 *
 * **Fullness.** The part of the time that the loop did not sleep (Node's event loop utilisation), without
 * the turns in which the pacer only looked at the clock. What a chunk costs falls as they come closer
 * together, so chunks per busy second are a lower bound of what the thread can take.
 */

import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { Samples } from './samples.js';

/** Plain data, so that it can come from another thread. */
export interface ThreadUse {
  /** Beyond the monitor's own resolution. */
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  /** Not asleep, of the time it was looked at. */
  readonly busyFraction: number;
  /** The same, of the second in which it was busiest. */
  readonly busiestFraction: number;
  readonly busyMs: number;
  readonly numRequests: number;
  readonly numChunks: number;
  /** Medians; absent where nothing was seen. */
  readonly sendMs?: number | undefined;
  readonly receiveMs?: number | undefined;
}

const RESOLUTION_MS = 1;
const WINDOW_MS = 1_000;
/** Reads that pass between two looks. */
const LET_PASS = 24;
/** One request in so many. */
const SENDS_EACH = 4;
/** Sleeping for less is a look at the sockets. */
const SLEPT_MS = 0.05;
const MOST_SAMPLES = 2 ** 14;

type Stage = 'passing' | 'arming' | 'first turn' | 'between' | 'second turn' | 'counting';

export class ThreadMonitor {
  #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #loop = performance.eventLoopUtilization();
  #window = this.#loop;
  #windows: NodeJS.Timeout | undefined;
  #busiest = 0;
  /** Looking at the clock only: since the start, and in this window. */
  #idledMs = 0;
  #idledInWindowMs = 0;
  #numRequests = 0;
  #numChunks = 0;

  #stage: Stage = 'passing';
  #left = 0;
  #turnMs = 0;
  #sleptMs = 0;
  #waitMs = 0;
  readonly #lateness = new Samples(MOST_SAMPLES);
  readonly #kept = new Samples(MOST_SAMPLES);
  readonly #fresh = new Samples(MOST_SAMPLES);

  /** From here on it is measured. */
  begin(): void {
    this.#delay.enable();
    this.#loop = this.#window = performance.eventLoopUtilization();
    this.#windows = setInterval(() => this.#look(), WINDOW_MS).unref();
  }

  /** A read has arrived and was stamped. */
  arrived(atMs: number): void {
    switch (this.#stage) {
      case 'passing':
        if (this.#left-- > 0) return;
        this.#until('arming', 'first turn');
        return;
      case 'first turn':
        this.#turnMs = atMs;
        this.#sleptMs = performance.nodeTiming.idleTime;
        this.#until('between', 'second turn');
        return;
      case 'second turn': {
        const slept = performance.nodeTiming.idleTime - this.#sleptMs > SLEPT_MS;
        this.#waitMs = slept ? 0 : (atMs - this.#turnMs) / 2;
        this.#turnMs = atMs;
        this.#lateness.add(this.#waitMs);
        this.#left = LET_PASS;
        this.#until('counting', 'passing');
        return;
      }
      case 'counting':
        this.#lateness.add(this.#waitMs + atMs - this.#turnMs);
    }
  }

  /** What follows the sockets of this turn. */
  #until(now: Stage, then: Stage): void {
    this.#stage = now;
    setImmediate(() => {
      this.#stage = then;
    });
  }

  /** A request is about to leave; whether it is one to look at. */
  leaving(): boolean {
    return this.#numRequests++ % SENDS_EACH === 0;
  }

  /** @param isKept whether its connection was there already */
  left(afterMs: number, isKept: boolean): void {
    (isKept ? this.#kept : this.#fresh).add(afterMs);
  }

  answered(numChunks: number): void {
    this.#numChunks += numChunks;
  }

  /** So long nothing happened but looks at the clock. */
  idled(ms: number): void {
    this.#idledMs += ms;
    this.#idledInWindowMs += ms;
  }

  stop(): ThreadUse {
    this.#delay.disable();
    clearInterval(this.#windows);
    const { active, idle } = performance.eventLoopUtilization(this.#loop);
    const busyMs = Math.max(0, active - this.#idledMs);
    const elapsedMs = active + idle;
    const delayMs = (ns: number) =>
      this.#delay.count > 0 ? Math.max(0, ns / 1e6 - RESOLUTION_MS) : 0;
    const receive = this.#lateness.summary();
    return {
      loopDelayP99Ms: delayMs(this.#delay.percentile(99)),
      loopDelayMaxMs: delayMs(this.#delay.max),
      busyFraction: busyMs / Math.max(elapsedMs, 1e-3),
      // What is over in less than a second does not fill one.
      busiestFraction: Math.max(this.#busiest, busyMs / Math.max(elapsedMs, WINDOW_MS)),
      busyMs,
      numRequests: this.#numRequests,
      numChunks: this.#numChunks,
      sendMs: this.#sendMs(),
      receiveMs: receive.count > 0 ? receive.quantileMs(0.5) : undefined,
    };
  }

  #sendMs(): number | undefined {
    const kept = this.#kept.summary();
    const fresh = this.#fresh.summary();
    const count = kept.count + fresh.count;
    if (count === 0) return undefined;
    const beyondFastest = fresh.quantileMs(0.5) - fresh.minMs;
    return (kept.count * kept.quantileMs(0.5) + fresh.count * beyondFastest) / count;
  }

  #look(): void {
    const now = performance.eventLoopUtilization();
    const { active, idle } = performance.eventLoopUtilization(now, this.#window);
    const busyMs = active - this.#idledInWindowMs;
    this.#busiest = Math.max(this.#busiest, busyMs / Math.max(active + idle, 1e-3));
    this.#window = now;
    this.#idledInWindowMs = 0;
  }
}
