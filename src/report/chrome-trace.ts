/**
 * A run as a trace that Perfetto (ui.perfetto.dev) and chrome://tracing show.
 *
 *   process              an instance
 *   ├ track "steps"      one slice per step; further tracks where pipeline stages let steps overlap
 *   ├ counters           requests running and waiting, KV blocks in use
 *   └ async "request"    one per request: queued, prefill, decode; inside them, preempted
 *
 * Events leave as they become known and nothing is kept but the preemptions of requests that still
 * run, so memory does not grow with the run. Viewers sort by time themselves; within a track the file
 * is in time order. Only what was selected is listened to: without steps and counters the engine keeps
 * its long runs.
 *
 * @see "Trace Event Format", phases M, X, C, b and e; times are microseconds
 */

import type { RequestHandle } from '../core/engine.js';
import type { RequestOutcome, StepEvent, Tracer } from '../core/trace/tracer.js';
import type { TimeNs } from '../core/units.js';
import { TextFile } from './text-file.js';

/** What can be selected, and in which words. */
export const TRACE_EVENTS = ['requests', 'steps', 'counters'] as const;
export type TraceEvents = (typeof TRACE_EVENTS)[number];

/** A tracer that writes a file, which is whole once it is closed. */
export interface FileTracer extends Tracer {
  close(): void;
}

export interface ChromeTraceOptions {
  readonly path: string;
  /** What to write; others are not listened to. */
  readonly events: readonly TraceEvents[];
  /** Of each instance: what to call it, and its KV blocks. */
  readonly instances: readonly { readonly name: string; readonly numBlocks: number }[];
}

/** Process 0 is for requests that never reached an instance. */
const processOf = (instance: number): number => instance + 1;
const FIRST_STEPS = 1;
const micros = (at: TimeNs): number => at / 1e3;

/** @throws {ConfigError} when the file cannot be written */
export function chromeTrace({ path, events, instances }: ChromeTraceOptions): FileTracer {
  const out = new EventFile(path);
  const steps = events.includes('steps');
  const counters = events.includes('counters')
    ? instances.map(({ numBlocks }, i) => new Counters(out, processOf(i), numBlocks))
    : undefined;
  const requests = events.includes('requests') ? new RequestTracks(out) : undefined;
  if (requests) out.metadata(processOf(-1), 0, 'process_name', 'not routed');
  for (const [i, { name }] of instances.entries()) {
    out.metadata(processOf(i), 0, 'process_name', name);
  }
  const tracks = instances.map((_, i) => new StepTracks(out, processOf(i)));
  return {
    ...requests?.tracer,
    ...((steps || counters) && {
      step(step: StepEvent) {
        if (steps) tracks[step.instance]!.write(step);
        counters?.[step.instance]?.step(step);
      },
    }),
    close() {
      for (const counter of counters ?? []) counter.rest();
      out.close();
    },
  };
}

/** The steps of one instance, each on the first track where it does not overlap another. */
class StepTracks {
  readonly #freeAt: TimeNs[] = [];

  constructor(
    private readonly out: EventFile,
    private readonly pid: number,
  ) {}

  write(step: StepEvent): void {
    const freeAt = this.#freeAt;
    let track = freeAt.findIndex((at) => at <= step.startAt);
    if (track < 0) {
      track = freeAt.length;
      this.out.metadata(this.pid, FIRST_STEPS + track, 'thread_name', 'steps');
    }
    freeAt[track] = step.endAt;
    this.out.write(sliceOf(step, FIRST_STEPS + track));
  }
}

function sliceOf({ instance, startAt, durationNs, shape }: StepEvent, tid: number): object {
  const { numDecodes, prefillTokens } = shape;
  const kind = prefillTokens === 0 ? 'decode' : numDecodes === 0 ? 'prefill' : 'mixed';
  return {
    ph: 'X',
    pid: processOf(instance),
    tid,
    name: kind,
    ts: micros(startAt),
    dur: micros(durationNs),
    args: {
      decodes: numDecodes,
      decode_context: shape.decodeContext,
      prefill_tokens: prefillTokens,
      prefills: shape.numPrefills,
    },
  };
}

