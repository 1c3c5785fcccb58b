/**
 * Sends in this thread, or in several. One thread parses some ten thousand chunks a second before it
 * stamps them late, so above half a core the work is spread: this thread then keeps the schedule and the
 * measurement, and every request goes, when it is due, to the sending thread with the fewest under way.
 *
 * The schedule stays in one place: an open loop stays open, one bound on concurrency holds for all, and
 * the numbers are those of one thread.
 */

import { availableParallelism } from 'node:os';
import type { SendersReport } from '../client-health.js';
import type { BenchRequest, RequestRecord } from '../request.js';
import type { SendTimes } from '../sender.js';
import type { TokenCounter } from '../token-counter.js';
import { type OpenSender, openSender, type SenderSpec } from './sender-spec.js';
import { SendingThread } from './sending-thread.js';

/** What a run needs of whoever sends. */
export interface LoadSender {
  /** Resolves when all threads that were asked for can send. */
  ready(): Promise<void>;
  /** From here on it is measured what sending does to the run. */
  begin(): void;
  /** Never rejects: a failure is a record too. */
  send(request: BenchRequest, times: SendTimes, signal?: AbortSignal): Promise<RequestRecord>;
  /** The thread of the load had nothing to do but to look at the clock. */
  idled(ms: number): void;
  /** Ends all threads, and says how they were. */
  finish(): Promise<SendersReport>;
}

export type NumWorkers = number | 'auto';

const LOOK_EVERY_MS = 250;
/** Looks in a row: code that runs for the first time, or a burst, keeps a thread busy for a moment. */
const BUSY_LOOKS = 4;
/** Of a core, for each thread that sends: beyond it stamps are taken late. */
const BUSY = 0.5;

export class SpreadSender implements LoadSender {
  readonly #local: OpenSender;
  readonly #threads: SendingThread[] = [];
  readonly #most: number;
  #signal: AbortSignal | undefined;
  #watch: NodeJS.Timeout | undefined;
  #busyLooks = 0;
  #cpu = process.cpuUsage();
  #beganMs = performance.now();

  constructor(
    private readonly spec: SenderSpec,
    private readonly numWorkers: NumWorkers,
    counter?: TokenCounter,
  ) {
    this.#local = openSender(spec, counter);
    this.#most = Math.max(2, availableParallelism() - 1);
    if (numWorkers !== 'auto' && numWorkers > 1) this.#start(numWorkers);
  }

  async ready(): Promise<void> {
    await Promise.all(this.#threads.map(({ ready }) => ready));
    this.#look();
  }

  send(request: BenchRequest, times: SendTimes, signal?: AbortSignal): Promise<RequestRecord> {
    const thread = this.#idlest();
    if (!thread) return this.#local.sender.send(request, times, signal);
    this.#heed(signal);
    return thread.send(request, times);
  }

  begin(): void {
    this.#cpu = process.cpuUsage();
    this.#beganMs = performance.now();
    this.#local.monitor.begin();
  }

  idled(ms: number): void {
    this.#local.monitor.idled(ms);
  }

  async finish(): Promise<SendersReport> {
    clearInterval(this.#watch);
    const { user, system } = process.cpuUsage(this.#cpu);
    const elapsedMs = performance.now() - this.#beganMs;
    const load = this.#local.monitor.stop();
    const finished = await Promise.all(this.#threads.map((thread) => thread.finish()));
    const reports = finished.filter((report) => report !== undefined);
    const own = this.#local.sender.options.encoder.changes;
    return {
      load,
      others: reports.map(({ use }) => use),
      cpuFraction: (user + system) / 1e3 / Math.max(elapsedMs, 1e-3),
      lost: this.#threads.find(({ lostBecause }) => lostBecause)?.lostBecause,
      changes: [...new Set([own, ...reports.map(({ changes }) => changes)].flat())],
    };
  }

  close(): void {
    clearInterval(this.#watch);
    this.#local.close();
    for (const thread of this.#threads) thread.end();
  }

  #start(count: number): void {
    for (let i = 0; i < count; i++) this.#threads.push(new SendingThread(this.spec));
  }

  #idlest(): SendingThread | undefined {
    let best: SendingThread | undefined;
    for (const thread of this.#threads) {
      if (!thread.canSend) continue;
      if (!best || thread.numInFlight < best.numInFlight) best = thread;
    }
    return best;
  }

  #heed(signal: AbortSignal | undefined): void {
    if (!signal || signal === this.#signal) return;
    this.#signal = signal;
    const stop = () => {
      for (const thread of this.#threads) thread.abort();
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  }

  /** Adds threads while those that send are busy. */
  #look(): void {
    if (this.numWorkers !== 'auto' || this.#watch) return;
    let cpu = process.cpuUsage();
    let atMs = performance.now();
    this.#watch = setInterval(() => {
      const { user, system } = process.cpuUsage(cpu);
      const nowMs = performance.now();
      const each = (user + system) / 1e3 / (nowMs - atMs) / Math.max(1, this.#threads.length);
      cpu = process.cpuUsage();
      atMs = nowMs;
      this.#busyLooks = each > BUSY ? this.#busyLooks + 1 : 0;
      if (this.#busyLooks < BUSY_LOOKS) return;
      this.#busyLooks = 0;
      this.#grow();
    }, LOOK_EVERY_MS).unref();
  }

  #grow(): void {
    if (this.#threads.some(({ canSend }) => !canSend)) return;
    const room = this.#most - this.#threads.length;
    // One thread beside this one would only move the work.
    this.#start(Math.min(room, this.#threads.length === 0 ? 2 : 1));
  }
}
