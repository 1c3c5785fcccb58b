/**
 * One instance in time: it makes schedule calls at the boundaries between steps, and lets runs of
 * equal steps pass as one event.
 *
 *   boundary            take commands due, and KV that has been loaded; schedule one call, see how
 *                       often it repeats (the run)
 *   inside a run        nothing is touched; a command cuts the run at the end of the step under way
 *   end of the run      its last batch is delivered: tokens, ends; then the next boundary
 *
 * Asynchronous scheduling and pipeline stages are the same loop with more batches in flight (`Flight`):
 * what a call decides is computed behind them, and its tokens come a step later for each.
 */

import type { InstanceConfig, StepCost } from '../engine.js';
import { CountedPool, type KvPool } from '../kv/kv-pool.js';
import { PrefixPool } from '../kv/prefix-pool.js';
import { InstanceStats } from '../metrics/instance-stats.js';
import type { RunMetrics } from '../metrics/run-metrics.js';
import { SpeculationStats } from '../metrics/speculation-stats.js';
import type { Request, RequestTable } from '../request/request.js';
import type { Rng } from '../rng.js';
import { Batch } from '../sched/batch.js';
import { DecodeSet } from '../sched/decode-set.js';
import { Run } from '../sched/run.js';
import { Scheduler } from '../sched/scheduler.js';
import { speculationOf, stagesOf } from '../sched/speculation.js';
import type { Tracer } from '../trace/tracer.js';
import { TICKS_PER_NS, type Ticks, type TimeNs } from '../units.js';
import { Delivery } from './delivery.js';
import { Flight } from './flight.js';
import { Inbox } from './inbox.js';
import { Occupancy } from './occupancy.js';
import { InstanceTeller } from './teller.js';

/** Steps in one run at most, and ticks: sums stay below 2^53. */
const MAX_STEPS = 2048;
const MAX_TICKS: Ticks = 2 ** 52;

export class Instance {
  readonly scheduler: Scheduler;
  readonly kv: KvPool;
  readonly stats = new InstanceStats();
  /** What became of drafts, with speculation. */
  readonly drafts: SpeculationStats | undefined;
  /** Whether time passes in which it is busy and yet computes nothing: bubbles, slower ranks. */
  readonly sharesTime: boolean;
  readonly #arrivals = new Inbox();
  readonly #cancels = new Inbox();
  /** Requests whose KV is on its way from a tier, by when it is there. */
  readonly #loads = new Inbox();
  readonly #run = new Run();
  readonly #cost: StepCost;
  readonly #numStages: number;
  readonly #flight: Flight;
  readonly #occupancy: Occupancy;
  readonly #tell: InstanceTeller;
  readonly #delivery: Delivery;
  /** The batch of the call just made. */
  #current = new Batch();
  /** Whether a step is under way. */
  #busy = false;
  /** Whether a call was made for it. If not, it only delivers what is in flight. */
  #called = false;

