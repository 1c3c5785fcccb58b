/**
 * The engine, live: commands come in stamped with now, events are released when their time has come.
 *
 *   commands$  ──►  engine (clock)  ──►  events: one stream per request, and streams of everything
 *
 * There is one timer. When it fires, everything that is due is released: one `advanceTo(now)`, in
 * which the engine ends as many steps as are over and hands out the tokens of each. Requests are
 * Observables: subscribing submits, unsubscribing cancels, and frees the KV within the step under way.
 * Nothing is buffered here. A subscriber that cannot keep up adds up what it is told.
 */

import { Observable, Subject, type Subscriber } from 'rxjs';
import type { Engine, InstanceSnapshot, RequestHandle, RequestSpec } from '../core/engine.js';
import type { RequestOutcome, StepEvent, TokenBatch, Tracer } from '../core/trace/tracer.js';
import { NS_PER_MS, type TimeNs } from '../core/units.js';
import type { Clock } from './clock.js';
import { LagMeter } from './lag.js';

/** What one request is told. The objects are reused: read them during the call. */
export type RequestEvent =
  | { readonly kind: 'tokens'; readonly at: TimeNs; readonly numTokens: number }
  | { readonly kind: 'end'; readonly at: TimeNs; readonly outcome: RequestOutcome };

export interface LiveClusterOptions {
  readonly clock: Clock;
  /** Builds the engine around the tracer it is given. */
  readonly createEngine: (tracer: Tracer) => Engine;
  /** Told, at most once a minute, that events are released more than `LAG_WARNING_MS` late. */
  readonly onLag?: (lagMs: number) => void;
}

export interface ClusterCounts {
  readonly submitted: number;
  readonly completed: number;
  readonly aborted: number;
  readonly rejected: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
}

type Command =
  | {
      readonly kind: 'submit';
      readonly spec: RequestSpec;
      readonly waitedMs: number;
      readonly stream: RequestStream;
    }
  | { readonly kind: 'cancel'; readonly stream: RequestStream };

/** Wall milliseconds an unpaced engine may hold the event loop before others get a turn. */
const SLICE_MS = 2;

