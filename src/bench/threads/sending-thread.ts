/** A sending thread, as the load's thread sees it: requests go in, records come out. */

import type { Worker } from 'node:worker_threads';
import { startWorker } from '../../text/start-worker.js';
import type { BenchRequest, RequestRecord } from '../request.js';
import { lostRecord, type SendTimes } from '../sender.js';
import { clockOffsetMs, type FromThread, type Order, type ThreadReport } from './messages.js';
import type { SenderSpec } from './sender-spec.js';

interface Waiting {
  readonly request: BenchRequest;
  readonly times: SendTimes;
  readonly resolve: (record: RequestRecord) => void;
}

export class SendingThread {
  /** Resolves when it can send, or has ended before it could. */
  readonly ready: Promise<void>;
  #isReady = false;
  #onReady!: () => void;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #orders: Order[] = [];
  #nextKey = 0;
  #ended = false;
  /** It was told to end. */
  #isTold = false;
  #onReport: ((report: ThreadReport | undefined) => void) | undefined;
  readonly #offsetMs = clockOffsetMs();

  constructor(spec: SenderSpec) {
    this.#worker = startWorker(import.meta.url, 'sending-worker', { spec });
    this.ready = new Promise((resolve) => {
      this.#onReady = resolve;
    });
    this.#worker.on('message', (message: FromThread) => this.#hear(message));
    this.#worker.on('error', ({ message }) => this.#lose(message));
    this.#worker.on('exit', () => this.#lose('it ended'));
  }

  /** Why it is gone before its time, if it is. */
  lostBecause: string | undefined;

  /** Whether requests may be given to it. */
  get canSend(): boolean {
    return this.#isReady && !this.#ended;
  }

  get numInFlight(): number {
    return this.#waiting.size;
  }

  send(request: BenchRequest, times: SendTimes): Promise<RequestRecord> {
    const key = this.#nextKey++;
    const { originMs, scheduledMs } = times;
    const order = {
      key,
      request,
      originMs: originMs + this.#offsetMs,
      scheduledMs: scheduledMs - originMs,
    };
    if (this.#orders.push(order) === 1) queueMicrotask(() => this.#post());
    return new Promise((resolve) => this.#waiting.set(key, { request, times, resolve }));
  }

  abort(): void {
    this.#post();
    this.#worker.postMessage({ abort: true });
  }

  /** Ends it; how it went, unless it was lost on the way. */
  async finish(): Promise<ThreadReport | undefined> {
    const report = this.#ended
      ? undefined
      : await new Promise<ThreadReport | undefined>((resolve) => {
          this.#onReport = resolve;
          this.#worker.postMessage({ finish: true });
        });
    this.end();
    return report;
  }

  /** Ends it at once, whatever is under way. */
  end(): void {
    this.#isTold = true;
    void this.#worker.terminate();
  }

  #post(): void {
    if (this.#orders.length === 0) return;
    this.#worker.postMessage({ send: this.#orders });
    this.#orders = [];
  }

  #hear({ ready, records = [], finished }: FromThread): void {
    if (ready) {
      this.#isReady = true;
      this.#onReady();
    }
    for (const [key, record] of records) {
      this.#waiting.get(key)?.resolve(record);
      this.#waiting.delete(key);
    }
    if (finished) this.#onReport?.(finished);
  }

  /** A thread that is gone takes its requests with it; each is a failure of the client's. */
  #lose(why: string): void {
    if (this.#ended) return;
    this.#ended = true;
    if (!this.#isTold) this.lostBecause = why;
    const failure = { kind: 'client_thread', message: `the sending thread was lost: ${why}` };
    for (const { request, times, resolve } of this.#waiting.values()) {
      resolve(lostRecord(request, times, failure));
    }
    this.#waiting.clear();
    this.#onReady();
    this.#onReport?.(undefined);
  }
}