/** The file: one object, its events one a line. */
class EventFile {
  readonly #file: TextFile;
  #separator = '\n';

  constructor(path: string) {
    this.#file = new TextFile('--trace-out', path);
    this.#file.write('{"displayTimeUnit":"ms","traceEvents":[');
  }

  write(event: object): void {
    this.#file.write(this.#separator + JSON.stringify(event));
    this.#separator = ',\n';
  }

  metadata(pid: number, tid: number, what: string, name: string): void {
    this.write({ ph: 'M', pid, tid, name: what, args: { name } });
  }

  close(): void {
    this.#file.write('\n]}\n');
    this.#file.close();
  }
}

/** Counters of one instance, written when they change; between steps nothing runs. */
class Counters {
  #told = '';
  #endedAt: TimeNs = 0;

  constructor(
    private readonly out: EventFile,
    private readonly pid: number,
    private readonly numBlocks: number,
  ) {}

  step({ startAt, endAt, numRunning, numWaiting, freeBlocks }: StepEvent): void {
    if (startAt > this.#endedAt) this.#tell(this.#endedAt, 0, 0, 0);
    this.#tell(startAt, numRunning, numWaiting, this.numBlocks - freeBlocks);
    this.#endedAt = endAt;
  }

  rest(): void {
    this.#tell(this.#endedAt, 0, 0, 0);
  }

  #tell(at: TimeNs, running: number, waiting: number, used: number): void {
    const values = `${running} ${waiting} ${used}`;
    if (values === this.#told) return;
    this.#told = values;
    const { out, pid } = this;
    const ts = micros(at);
    out.write({ ph: 'C', pid, tid: 0, name: 'requests', ts, args: { running, waiting } });
    out.write({ ph: 'C', pid, tid: 0, name: 'KV blocks', ts, args: { used } });
  }
}

interface Interval {
  readonly from: TimeNs;
  to: TimeNs;
}

/** The tracks of requests, each written when its request ends. */
class RequestTracks {
  readonly #preempted = new Map<RequestHandle, Interval[]>();
  readonly tracer: Tracer;

  constructor(private readonly out: EventFile) {
    this.tracer = {
      requestPreempt: (at, handle) => {
        const intervals = this.#preempted.get(handle) ?? [];
        intervals.push({ from: at, to: Infinity });
        this.#preempted.set(handle, intervals);
      },
      requestSchedule: (at, handle, { resumed }) => {
        if (resumed) this.#preempted.get(handle)!.at(-1)!.to = at;
      },
      requestFinish: (outcome) => this.#write(outcome),
    };
  }

  #write(outcome: RequestOutcome): void {
    const { handle, spec, index, arrivedAt, scheduledAt, firstTokenAt, endedAt } = outcome;
    const preempted = this.#preempted.get(handle) ?? [];
    this.#preempted.delete(handle);
    const common = { cat: 'request', id: index, pid: processOf(outcome.instance), tid: 0 };
    const begin = (name: string, at: TimeNs, args?: object) =>
      this.out.write({ ph: 'b', ...common, name, ts: micros(at), ...(args && { args }) });
    const end = (name: string, at: TimeNs) =>
      this.out.write({ ph: 'e', ...common, name, ts: micros(at) });
    const phase = (name: string, from: TimeNs | undefined, to: TimeNs) => {
      if (from === undefined) return;
      begin(name, from);
      // A token in flight when its request was preempted may end a phase in the middle of the wait.
      for (const wait of preempted) {
        const [first, last] = [Math.max(wait.from, from), Math.min(wait.to, to)];
        if (first >= last) continue;
        begin('preempted', first);
        end('preempted', last);
      }
      end(name, to);
    };
    begin('request', arrivedAt, {
      request_id: spec.id ?? String(index),
      prompt_tokens: spec.promptTokens,
      output_tokens: outcome.outputTokens,
      cached_tokens: outcome.cachedTokens,
      num_preemptions: outcome.numPreemptions,
      finish_reason: outcome.reason,
    });
    phase('queued', arrivedAt, scheduledAt ?? endedAt);
    phase('prefill', scheduledAt, firstTokenAt ?? endedAt);
    phase('decode', firstTokenAt, endedAt);
    end('request', endedAt);
  }
}
