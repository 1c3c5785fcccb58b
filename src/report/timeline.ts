/**
 * The state of every instance over time, one row per instance and interval: CSV when the file is
 * called so, JSON Lines otherwise.
 *
 * A row is what happened in [start, start + interval). A step that spans a boundary counts in each
 * interval for the time it has there; its tokens leave at its end and count where that is. Between
 * steps nothing runs and nothing is held. Rows of one instance are in time order, without gaps; an
 * instance is written as far as its own time has come, so nothing is kept but one open row each.
 */

import type { StepEvent } from '../core/trace/tracer.js';
import type { DurationNs, TimeNs } from '../core/units.js';
import type { FileTracer } from './chrome-trace.js';
import { csvLine, isCsv } from './request-rows.js';
import { TextFile } from './text-file.js';

export const TIMELINE_COLUMNS = [
  'start_ms',
  'instance',
  'num_steps',
  'busy_fraction',
  'prefill_tokens',
  'decode_tokens',
  'mean_running',
  'mean_waiting',
  'peak_waiting',
  'kv_usage_mean_fraction',
  'kv_usage_peak_fraction',
  'num_arrived',
  'num_finished',
  'num_preemptions',
] as const;

export type TimelineRow = { readonly [K in (typeof TIMELINE_COLUMNS)[number]]: number };

export interface TimelineOptions {
  readonly path: string;
  readonly intervalNs: DurationNs;
  /** KV blocks of each instance. */
  readonly numBlocks: readonly number[];
}

/** @throws {ConfigError} when the file cannot be written */
export function timeline({ path, intervalNs, numBlocks }: TimelineOptions): FileTracer {
  const csv = isCsv(path);
  const file = new TextFile('--timeline', path);
  if (csv) file.write(`${TIMELINE_COLUMNS.join(',')}\n`);
  const emit = (row: TimelineRow) =>
    file.write(csv ? csvLine(TIMELINE_COLUMNS, row) : `${JSON.stringify(row)}\n`);
  const rows = numBlocks.map((blocks, i) => new OpenRow(i, blocks, intervalNs, emit));
  return {
    step: (step) => rows[step.instance]!.step(step),
    requestArrive: (at, _handle, _spec, instance) => {
      rows[instance]!.openAt(at).numArrived++;
    },
    requestPreempt: (at, _handle, instance) => {
      rows[instance]!.openAt(at).numPreemptions++;
    },
    requestFinish: ({ instance, endedAt }) => {
      if (instance >= 0) rows[instance]!.openAt(endedAt).numFinished++;
    },
    close() {
      const endAt = Math.max(...rows.map((row) => row.seenUntil));
      for (const row of rows) row.closeAt(endAt);
      file.close();
    },
  };
}

/** The row of one instance that is still being added to. */
class OpenRow {
  seenUntil: TimeNs = 0;
  numArrived = 0;
  numFinished = 0;
  numPreemptions = 0;
  #startAt: TimeNs = 0;
  #numSteps = 0;
  #prefillTokens = 0;
  #decodeTokens = 0;
  #peakWaiting = 0;
  #peakUsed = 0;
  /** Integrals over the time of steps. */
  #busyNs = 0;
  #runningNs = 0;
  #waitingNs = 0;
  #usedNs = 0;

  constructor(
    private readonly instance: number,
    private readonly numBlocks: number,
    private readonly intervalNs: DurationNs,
    private readonly emit: (row: TimelineRow) => void,
  ) {}

  /** The row in which `at` lies; rows before it are written. What is late counts in the open row. */
  openAt(at: TimeNs): this {
    while (at >= this.#startAt + this.intervalNs) this.#next();
    if (at > this.seenUntil) this.seenUntil = at;
    return this;
  }

  step({ startAt, endAt, shape, numRunning, numWaiting, freeBlocks }: StepEvent): void {
    const used = this.numBlocks - freeBlocks;
    for (let from = Math.max(startAt, this.#startAt); from < endAt; ) {
      this.openAt(from);
      const to = Math.min(endAt, this.#startAt + this.intervalNs);
      const ns = to - from;
      this.#busyNs += ns;
      this.#runningNs += ns * numRunning;
      this.#waitingNs += ns * numWaiting;
      this.#usedNs += ns * used;
      this.#peakWaiting = Math.max(this.#peakWaiting, numWaiting);
      this.#peakUsed = Math.max(this.#peakUsed, used);
      from = to;
    }
    this.openAt(endAt);
    this.#numSteps++;
    this.#prefillTokens += shape.prefillTokens;
    this.#decodeTokens += shape.numDecodes;
  }

  /** Writes the rows up to the one in which `at` lies. */
  closeAt(at: TimeNs): void {
    this.openAt(at);
    this.#next();
  }

  #next(): void {
    const { intervalNs, numBlocks } = this;
    const capacity = Math.max(1, numBlocks);
    this.emit({
      start_ms: this.#startAt / 1e6,
      instance: this.instance,
      num_steps: this.#numSteps,
      busy_fraction: this.#busyNs / intervalNs,
      prefill_tokens: this.#prefillTokens,
      decode_tokens: this.#decodeTokens,
      mean_running: this.#runningNs / intervalNs,
      mean_waiting: this.#waitingNs / intervalNs,
      peak_waiting: this.#peakWaiting,
      kv_usage_mean_fraction: this.#usedNs / intervalNs / capacity,
      kv_usage_peak_fraction: this.#peakUsed / capacity,
      num_arrived: this.numArrived,
      num_finished: this.numFinished,
      num_preemptions: this.numPreemptions,
    });
    this.#startAt += intervalNs;
    this.#numSteps = this.#prefillTokens = this.#decodeTokens = 0;
    this.#peakWaiting = this.#peakUsed = 0;
    this.#busyNs = this.#runningNs = this.#waitingNs = this.#usedNs = 0;
    this.numArrived = this.numFinished = this.numPreemptions = 0;
  }
}
