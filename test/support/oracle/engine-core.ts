/**
 * The loop body around the scheduler, as the engine core does it: one schedule call, a queue of
 * batches under way, one update; and a step line that tells what happened.
 *
 * It has no clock: who drives it says when (`now`), in steps (`replay.ts`) or nanoseconds (`timed.ts`).
 */

import type {
  GoldenConfig,
  GoldenRequest,
  Pair,
  RequestRow,
  StepLine,
  Summary,
} from '../../parity/golden.js';
import type { Call } from './batch.js';
import type { OracleRequest } from './request.js';
import { OracleScheduler } from './scheduler.js';

/** A batch under way, and the number of the step that scheduled it. */
export interface Batch {
  readonly step: number;
  readonly call: Call;
}

/** When things happened to a request: steps or nanoseconds, as the driver counts. */
export interface Marks {
  firstScheduled: number | null;
  firstToken: number | null;
  lastToken: number | null;
  ended: number | null;
}

export class EngineCore {
  readonly scheduler: OracleScheduler;
  readonly requests: readonly OracleRequest[];
  readonly marks: readonly Marks[];
  readonly queue: Batch[] = [];
  /** Requests added so far; they come in order of id. */
  numAdded = 0;
  numCalls = 0;
  /** Calls in a row, up to now, that scheduled nothing. */
  numEmptyCalls = 0;
  #numPreemptions = 0;
  #peakBlocks = 0;

  constructor(
    private readonly config: GoldenConfig,
    specs: readonly GoldenRequest[],
  ) {
    this.scheduler = new OracleScheduler(config);
    this.requests = specs.map((spec, id) => this.scheduler.prepare(id, spec));
    this.marks = this.requests.map(() => ({
      firstScheduled: null,
      firstToken: null,
      lastToken: null,
      ended: null,
    }));
  }

  get idle(): boolean {
    return this.scheduler.numUnfinished === 0 && this.queue.length === 0;
  }

  /** The next request that has not arrived. */
  get nextArrival(): OracleRequest | undefined {
    return this.requests[this.numAdded];
  }

  /** Adds all requests that arrive at or before `now`. */
  arrive(now: number): number[] {
    const from = this.numAdded;
    while (this.nextArrival && this.nextArrival.spec.at <= now) {
      this.scheduler.add(this.requests[this.numAdded++]!);
    }
    return ids(this.requests.slice(from, this.numAdded));
  }

  /** False if the request has ended already. */
  abort(request: OracleRequest, now: number): boolean {
    const aborted = this.scheduler.abort(request);
    if (aborted) this.marks[request.id]!.ended = now;
    return aborted;
  }

  /** One schedule call, if anything is unfinished. */
  schedule(now: number, line: StepLine): Call | undefined {
    if (this.scheduler.numUnfinished === 0) return undefined;
    const call = this.scheduler.schedule();
    this.queue.push({ step: line.s, call });
    this.numCalls += 1;
    this.numEmptyCalls = call.entries.length > 0 ? 0 : this.numEmptyCalls + 1;
    this.#numPreemptions += call.preempted.length;
    const used = this.config.num_gpu_blocks - 1 - this.scheduler.kv.pool.numFree;
    this.#peakBlocks = Math.max(this.#peakBlocks, used);
    for (const { request } of call.entries) this.marks[request.id]!.firstScheduled ??= now;

    const drafted = call.entries.filter((entry) => entry.numDrafts > 0);
    line.sched = call.entries.map((e) => [e.request.id, e.numScheduled, e.numComputed]);
    put(line, 'new', ids(call.admitted));
    put(line, 'res', ids(call.resumed));
    put(line, 'pre', ids(call.preempted));
    if (this.config.enable_prefix_caching) {
      const hits = call.hits.map((hit) => [hit.request.id, hit.tokens, hit.known] as const);
      put(line, 'hit', hits);
    }
    put(line, 'evict', call.evicted);
    put(
      line,
      'drafts',
      drafted.map((entry) => [entry.request.id, entry.numDrafts] as const),
    );
    return call;
  }

  /**
   * The batch whose tokens come next, taken from the queue. Synchronous: the one just scheduled.
   * Asynchronous: the oldest, unless that is the one just scheduled and there is reason to schedule
   * another before waiting for it. With pipeline stages: the oldest, once every stage has a batch or
   * there is nothing to give it; an empty batch does not count.
   */
  popBatch(call: Call | undefined): Batch | undefined {
    const stages = this.config.pipeline_parallel_size ?? 1;
    if (stages > 1 && call) {
      if (call.entries.length === 0) this.queue.pop();
      else if (this.queue.length < stages) return undefined;
    }
    if (this.config.async_scheduling && call && this.queue.length === 1) {
      if (call.entries.length > 0 || this.scheduler.numUnfinished > 0) return undefined;
    }
    return this.queue.shift();
  }

  update(batch: Batch, now: number, line: StepLine): void {
    const update = this.scheduler.update(batch.call);
    for (const { request } of update.delivered) {
      const marks = this.marks[request.id]!;
      marks.firstToken ??= now;
      marks.lastToken = now;
    }
    for (const { id } of update.finished) this.marks[id]!.ended = now;
    if (this.config.async_scheduling) line.upd = batch.step;
    put(
      line,
      'acc',
      update.accepted.map(({ request, drafts }) => [request.id, drafts] as const),
    );
    if (this.config.async_scheduling || this.config.num_speculative_tokens > 0) {
      const out = update.delivered.map(({ request, tokens }): Pair => [request.id, tokens]);
      put(line, 'out', out);
    }
    put(line, 'fin', ids(update.finished));
  }

  /** Free blocks and cached contents. */
  get blocks(): Pair {
    return [this.scheduler.kv.pool.numFree, this.scheduler.kv.pool.numCached];
  }

  /** Ends a line; `then` is `blocks` right after the schedule call. */
  close(line: StepLine, then: Pair): void {
    const [free, cached] = this.blocks;
    line.free = [then[0], free];
    if (this.config.enable_prefix_caching) line.cached = [then[1], cached];
    line.run = ids(this.scheduler.running);
    line.wait = ids(this.scheduler.waiting);
  }

  summary(end: Summary['end']): Summary {
    const summary = {
      end,
      calls: this.numCalls,
      preemptions: this.#numPreemptions,
      peak_blocks: this.#peakBlocks,
      req: this.requests.map((request) => this.#row(request)),
    };
    if (!this.config.enable_prefix_caching) return summary;
    return { ...summary, prefix: { ...this.scheduler.kv.prefixStats } };
  }

  #row({ id, state, numOutputs, numPreemptions }: OracleRequest): RequestRow {
    const { ended, firstScheduled, firstToken } = this.marks[id]!;
    const end = state === 'length' || state === 'abort' ? state : 'unfinished';
    return [id, end, ended, numOutputs, numPreemptions, firstScheduled, firstToken];
  }
}

const ids = (requests: readonly OracleRequest[]): number[] => requests.map(({ id }) => id);

/** Sets a list of a line; empty lists are left out. */
export function put<K extends keyof StepLine>(
  line: StepLine,
  key: K,
  list: NonNullable<StepLine[K]> & readonly unknown[],
): void {
  if (list.length > 0) line[key] = list;
}
