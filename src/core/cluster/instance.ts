/**
 * One instance in time: it makes schedule calls at the boundaries between steps, and lets runs of
 * equal steps pass as one event.
 *
 *   boundary            take commands due, schedule one call, see how often it repeats (the run)
 *   inside a run        nothing is touched; a command cuts the run at the end of the step under way
 *   end of the run      its last batch is delivered: tokens, ends; then the next boundary
 *
 * Asynchronous scheduling is the same loop with a batch more in flight: what a call decides runs after
 * the step that is under way, and its tokens are delivered one step later.
 */

import type { InstanceConfig, InstanceSnapshot, StepCost } from '../engine.js';
import { CountedPool, type KvPool } from '../kv/kv-pool.js';
import { PrefixPool } from '../kv/prefix-pool.js';
import { InstanceStats } from '../metrics/instance-stats.js';
import type { InstanceReport } from '../metrics/report.js';
import type { RunMetrics } from '../metrics/run-metrics.js';
import type { Request, RequestTable } from '../request/request.js';
import { Batch } from '../sched/batch.js';
import { DecodeSet } from '../sched/decode-set.js';
import { Run } from '../sched/run.js';
import { Scheduler } from '../sched/scheduler.js';
import { speculationOf } from '../sched/speculation.js';
import type { Tracer } from '../trace/tracer.js';
import { TICKS_PER_NS, type Ticks, type TimeNs } from '../units.js';
import { Delivery } from './delivery.js';
import { Inbox } from './inbox.js';
import { InstanceTeller } from './teller.js';

/** Steps in one run at most, and ticks: sums stay below 2^53. */
const MAX_STEPS = 2048;
const MAX_TICKS: Ticks = 2 ** 52;

export class Instance {
  readonly scheduler: Scheduler;
  readonly kv: KvPool;
  readonly stats = new InstanceStats();
  readonly #arrivals = new Inbox();
  readonly #cancels = new Inbox();
  readonly #run = new Run();
  readonly #cost: StepCost;
  readonly #async: boolean;
  readonly #tell: InstanceTeller;
  readonly #delivery: Delivery;
  /** The batch of the call just made, and (asynchronous) the one before, still to be delivered. */
  #current = new Batch();
  #inFlight: Batch | undefined;
  /** Whether a step is under way. */
  #busy = false;
  /** Whether it is one for which no call was made: it only delivers what is in flight. */
  #draining = false;

