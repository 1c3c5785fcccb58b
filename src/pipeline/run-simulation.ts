/**
 * A whole simulation as a stream of events, the report last.
 *
 * It is pulled: chunks are simulated only when asked for, so in virtual time a slow reader makes the
 * engine wait, and memory is bounded by a chunk. On a wall clock a chunk waits for its time; what
 * became due while the reader was busy comes in one chunk.
 */

import { from, type Observable } from 'rxjs';
import { mergeMap } from 'rxjs/operators';
import { Simulation, type SimulationOptions } from '../core/simulate.js';
import type { TimeNs } from '../core/units.js';
import type { Clock } from './clock.js';
import { type Detail, recordEvents, type SimulationEvent } from './events.js';

export interface RunOptions extends SimulationOptions {
  readonly detail: Detail;
  /** Absent: virtual time. */
  readonly clock?: Clock;
  /** Events in a chunk, about; it never splits an instant of one instance's step. */
  readonly chunkSize?: number;
  readonly signal?: AbortSignal;
  /**
   * Whether something beside the events waits for the reader: a tracer's product. Then a chunk is given
   * out as it is, be it empty, so that this, too, is bounded by what the reader takes.
   */
  readonly waits?: () => boolean;
}

const CHUNK_SIZE = 1024;
/** Wall milliseconds simulated between two looks at the event loop: others live in this process. */
const SLICE_MS = 1;

/** @throws the signal's reason when it is aborted. */
export async function* simulationChunks(
  options: RunOptions,
): AsyncGenerator<readonly SimulationEvent[], void, undefined> {
  const { detail, clock, signal, chunkSize = CHUNK_SIZE, waits = () => false } = options;
  let chunk: SimulationEvent[] = [];
  const tracer = recordEvents(detail, (event) => chunk.push(event));
  const simulation = new Simulation({
    ...options,
    tracers: [...(options.tracers ?? []), tracer],
    // Event by event, so that a chunk is bounded and released in time.
    eventwise: clock !== undefined || detail !== 'report',
  });
  const full = () => chunk.length >= chunkSize || waits();
  for (let over = false; !over; ) {
    signal?.throwIfAborted();
    if (clock) await reached(clock, simulation.nextAt, signal);
    over = clock ? advanceToNow(simulation, clock, full) : advanceChunk(simulation, full);
    // In virtual time chunks are full, so that they do not depend on how busy the machine is.
    const ripe = over || clock !== undefined || full();
    if (ripe && (chunk.length > 0 || waits())) {
      yield chunk;
      chunk = [];
    }
    await turn();
  }
  yield [{ kind: 'report', at: simulation.engine.now, report: simulation.report() }];
}

/** The same as an Observable; unsubscribing stops the engine within a chunk. */
export function simulation$(options: RunOptions): Observable<SimulationEvent> {
  return from(simulationChunks(options)).pipe(mergeMap((chunk) => from(chunk), 1));
}

function advanceChunk(simulation: Simulation, full: () => boolean): boolean {
  const until = performance.now() + SLICE_MS;
  do {
    if (simulation.advance(64)) return true;
  } while (!full() && performance.now() < until);
  return false;
}

function advanceToNow(simulation: Simulation, clock: Clock, full: () => boolean): boolean {
  const now = clock.now();
  while (simulation.nextAt <= now && !full()) if (simulation.advance(1)) return true;
  return simulation.nextAt === Infinity && simulation.advance(1);
}

/** Resolves when the clock has reached `at`. */
function reached(clock: Clock, at: TimeNs, signal?: AbortSignal): Promise<void> {
  if (clock.unpaced) clock.jumpTo(at);
  if (at === Infinity || at <= clock.now()) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const abort = () => {
      clock.sleep();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    const wake = () => {
      if (clock.now() < at) clock.wakeAt(at, wake);
      else {
        signal?.removeEventListener('abort', abort);
        resolve();
      }
    };
    clock.wakeAt(at, wake);
  });
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
