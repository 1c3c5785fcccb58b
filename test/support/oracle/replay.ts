/**
 * The oracle on a step clock: replays a golden scenario and writes the trace a recorder would have
 * written, in synchronous mode and with the asynchronous engine core's queue of two batches.
 */

import {
  digest,
  type GoldenScenario,
  type Pair,
  type Replay,
  type RequestRow,
  type StepLine,
} from '../../parity/golden.js';
import type { OracleRequest } from './request.js';
import { type Call, OracleScheduler, type Update } from './scheduler.js';

/** Empty calls in a row after which a scenario with nothing to come is stuck. */
const STUCK_AFTER = 3;

const ids = (requests: readonly OracleRequest[]): number[] => requests.map(({ id }) => id);

/** What a request's row in the summary needs beside its own state. */
interface Marks {
  endStep: number | null;
  firstScheduled: number | null;
  firstToken: number | null;
}

export function replay(scenario: GoldenScenario): Required<Replay> {
  return new StepClock(scenario).run();
}

class StepClock {
  readonly #scheduler: OracleScheduler;
  readonly #requests: OracleRequest[];
  readonly #marks: Marks[];
  readonly #queue: { readonly step: number; readonly call: Call }[] = [];
  readonly #lines: StepLine[] = [];
  #numAdded = 0;
  #numCalls = 0;
  #numEmptyCalls = 0;
  #numPreemptions = 0;
  #peakBlocks = 0;