  constructor(
    readonly config: InstanceConfig,
    readonly index: number,
    table: RequestTable,
    private readonly metrics: RunMetrics,
    private readonly tracer: Tracer,
  ) {
    const { scheduler, cost } = config;
    this.#cost = cost;
    this.#async = scheduler.asyncScheduling;
    const decodes = new DecodeSet(scheduler.blockSize, scheduler.maxModelLen, cost.window);
    this.kv = scheduler.enablePrefixCaching
      ? new PrefixPool(scheduler, decodes, speculationOf(scheduler).hashLookahead)
      : new CountedPool(scheduler.numGpuBlocks);
    this.#tell = new InstanceTeller(this, tracer);
    this.scheduler = new Scheduler(scheduler, this.kv, decodes, cost.window, this.#tell);
    this.#delivery = new Delivery({
      scheduler: this.scheduler,
      stats: this.stats,
      metrics,
      table,
      tracer,
      acceptance: config.acceptance,
      proposes: this.#async ? 0 : scheduler.numSpeculativeTokens,
    });
  }

  /** The instant up to which everything is decided: the start of the step under way, or of the idle time. */
  get now(): TimeNs {
    return this.#run.startNs;
  }

  get numWaiting(): number {
    return this.scheduler.waiting.size;
  }

  get numRunning(): number {
    return this.scheduler.running.size;
  }

  get isStuck(): boolean {
    return !this.#busy && this.scheduler.numUnfinished > 0;
  }

  /** `request` enters the queue at `at`. */
  enqueue(at: TimeNs, request: Request): void {
    request.instance = this.index;
    this.#arrivals.push(at, request);
    this.#cutAt(at);
  }

  cancel(at: TimeNs, request: Request): void {
    this.#cancels.push(at, request);
    this.#cutAt(at);
  }

  nextEventAt(): TimeNs {
    if (!this.#busy) return Math.min(this.#arrivals.nextAt, this.#cancels.nextAt);
    const run = this.#run;
    const end = this.#tell.everyStep ? run.endOfStep(1) : run.endNs;
    return Math.min(end, this.#cancels.nextAt);
  }

  advanceTo(t: TimeNs): void {
    for (;;) {
      if (this.#busy) {
        const endNs = this.#run.endNs;
        const cancelAt = this.#cancels.nextAt;
        if (cancelAt < endNs && cancelAt <= t) {
          this.#slideToLast();
          const request = this.#cancels.shift();
          if (request) this.#abort(request, cancelAt);
          continue;
        }
        if (endNs > t) {
          if (this.#tell.everyStep) this.#slideTo(t);
          return;
        }
        this.#slideToLast();
        this.#endStep();
      } else {
        const commandAt = Math.min(this.#arrivals.nextAt, this.#cancels.nextAt);
        if (commandAt > t || commandAt === Infinity) return;
        if (commandAt > this.#run.startNs) {
          this.#elapse((commandAt - this.#run.startNs) * TICKS_PER_NS, 1);
          this.#run.jumpTo(commandAt);
        }
      }
      this.#boundary();
    }
  }

  // ---- the boundary between two steps ----

  #boundary(): void {
    const now = this.#run.startNs;
    while (this.#arrivals.nextAt <= now) {
      const request = this.#arrivals.shift();
      if (request) this.#arrive(request, now);
    }
    while (this.#cancels.nextAt <= now) {
      const request = this.#cancels.shift();
      if (request) this.#abort(request, now);
    }
    if (this.scheduler.numUnfinished > 0) {
      while (!this.#call(now) && this.scheduler.preemptedInCall > 0);
    } else if (this.#inFlight) this.#drain();
  }

  /** Makes one schedule call and begins its step. False when there is nothing to do before a command comes. */
  #call(now: TimeNs): boolean {
    const { scheduler, stats } = this;
    const batch = this.#current;
    const before = this.#inFlight;
    scheduler.call(now, batch, before);
    const { shape } = batch;
    const slope = this.#price(batch);
    if (batch.numTokens > 0) stats.step(shape);
    this.#notePeaks();

    if (!this.#async) {
      if (batch.ticks === 0 && batch.numTokens === 0) return false;
      this.#run.open(batch.ticks, batch.ticks + slope, slope);
    } else {
      if (batch.numTokens === 0 && batch.ticks === 0 && (before?.numTokens ?? 0) === 0) {
        this.#inFlight = undefined;
        return false;
      }
      this.#run.open(before ? before.ticks : this.#cost.emptyStep, batch.ticks, slope);
    }
    this.#busy = true;
    this.#draining = false;
    if (scheduler.repeatable) this.#extend(batch.ticks, slope);
    this.#tell.called(now);
    return true;
  }

  /** Sets the cost of a batch; returns by how much the next like it costs more. */
  #price(batch: Batch): Ticks {
    const { shape } = batch;
    const cost = this.#cost;
    if (batch.numTokens === 0) {
      batch.ticks = cost.emptyStep;
      return 0;
    }
    const perContext = cost.contextSlope(shape);
    batch.ticks = cost.base(shape) + perContext * shape.decodeContext;
    if (cost.window === Infinity) return perContext * shape.numDecodes;
    const perWindow = cost.windowSlope(shape);
    batch.ticks += perWindow * shape.decodeWindowContext;
    return perContext * shape.numDecodes + perWindow * this.scheduler.decodes.numShort;
  }

  /** Makes the run as long as its decisions hold, up to the next command known of. */
  #extend(ticks: Ticks, growth: Ticks): void {
    const run = this.#run;
    const commandAt = Math.min(this.#arrivals.nextAt, this.#cancels.nextAt);
    if (commandAt <= run.endNs) return;
    const most = Math.min(MAX_STEPS, Math.floor(MAX_TICKS / (ticks + MAX_STEPS * growth + 1)));
    const calls = this.scheduler.callsAlike(most);
    run.resize(commandAt === Infinity ? 1 + calls : run.stepsUntil(commandAt, 1 + calls));
  }

  /** A command at `at` ends the run with the step then under way. */
  #cutAt(at: TimeNs): void {
    const run = this.#run;
    if (this.#busy && run.steps > 1) run.resize(run.stepsUntil(at, run.steps));
  }

  /** Nothing is unfinished, but a batch is in flight: its step ends without a call having been made. */
  #drain(): void {
    this.#current.reset(this.scheduler.decodes.calls);
    this.#run.open(this.#inFlight!.ticks, 0, 0);
    this.#busy = true;
    this.#draining = true;
  }

  // ---- inside a run ----

  /** Ends the steps that are over at `t`, for those who asked for each. */
  #slideTo(t: TimeNs): void {
    const run = this.#run;
    while (run.steps > 1 && run.endOfStep(1) <= t) this.#slide(1);
  }

  /** All steps but the last are over. */
  #slideToLast(): void {
    const steps = this.#run.steps - 1;
    if (this.#tell.everyStep) for (let i = 0; i < steps; i++) this.#slide(1);
    else if (steps > 0) this.#slide(steps);
  }

  /** `steps` steps of the run are over, but not its last: each delivers a token to every decode. */
  #slide(steps: number): void {
    const { scheduler, stats, metrics } = this;
    const run = this.#run;
    const batch = this.#current;
    const { startNs, first, next, growth } = run;
    const firstEndsAt = run.endOfStep(1);
    this.#elapse(run.ticks(steps), steps);
    run.slide(steps);

    const delivered = this.#async ? this.#inFlight : batch;
    if (delivered) {
      this.#deliver(delivered, startNs, firstEndsAt, first);
    }
    metrics.itl.addArithmetic(next / TICKS_PER_NS, growth / TICKS_PER_NS, steps - 1, batch.steady);
    this.#tell.updated(run.startNs);
    if (this.#async) {
      this.#inFlight = delivered ?? new Batch();
      this.#inFlight.repeat(batch, scheduler.decodes.calls + steps - 1, run.first);
      batch.ticks = run.next;
    } else batch.ticks = run.first;

    // The calls of the steps that follow; the sums are over all of them.
    const { shape } = batch;
    const each = (steps * (steps + 1)) / 2;
    stats.decodeSteps(
      steps,
      shape.numDecodes,
      steps * shape.decodeContext + shape.numDecodes * each,
      steps * shape.decodeWindowContext + scheduler.decodes.numShort * each,
    );
    shape.decodeContext += steps * shape.numDecodes;
    shape.decodeWindowContext += steps * scheduler.decodes.numShort;
    scheduler.repeat(steps, batch);
    this.#notePeaks();
    this.#tell.called(run.startNs);
  }

  // ---- the end of a step ----

  #endStep(): void {
    const run = this.#run;
    const { startNs, first } = run;
    this.#elapse(first, 1);
    run.finish();
    const delivered = this.#async ? this.#inFlight : this.#current;
    if (delivered) {
      this.#deliver(delivered, startNs, run.startNs, first);
    }
    if (this.#async) {
      // The batch just scheduled is next to be delivered; the one delivered is used again.
      const nothing = this.#current.numTokens === 0 && this.scheduler.numUnfinished === 0;
      this.#inFlight = this.#draining || (!delivered && nothing) ? undefined : this.#current;
      this.#current = delivered ?? new Batch();
    }
    this.#busy = false;
    this.#tell.updated(run.startNs);
  }

  /** `batch` was computed in a step that is over. */
  #deliver(batch: Batch, startNs: TimeNs, endNs: TimeNs, ticks: Ticks): void {
    this.#delivery.draw(batch);
    this.#tell.delivering(startNs, endNs, batch);
    this.#delivery.deliver(batch, endNs, ticks);
  }

  // ---- requests coming and going ----

  #arrive(request: Request, now: TimeNs): void {
    this.tracer.requestArrive?.(now, request.handle, request.spec, this.index);
    const { maxModelLen } = this.config.scheduler;
    if (request.promptTokens >= maxModelLen || request.spec.maxTokens < 1) {
      this.#delivery.reject(request, now);
    } else this.scheduler.queue.arrive(request);
  }

  #abort(request: Request, at: TimeNs): void {
    const pending = [this.#inFlight, this.#busy ? this.#current : undefined];
    this.#delivery.abort(request, at, this.#run.startNs, pending);
  }

  // ---- bookkeeping ----

  #elapse(ticks: Ticks, steps: number): void {
    const { stats, scheduler } = this;
    const ns = ticks / TICKS_PER_NS;
    if (this.#busy) stats.busyNs += ns;
    stats.runningTime += scheduler.running.size * ns;
    stats.waitingTime += scheduler.waiting.size * ns;
    stats.residentTime += scheduler.set.residentTokens * ns;
    if (steps > 1) {
      // Each step holds one token more per decode: Σ j · (length of step j).
      const { next, growth } = this.#run;
      const pairs = (steps * (steps - 1)) / 2;
      const squares = ((steps - 1) * steps * (2 * steps - 1)) / 6;
      stats.residentTime +=
        (scheduler.decodes.size * (next * pairs + growth * (squares - pairs))) / TICKS_PER_NS;
    }
  }

  #notePeaks(): void {
    const { stats, scheduler, kv } = this;
    const used = kv.capacity - kv.free;
    if (used > stats.peakBlocksUsed) stats.peakBlocksUsed = used;
    if (scheduler.running.size > stats.peakRunning) stats.peakRunning = scheduler.running.size;
    if (scheduler.waiting.size > stats.peakWaiting) stats.peakWaiting = scheduler.waiting.size;
  }

  snapshot(at: TimeNs): InstanceSnapshot {
    return {
      pool: this.config.pool,
      instance: this.index,
      at,
      numRunning: this.scheduler.running.size,
      numWaiting: this.scheduler.waiting.size,
      numBlocks: this.kv.capacity,
      freeBlocks: this.kv.free,
      cachedBlocks: this.kv.cachedBlocks,
      busy: this.#busy,
    };
  }

  report(durationNs: number): InstanceReport {
    const { blockSize, numSpeculativeTokens } = this.config.scheduler;
    const { draftTokens, acceptedTokens } = this.stats;
    return {
      pool: this.config.pool,
      instance: this.index,
      ...this.stats.summary(durationNs, blockSize),
      numPreemptions: this.scheduler.numPreemptions,
      numBlocks: this.kv.capacity,
      ...(numSpeculativeTokens > 0 && { draftTokens, acceptedTokens }),
    };
  }
}