  constructor(
    readonly config: InstanceConfig,
    readonly index: number,
    table: RequestTable,
    private readonly metrics: RunMetrics,
    private readonly tracer: Tracer,
    rng: Rng,
  ) {
    const { scheduler, cost } = config;
    this.#cost = cost;
    this.#numStages = stagesOf(scheduler);
    this.sharesTime = this.#numStages > 1 || config.lockStepGroup !== undefined;
    this.#flight = new Flight(scheduler);
    const decodes = new DecodeSet(scheduler.blockSize, scheduler.maxModelLen, cost.window);
    this.kv = scheduler.enablePrefixCaching
      ? new PrefixPool(scheduler, decodes, speculationOf(scheduler).hashLookahead)
      : new CountedPool(scheduler.numGpuBlocks);
    this.#tell = new InstanceTeller(this, tracer);
    this.scheduler = new Scheduler(scheduler, this.kv, decodes, cost.window, this.#tell);
    this.#occupancy = new Occupancy(this.stats, this.scheduler, this.kv);
    const k = scheduler.numSpeculativeTokens;
    this.drafts = k > 0 ? new SpeculationStats(k) : undefined;
    this.#delivery = new Delivery({
      scheduler: this.scheduler,
      drafts: this.drafts,
      metrics,
      table,
      tracer,
      acceptance: config.acceptance?.(rng.stream(`acceptance/${index}`)),
      proposes: scheduler.asyncScheduling ? 0 : k,
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

  /** Whether a step is under way. */
  get isBusy(): boolean {
    return this.#busy;
  }

  get isStuck(): boolean {
    return !this.#busy && this.scheduler.numUnfinished > 0 && this.#loads.size === 0;
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

  /** The KV of `request` is there at `at`: an event like a command, at the boundary then. */
  awaitLoad(request: Request, at: TimeNs): void {
    this.#loads.push(at, request);
  }

  /** When the next boundary has something to take in. */
  get #nextAt(): TimeNs {
    return Math.min(this.#arrivals.nextAt, this.#cancels.nextAt, this.#loads.nextAt);
  }

  nextEventAt(): TimeNs {
    if (!this.#busy) return this.#nextAt;
    const run = this.#run;
    const end = this.#tell.everyStep ? run.endOfStep(1) : run.endNs;
    return Math.min(end, this.#cancels.nextAt);
  }

  advanceTo(t: TimeNs): void {
    while (this.reachBoundary(t)) this.#boundary();
  }

  // ---- the boundary between two steps ----

  /** Comes to the next boundary at or before `t`: the end of a run, or a command while idle. False: there is none. */
  reachBoundary(t: TimeNs): boolean {
    while (this.#busy) {
      const endNs = this.#run.endNs;
      const cancelAt = this.#cancels.nextAt;
      if (cancelAt < endNs && cancelAt <= t) {
        this.#slideToLast();
        const request = this.#cancels.shift();
        if (request) this.#abort(request, cancelAt);
      } else if (endNs > t) {
        if (this.#tell.everyStep) this.#slideTo(t);
        return false;
      } else {
        this.#slideToLast();
        this.#endStep();
        return true;
      }
    }
    const commandAt = this.#nextAt;
    if (commandAt > t || commandAt === Infinity) return false;
    this.standAt(commandAt);
    return true;
  }

  /** Has been idle until `at`. */
  standAt(at: TimeNs): void {
    const run = this.#run;
    if (at <= run.startNs) return;
    this.#occupancy.elapse((at - run.startNs) * TICKS_PER_NS, 1, run, false);
    run.jumpTo(at);
  }

  #boundary(): void {
    this.takeCommands();
    if (!this.hasWork) return;
    this.plan();
    const slope = this.price();
    if (!this.isUseful) {
      this.rest();
      return;
    }
    this.begin(this.stepTicks, slope);
    if (this.#called && this.scheduler.repeatable) this.#extend(slope);
    this.tellCall();
  }

  /** Takes the commands that are due. */
  takeCommands(): void {
    const now = this.#run.startNs;
    while (this.#arrivals.nextAt <= now) {
      const request = this.#arrivals.shift();
      if (request) this.#arrive(request, now);
    }
    while (this.#cancels.nextAt <= now) {
      const request = this.#cancels.shift();
      if (request) this.#abort(request, now);
    }
    while (this.#loads.nextAt <= now) {
      const request = this.#loads.shift();
      if (request) this.scheduler.set.loaded(request);
    }
  }

  get hasWork(): boolean {
    return this.scheduler.numUnfinished > 0 || this.#flight.oldest !== undefined;
  }

  /** Makes a schedule call, where anything is unfinished. Returns how many tokens it has. */
  plan(): number {
    const { scheduler } = this;
    const batch = this.#current;
    this.#called = scheduler.numUnfinished > 0;
    if (this.#called) {
      // A call that only preempts takes no time, and another one follows.
      do scheduler.call(this.#run.startNs, batch, this.#flight.oldest);
      while (scheduler.preemptedInCall > 0 && !this.isUseful);
      this.#occupancy.notePeaks();
    } else batch.reset(scheduler.decodes.calls);
    return batch.numTokens;
  }

  /** Whether a step is worth beginning: it computes something, or brings what is in flight. */
  get isUseful(): boolean {
    if (this.#current.numTokens > 0 || this.#cost.emptyStep > 0) return true;
    const { oldest } = this.#flight;
    return oldest !== undefined && (oldest.numTokens > 0 || !this.#called);
  }

  /** Sets the cost of the batch planned; returns by how much the next like it costs more. */
  price(): Ticks {
    const batch = this.#current;
    const { shape } = batch;
    const cost = this.#cost;
    if (batch.numTokens === 0) {
      batch.ticks = this.#called ? cost.emptyStep : 0;
      return 0;
    }
    this.stats.step(shape);
    const perContext = cost.contextSlope(shape);
    batch.ticks = cost.base(shape) + perContext * shape.decodeContext + batch.loadTicks;
    let slope = perContext * shape.numDecodes;
    if (cost.window !== Infinity) {
      const perWindow = cost.windowSlope(shape);
      batch.ticks += perWindow * shape.decodeWindowContext;
      slope += perWindow * this.scheduler.decodes.numShort;
    }
    if (this.sharesTime) this.stats.workNs += batch.ticks / this.#numStages / TICKS_PER_NS;
    this.#flight.enter(batch, this.#run.startNs);
    return slope;
  }

  /** The batch planned. */
  get planned(): Batch {
    return this.#current;
  }

  /** How long the step lasts that begins now: until the batch it delivers is computed. */
  get stepTicks(): Ticks {
    const flight = this.#flight;
    if (flight.depth === 0) return this.#current.ticks;
    return flight.fillsUp(this.#current) ? this.#cost.emptyStep : flight.untilOldest;
  }

  /** Begins a step of `ticks`; those after it, if it grows to a run, cost `slope` more each. */
  begin(ticks: Ticks, slope: Ticks): void {
    const next = this.#flight.depth === 0 ? ticks + slope : this.#current.ticks;
    this.#run.open(ticks, next, slope);
    this.#busy = true;
  }

  /** Nothing can be done before a command comes. */
  rest(): void {
    this.#flight.clear();
  }

  tellCall(): void {
    if (this.#called) this.#tell.called(this.#run.startNs);
  }

  /** Makes the run as long as its decisions hold, up to the next command known of. */
  #extend(growth: Ticks): void {
    const run = this.#run;
    const commandAt = this.#nextAt;
    if (commandAt <= run.endNs) return;
    const { ticks } = this.#current;
    const most = Math.min(MAX_STEPS, Math.floor(MAX_TICKS / (ticks + MAX_STEPS * growth + 1)));
    const alike = this.#cost.stepsAlike?.(this.#current.shape) ?? Infinity;
    const calls = this.scheduler.callsAlike(Math.min(most, alike - 1));
    run.resize(commandAt === Infinity ? 1 + calls : run.stepsUntil(commandAt, 1 + calls));
  }

  /** A command at `at` ends the run with the step then under way. */
  #cutAt(at: TimeNs): void {
    const run = this.#run;
    if (this.#busy && run.steps > 1) run.resize(run.stepsUntil(at, run.steps));
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
    this.#occupancy.elapse(run.ticks(steps), steps, run, true);
    run.slide(steps);

    const overlapping = this.#flight.depth > 0;
    const delivered = overlapping ? this.#flight.oldest : batch;
    if (delivered) this.#deliver(delivered, startNs, firstEndsAt, first);
    metrics.itl.addArithmetic(next / TICKS_PER_NS, growth / TICKS_PER_NS, steps - 1, batch.steady);
    this.#tell.updated(run.startNs);
    if (overlapping) {
      const repeated = delivered ?? new Batch();
      repeated.repeat(batch, scheduler.decodes.calls + steps - 1, run.first);
      this.#flight.replaceOldest(repeated);
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
    this.#occupancy.notePeaks();
    this.#tell.called(run.startNs);
  }

  // ---- the end of a step ----

  #endStep(): void {
    const run = this.#run;
    const { startNs, first } = run;
    this.#occupancy.elapse(first, 1, run, true);
    this.#flight.elapse(first, this.#current);
    run.finish();
    const called = this.#current;
    const delivered = this.#flight.takeDelivered(called);
    if (delivered) this.#deliver(delivered, startNs, run.startNs, first);
    if (this.#flight.depth > 0) {
      // The batch called is in flight now; the one delivered is used again.
      if (this.#called) {
        this.#flight.push(called, delivered !== undefined || this.scheduler.numUnfinished > 0);
      }
      this.#current = delivered ?? new Batch();
    }
    this.#busy = false;
    this.#tell.updated(run.startNs);
  }

  /** `batch` was computed in a step that is over. */
  #deliver(batch: Batch, startNs: TimeNs, endNs: TimeNs, ticks: Ticks): void {
    this.#delivery.draw(batch);
    this.#tell.delivering(this.#flight.startOf(batch, startNs), endNs, batch);
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
    const inFlight = this.#flight.batches;
    const pending = this.#busy ? [...inFlight, this.#current] : inFlight;
    this.#delivery.abort(request, at, this.#run.startNs, pending);
  }
}
