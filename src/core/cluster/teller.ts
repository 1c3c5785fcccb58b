/**
 * Tells a tracer what one instance does, in the detail it asked for. What nobody asked for is not even
 * collected.
 */

import type { RequestHandle } from '../engine.js';
import { NEVER, type Request } from '../request/request.js';
import type { Batch } from '../sched/batch.js';
import type { SchedulerEars } from '../sched/scheduler.js';
import type { CallView, ScheduledRequest, StepEvent, Tracer } from '../trace/tracer.js';
import type { TimeNs } from '../units.js';
import type { Instance } from './instance.js';

export class InstanceTeller implements SchedulerEars {
  /** Whether the tracer wants to hear of every step, so that runs are expanded. */
  readonly everyStep: boolean;
  readonly hearsScheduled: boolean;
  readonly #scheduled: ScheduledRequest[] = [];
  #handles = new Float64Array(256);
  #numTokens = new Uint8Array(256).fill(1);

  constructor(
    private readonly owner: Instance,
    private readonly tracer: Tracer,
  ) {
    this.everyStep = Boolean(tracer.step || tracer.tokens || tracer.called || tracer.updated);
    this.hearsScheduled = tracer.called !== undefined;
  }

  scheduled(
    request: Request,
    numTokens: number,
    numComputedTokens: number,
    numDrafts: number,
  ): void {
    this.#scheduled.push({ handle: request.handle, numTokens, numComputedTokens, numDrafts });
  }

  preempted(request: Request): void {
    const { owner } = this;
    this.tracer.requestPreempt?.(owner.now, request.handle, owner.index);
  }

  loading(request: Request, until: TimeNs): void {
    this.owner.awaitLoad(request, until);
  }

  admitted(request: Request, cachedTokens: number, resumed: boolean): void {
    const { owner } = this;
    if (owner.config.scheduler.enablePrefixCaching) {
      owner.stats.prefixQueries += request.known;
      owner.stats.prefixHits += cachedTokens;
    }
    if (!this.tracer.requestSchedule) return;
    this.tracer.requestSchedule(owner.now, request.handle, {
      instance: owner.index,
      resumed,
      cachedTokens,
      knownTokens: request.known,
    });
  }

  called(at: TimeNs): void {
    if (!this.tracer.called) return;
    this.tracer.called(this.#view(at));
    this.#scheduled.length = 0;
  }

  updated(at: TimeNs): void {
    if (this.tracer.updated) this.tracer.updated(this.#view(at));
  }

  /** The step in which `batch` was computed is over; its tokens are about to be delivered. */
  delivering(startAt: TimeNs, endAt: TimeNs, batch: Batch): void {
    if (!this.everyStep) return;
    const { tracer, owner } = this;
    if (tracer.step && batch.numTokens > 0) {
      const event: StepEvent = {
        instance: owner.index,
        startAt,
        endAt,
        durationNs: endAt - startAt,
        shape: batch.shape,
        numRunning: owner.numRunning,
        numWaiting: owner.numWaiting,
        freeBlocks: owner.kv.free,
      };
      tracer.step(event);
    }
    if (tracer.tokens) this.#tokens(endAt, batch);
  }

  #tokens(at: TimeNs, batch: Batch): void {
    const most = Math.max(this.owner.numRunning + batch.stalling.size, batch.drafted.requests.size);
    if (most > this.#handles.length) {
      this.#handles = new Float64Array(most * 2);
      this.#numTokens = new Uint8Array(most * 2).fill(1);
    }
    const count =
      batch.drafted.requests.size > 0 ? this.#draftedTokens(batch) : this.#oneEach(batch);
    if (count === 0) return;
    this.tracer.tokens!({
      at,
      instance: this.owner.index,
      count,
      handles: this.#handles,
      numTokens: this.#numTokens,
    });
  }

  /** With speculation, some get several. */
  #draftedTokens({ drafted: { requests, tokens } }: Batch): number {
    let count = 0;
    for (let i = 0; i < requests.size; i++) {
      const request = requests.at(i);
      if (!request) continue;
      this.#handles[count] = request.handle;
      this.#numTokens[count++] = tokens[i]!;
    }
    return count;
  }

  #oneEach({ call, stalling }: Batch): number {
    const handles = this.#handles;
    let count = 0;
    // Preempted or left out while their token was in flight: they still get it, at their place.
    const stalled = stalling.inOrder(
      (request) => request.phase === 'waiting' || request.firstCall > call,
    );
    let nextStalled = 0;
    const { head } = this.owner.scheduler.running;
    for (let request = head; request; request = request.next) {
      if (request.firstCall > call || call > request.lastCall || request.firstCall === NEVER)
        continue;
      while (nextStalled < stalled.length && stalled[nextStalled]!.position < request.position) {
        handles[count++] = stalled[nextStalled++]!.handle;
      }
      handles[count++] = request.handle;
    }
    while (nextStalled < stalled.length) handles[count++] = stalled[nextStalled++]!.handle;
    return count;
  }

  #view(at: TimeNs): CallView {
    const { owner } = this;
    const { scheduler, kv } = owner;
    return {
      at,
      instance: owner.index,
      scheduled: this.#scheduled,
      freeBlocks: kv.free,
      cachedBlocks: kv.cachedBlocks,
      running: () => handlesOf(scheduler.running),
      waiting: () => handlesOf(scheduler.waiting),
    };
  }
}

function handlesOf(requests: Iterable<Request>): RequestHandle[] {
  return Array.from(requests, (request) => request.handle);
}
