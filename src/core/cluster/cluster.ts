/**
 * The engine: instances behind a router, sharing one table of requests and one time.
 *
 * With one instance there is nothing to route, and commands go straight to it, even those of the
 * future. With several, an arrival is routed at its instant, when all instances have come that far.
 */

import { DOUBLE_ZERO } from '../double.js';
import type {
  Engine,
  EngineOptions,
  InstanceSnapshot,
  RequestHandle,
  RequestSpec,
} from '../engine.js';
import { invariant } from '../errors.js';
import type { RunReport } from '../metrics/report.js';
import { RunMetrics } from '../metrics/run-metrics.js';
import { NOWHERE, type Request, RequestTable } from '../request/request.js';
import { Rng } from '../rng.js';
import type { DurationNs, TimeNs } from '../units.js';
import { Inbox } from './inbox.js';
import { Instance } from './instance.js';
import { reportOf, snapshotOf } from './instance-books.js';
import { LockStep } from './lock-step.js';
import type { Router } from './router.js';
import { routerNamed } from './routers/index.js';

export function createEngine(options: EngineOptions): Cluster {
  return new Cluster(options);
}

type Mover = Pick<Instance, 'nextEventAt' | 'advanceTo'>;

function moversOf(instances: readonly Instance[]): Mover[] {
  const groups = new Map<number | Instance, Instance[]>();
  for (const instance of instances) {
    const key = instance.config.lockStepGroup ?? instance;
    const group = groups.get(key);
    if (group) group.push(instance);
    else groups.set(key, [instance]);
  }
  return [...groups.values()].map((group) =>
    group.length === 1 ? group[0]! : new LockStep(group),
  );
}

export class Cluster implements Engine {
  readonly instances: readonly Instance[];
  readonly metrics: RunMetrics;
  /** What moves by itself: instances, and groups of them in lock-step. */
  readonly #movers: readonly Mover[];
  readonly #table = new RequestTable();
  readonly #router: Router;
  readonly #inputLatencyNs: number;
  readonly #tokenizingNsPerToken: number;
  /** Until when the prompts that came so far keep the tokenizer busy. */
  #tokenizedAt: TimeNs = DOUBLE_ZERO;
  /** Arrivals that have not been routed yet; empty when there is one instance. */
  readonly #unrouted = new Inbox();
  /** Cancellations announced before it was known which instance they will concern. */
  readonly #undirected = new Inbox();
  readonly #maxModelLen: number;
  #now: TimeNs = DOUBLE_ZERO;
  #startedAt: TimeNs | undefined;