export class LiveCluster {
  readonly lag: LagMeter;
  readonly #clock: Clock;
  readonly #engine: Engine;
  readonly #commands = new Subject<Command>();
  readonly #outcomes = new Subject<RequestOutcome>();
  readonly #steps = new Subject<StepEvent>();
  readonly #idle = new Subject<TimeNs>();
  readonly #streams = new Map<RequestHandle, RequestStream>();
  readonly #counts = {
    submitted: 0,
    completed: 0,
    aborted: 0,
    rejected: 0,
    promptTokens: 0,
    outputTokens: 0,
  };
  #closed = false;

  constructor(options: LiveClusterOptions) {
    this.#clock = options.clock;
    this.lag = new LagMeter(options.onLag);
    this.#engine = options.createEngine({
      tokens: (batch) => this.#release(batch),
      requestFinish: (outcome) => this.#ended(outcome),
      step: (step) => this.#steps.next(step),
    });
    this.#commands.subscribe((command) => this.#obey(command));
  }

  /** Every request that ends, as it ends. */
  get outcomes$(): Observable<RequestOutcome> {
    return this.#outcomes.asObservable();
  }

  /** Every step that ends. */
  get steps$(): Observable<StepEvent> {
    return this.#steps.asObservable();
  }

  /** The instants at which the last request has ended and nothing is left to do. */
  get idle$(): Observable<TimeNs> {
    return this.#idle.asObservable();
  }

  get now(): TimeNs {
    return this.#clock.now();
  }

  get counts(): ClusterCounts {
    return this.#counts;
  }

  get numUnfinished(): number {
    return this.#streams.size;
  }

  /**
   * One request: submitted when subscribed to, cancelled when unsubscribed from before its end.
   *
   * @param waitedMs wall time since it was received: part of its simulated input latency
   */
  request$(spec: RequestSpec, waitedMs = 0): Observable<RequestEvent> {
    return new Observable((subscriber) => {
      const stream = new RequestStream(subscriber);
      this.#commands.next({ kind: 'submit', spec, waitedMs, stream });
      return () => {
        if (!stream.ended) this.#commands.next({ kind: 'cancel', stream });
      };
    });
  }

  /** How things stand now. */
  snapshot(): readonly InstanceSnapshot[] {
    return this.#engine.snapshot();
  }

  /** Resolves when nothing is unfinished. */
  drained(): Promise<void> {
    if (this.#streams.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const subscription = this.#idle.subscribe({
        next: () => {
          subscription.unsubscribe();
          resolve();
        },
        complete: resolve,
      });
    });
  }

  /** Ends every stream with an error and lets go of the clock. */
  close(reason: Error = new Error('the cluster has been closed')): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#clock.sleep();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.fail(reason);
    this.#outcomes.complete();
    this.#steps.complete();
    this.#idle.complete();
    this.#commands.complete();
  }

  #obey(command: Command): void {
    const at = this.#clock.now();
    const { stream } = command;
    if (command.kind === 'submit') {
      this.#counts.submitted++;
      const waitedNs = Math.floor(command.waitedMs * NS_PER_MS * (this.#clock.speed ?? 0));
      stream.handle = this.#engine.submit(at, command.spec, waitedNs);
      this.#streams.set(stream.handle, stream);
    } else this.#engine.cancel(at, stream.handle);
    this.#arm();
  }

  #arm(): void {
    const at = this.#engine.nextEventAt();
    if (at === undefined) this.#clock.sleep();
    else this.#clock.wakeAt(at, this.#wake);
  }

  readonly #wake = (): void => {
    if (this.#clock.unpaced) this.#runSlice();
    else this.#engine.advanceTo(this.#clock.now());
    if (!this.#closed) this.#arm();
  };

  /** Unpaced: event after event, until nothing is left or others should have a turn. */
  #runSlice(): void {
    const until = performance.now() + SLICE_MS;
    for (let i = 0; ; i++) {
      const at = this.#engine.nextEventAt();
      if (at === undefined) return;
      this.#clock.jumpTo(at);
      this.#engine.advanceTo(at);
      if ((i & 15) === 15 && performance.now() > until) return;
    }
  }

  #release({ at, count, handles, numTokens }: TokenBatch): void {
    this.#noteLag(at);
    for (let i = 0; i < count; i++) {
      this.#counts.outputTokens += numTokens[i]!;
      this.#streams.get(handles[i]!)?.tokens(at, numTokens[i]!);
    }
  }

  #ended(outcome: RequestOutcome): void {
    const { reason, handle } = outcome;
    if (reason === 'abort') this.#counts.aborted++;
    else if (reason === 'rejected') this.#counts.rejected++;
    else {
      this.#counts.completed++;
      this.#counts.promptTokens += outcome.spec.promptTokens;
    }
    const stream = this.#streams.get(handle);
    this.#streams.delete(handle);
    this.#outcomes.next(outcome);
    stream?.end(outcome);
    if (this.#streams.size === 0) this.#idle.next(outcome.endedAt);
  }

  #noteLag(at: TimeNs): void {
    if (!this.#clock.unpaced) this.lag.note((this.#clock.now() - at) / NS_PER_MS);
  }
}

/** The events of one request on their way to its one subscriber. */
class RequestStream {
  handle: RequestHandle = -1;
  ended = false;
  readonly #tokens = { kind: 'tokens' as const, at: 0, numTokens: 0 };

  constructor(private readonly subscriber: Subscriber<RequestEvent>) {}

  tokens(at: TimeNs, numTokens: number): void {
    this.#tokens.at = at;
    this.#tokens.numTokens = numTokens;
    this.subscriber.next(this.#tokens);
  }

  end(outcome: RequestOutcome): void {
    this.ended = true;
    this.subscriber.next({ kind: 'end', at: outcome.endedAt, outcome });
    this.subscriber.complete();
  }

  fail(reason: Error): void {
    this.ended = true;
    this.subscriber.error(reason);
  }
}
