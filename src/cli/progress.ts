/** Running a simulation in slices, so that it can show how far it is and be interrupted. */

import type { Simulation } from '../core/simulate.js';
import { duration, grouped, percent } from '../report/format.js';
import type { Io } from './io.js';

/** Arrivals simulated between two looks at the world: milliseconds of work. */
const SLICE = 4096;
const SHOW_EVERY_MS = 100;

/** Simulates to the end, or until interrupted. */
export async function runToEnd(
  simulation: Simulation,
  numRequests: number | undefined,
  io: Io,
): Promise<{ stopped: boolean }> {
  let stopped = false;
  const release = io.onInterrupt(() => {
    stopped = true;
  });
  const line = io.errIsTerminal ? new ProgressLine(io, numRequests) : undefined;
  try {
    while (!simulation.advance(SLICE)) {
      await new Promise((resolve) => setImmediate(resolve));
      if (stopped) break;
      line?.show(simulation);
    }
  } finally {
    line?.clear();
    release();
  }
  return { stopped };
}

class ProgressLine {
  readonly #io: Io;
  readonly #numRequests: number | undefined;
  #shownAt = performance.now();
  #visible = false;

  constructor(io: Io, numRequests: number | undefined) {
    this.#io = io;
    this.#numRequests = numRequests;
  }

  show(simulation: Simulation): void {
    const now = performance.now();
    if (now - this.#shownAt < SHOW_EVERY_MS) return;
    this.#shownAt = now;
    this.#visible = true;
    const { ended, atNs, submitted } = simulation.progress;
    const part = this.#numRequests === undefined ? '' : ` (${percent(ended / this.#numRequests)})`;
    const text = `${grouped(ended)} requests done${part}, ${grouped(submitted - ended)} in flight, ${duration(atNs / 1e6)} simulated`;
    this.#io.err(`\r\x1b[2K${text}`);
  }

  clear(): void {
    if (this.#visible) this.#io.err('\r\x1b[2K');
  }
}