  constructor(options: EngineOptions) {
    invariant(options.instances.length > 0, 'a cluster has an instance');
    this.metrics = options.metrics ?? new RunMetrics(undefined, false);
    this.#inputLatencyNs = options.inputLatencyNs;
    this.#tokenizingNsPerToken = options.tokenizingNsPerToken ?? 0;
    const rng = new Rng(options.seed);
    this.#router = routerNamed(options.router).create(rng.stream('router'));
    this.#maxModelLen = Math.max(...options.instances.map((i) => i.scheduler.maxModelLen));
    this.instances = options.instances.map(
      (config, i) => new Instance(config, i, this.#table, this.metrics, options.tracer, rng),
    );
    this.#movers = moversOf(this.instances);
  }

  get now(): TimeNs {
    return this.#now + 0;
  }

  get numSubmitted(): number {
    return this.#table.numSubmitted;
  }

  get numUnfinished(): number {
    return this.#table.numAlive;
  }

  submit(at: TimeNs, spec: RequestSpec, waitedNs: DurationNs = 0): RequestHandle {
    invariant(at >= this.#now, 'a request is submitted no earlier than now');
    const arrivedAt = at - Math.min(waitedNs, this.#inputLatencyNs, at);
    this.#startedAt ??= arrivedAt;
    const request = this.#table.open(arrivedAt, spec, this.#maxModelLen);
    const entersAt = this.#tokenized(arrivedAt, spec.promptTokens) + this.#inputLatencyNs;
    if (this.instances.length === 1) this.instances[0]!.enqueue(entersAt, request);
    else this.#unrouted.push(entersAt, request);
    return request.handle;
  }

  /** When the tokenizer is through with a prompt: it takes them in the order of their arrival. */
  #tokenized(arrivedAt: TimeNs, promptTokens: number): TimeNs {
    const startsAt = Math.max(arrivedAt, this.#tokenizedAt);
    this.#tokenizedAt = startsAt + Math.round(promptTokens * this.#tokenizingNsPerToken);
    return this.#tokenizedAt;
  }

  cancel(at: TimeNs, handle: RequestHandle): void {
    invariant(at >= this.#now, 'a cancellation comes no earlier than now');
    const request = this.#table.find(handle);
    if (!request) return;
    if (this.instances.length > 1 && request.instance === NOWHERE) {
      this.#undirected.push(at, request);
    } else this.#direct(at, request);
  }

  /** Who has not been routed by then can be ended by any instance. */
  #direct(at: TimeNs, request: Request): void {
    this.instances[Math.max(0, request.instance)]!.cancel(at, request);
  }

  nextEventAt(): TimeNs | undefined {
    let at = Math.min(this.#unrouted.nextAt, this.#undirected.nextAt);
    for (const mover of this.#movers) at = Math.min(at, mover.nextEventAt());
    return at === Infinity ? undefined : at;
  }

  advanceTo(t: TimeNs): void {
    if (this.instances.length === 1) this.#movers[0]!.advanceTo(t);
    else this.#advanceTogether(t);
    if (t > this.#now && t !== Infinity) this.#now = t;
  }

  #advanceTogether(t: TimeNs): void {
    for (;;) {
      const routeAt = this.#unrouted.nextAt;
      const directAt = this.#undirected.nextAt;
      let next: Mover | undefined;
      let at = Infinity;
      for (const mover of this.#movers) {
        const eventAt = mover.nextEventAt();
        if (eventAt < at) [next, at] = [mover, eventAt];
      }
      if (Math.min(routeAt, directAt, at) > t) return;
      if (routeAt <= at && routeAt <= directAt) {
        if (routeAt === Infinity) return;
        this.#now = routeAt;
        const request = this.#unrouted.shift();
        if (request) this.#route(routeAt, request);
      } else if (directAt <= at) {
        this.#now = directAt;
        const request = this.#undirected.shift();
        if (request) this.#direct(directAt, request);
      } else {
        this.#now = at;
        next!.advanceTo(at);
      }
    }
  }

  #route(at: TimeNs, request: Request): void {
    const chosen = this.instances[this.#router.choose(request.spec, this.instances)]!;
    const { maxModelLen } = chosen.config.scheduler;
    request.endComputed = Math.min(request.endComputed, maxModelLen - 1);
    chosen.enqueue(at, request);
  }

  snapshot(): readonly InstanceSnapshot[] {
    return this.instances.map((instance) => snapshotOf(instance, this.#now));
  }

  report(): RunReport {
    const { metrics } = this;
    const startedAt = this.#startedAt ?? 0;
    const endedAt = Math.max(...this.instances.map((instance) => instance.now), startedAt);
    const durationNs = endedAt - startedAt;
    return {
      durationNs,
      submitted: this.#table.numSubmitted,
      completed: metrics.completed,
      aborted: metrics.aborted,
      rejected: metrics.rejected,
      unfinished: this.#table.numAlive,
      totalInputTokens: metrics.inputTokens + 0,
      totalOutputTokens: metrics.outputTokens + 0,
      totalCachedTokens: metrics.cachedTokens + 0,
      ttft: metrics.ttft.summary(),
      tpot: metrics.tpot.summary(),
      itl: metrics.itl.summary(),
      e2el: metrics.e2el.summary(),
      queue: metrics.queue.summary(),
      ...(metrics.slo && { good: metrics.good }),
      instances: this.instances.map((instance) => reportOf(instance, durationNs)),
      stuck: this.instances.some((instance) => instance.isStuck),
    };
  }
}