  constructor(private readonly scenario: GoldenScenario) {
    this.#scheduler = new OracleScheduler(scenario.config);
    this.#requests = scenario.requests.map((spec, id) => this.#scheduler.prepare(id, spec));
    this.#marks = this.#requests.map(() => ({
      endStep: null,
      firstScheduled: null,
      firstToken: null,
    }));
  }

  run(): Required<Replay> {
    let step = 0;
    let end: 'done' | 'stuck' | 'max_steps' = 'done';
    for (;;) {
      if (this.#scheduler.numUnfinished === 0 && this.#queue.length === 0) {
        if (this.#numAdded === this.#requests.length) break;
        step = Math.max(step, this.scenario.requests[this.#numAdded]!.at);
      }
      const line = this.#step(step);
      this.#lines.push(this.scenario.trace === 'digest' ? digest(line) : line);
      if (this.#isStuck(step)) {
        end = 'stuck';
        break;
      }
      if (this.#numCalls >= (this.scenario.max_steps ?? Number.POSITIVE_INFINITY)) {
        end = 'max_steps';
        break;
      }
      step += 1;
    }
    const { prefixStats } = this.#scheduler;
    const summary = {
      end,
      calls: this.#numCalls,
      preemptions: this.#numPreemptions,
      peak_blocks: this.#peakBlocks,
      req: this.#requests.map((request) => this.#row(request)),
    };
    return {
      lines: this.#lines,
      summary: this.scenario.config.enable_prefix_caching
        ? { ...summary, prefix: { ...prefixStats } }
        : summary,
    };
  }

  #step(step: number): StepLine {
    const scheduler = this.#scheduler;
    const line: StepLine = { s: step };
    put(line, 'add', this.#arrive(step));
    put(line, 'abort', this.#abort(step, 'before'));
    let call: Call | undefined;
    if (scheduler.numUnfinished > 0) {
      call = this.#schedule(step, line);
      this.#queue.push({ step, call });
    }
    const freeThen = scheduler.pool.numFree;
    const cachedThen = scheduler.pool.numCached;
    put(line, 'abort2', this.#abort(step, 'during'));
    const batch = this.#popBatch(call);
    if (batch) {
      if (this.scenario.config.async_scheduling) line.upd = batch.step;
      this.#tell(step, line, scheduler.update(batch.call));
    }
    line.free = [freeThen, scheduler.pool.numFree];
    if (this.scenario.config.enable_prefix_caching) {
      line.cached = [cachedThen, scheduler.pool.numCached];
    }
    line.run = ids(scheduler.running);
    line.wait = ids(scheduler.waiting);
    return line;
  }

  #arrive(step: number): number[] {
    const added: number[] = [];
    while (this.scenario.requests[this.#numAdded] !== undefined) {
      if (this.scenario.requests[this.#numAdded]!.at > step) break;
      this.#scheduler.add(this.#requests[this.#numAdded]!);
      added.push(this.#numAdded++);
    }
    return added;
  }

  #abort(step: number, when: 'before' | 'during'): number[] {
    const due = this.#requests.slice(0, this.#numAdded).filter(({ spec }) => {
      return spec.abort?.[0] === step && spec.abort[1] === when;
    });
    const aborted = due.filter((request) => this.#scheduler.abort(request));
    for (const { id } of aborted) this.#marks[id]!.endStep = step;
    return ids(aborted);
  }

  #schedule(step: number, line: StepLine): Call {
    const call = this.#scheduler.schedule();
    this.#numCalls += 1;
    this.#numEmptyCalls = call.entries.length > 0 ? 0 : this.#numEmptyCalls + 1;
    this.#numPreemptions += call.preempted.length;
    const used = this.scenario.config.num_gpu_blocks - 1 - this.#scheduler.pool.numFree;
    this.#peakBlocks = Math.max(this.#peakBlocks, used);
    for (const { request } of call.entries) this.#marks[request.id]!.firstScheduled ??= step;
    line.sched = call.entries.map((e) => [e.request.id, e.numScheduled, e.numComputed]);
    put(line, 'new', ids(call.admitted));
    put(line, 'res', ids(call.resumed));
    put(line, 'pre', ids(call.preempted));
    put(
      line,
      'hit',
      call.hits.map((hit) => [hit.request.id, hit.tokens, hit.known] as const),
    );
    put(line, 'evict', call.evicted);
    const drafts = call.entries.filter((entry) => entry.numDrafts > 0);
    put(
      line,
      'drafts',
      drafts.map((entry) => [entry.request.id, entry.numDrafts] as const),
    );
    return call;
  }

  /**
   * The batch whose tokens come in this step. Synchronous: the one just scheduled. Asynchronous: the
   * oldest of the queue, unless it is the one just scheduled and there is reason to schedule another.
   */
  #popBatch(call: Call | undefined): { readonly step: number; readonly call: Call } | undefined {
    if (this.scenario.config.async_scheduling && call && this.#queue.length === 1) {
      if (call.entries.length > 0 || this.#scheduler.numUnfinished > 0) return undefined;
    }
    return this.#queue.shift();
  }

  #tell(step: number, line: StepLine, update: Update): void {
    for (const { request } of update.delivered) this.#marks[request.id]!.firstToken ??= step;
    for (const { id } of update.finished) this.#marks[id]!.endStep = step;
    put(
      line,
      'acc',
      update.accepted.map(({ request, drafts }) => [request.id, drafts] as const),
    );
    const { async_scheduling, num_speculative_tokens } = this.scenario.config;
    if (async_scheduling || num_speculative_tokens > 0) {
      const out = update.delivered.map(({ request, tokens }): Pair => [request.id, tokens]);
      put(line, 'out', out);
    }
    put(line, 'fin', ids(update.finished));
  }

  #isStuck(step: number): boolean {
    const toCome =
      this.#numAdded < this.#requests.length ||
      this.#requests.some(({ ended, spec }) => !ended && spec.abort && spec.abort[0] > step);
    return this.#numEmptyCalls >= STUCK_AFTER && this.#scheduler.numUnfinished > 0 && !toCome;
  }

  #row(request: OracleRequest): RequestRow {
    const { endStep, firstScheduled, firstToken } = this.#marks[request.id]!;
    const { id, state, numOutputs, numPreemptions } = request;
    const end = state === 'length' || state === 'abort' ? state : 'unfinished';
    return [id, end, endStep, numOutputs, numPreemptions, firstScheduled, firstToken];
  }
}

/** Sets a list of a line; empty lists are left out. */
function put<K extends keyof StepLine>(
  line: StepLine,
  key: K,
  list: NonNullable<StepLine[K]> & readonly unknown[],
): void {
  if (list.length > 0) line[key] = list;
}
