/** The two ways independent runs are spread over threads: all at once, or what a search may need next. */

import type { RunDigest } from '../../report/comparison.js';
import { grouped } from '../../report/format.js';
import type { Probe } from '../find-rate.js';
import type { Io } from '../io.js';
import type { Flags } from '../simulate-flags.js';
import { isAbort, RunPool } from './run-pool.js';

/** Runs all variants; those that an interrupt left undone are `undefined`. Order is that of `variants`. */
export async function compareInThreads(
  variants: readonly Flags[],
  numWorkers: number,
  io: Io,
): Promise<(RunDigest | undefined)[]> {
  const pool = new RunPool(numWorkers);
  const abort = new AbortController();
  const release = io.onInterrupt(() => abort.abort());
  let numDone = 0;
  try {
    return await Promise.all(
      variants.map(async (flags) => {
        const digest = await unlessAborted(pool.run({ kind: 'compare', flags }, abort.signal));
        if (io.errIsTerminal) io.err(`\r\x1b[2K${doneOf(++numDone, variants.length)}`);
        return digest;
      }),
    );
  } finally {
    if (io.errIsTerminal) io.err('\r\x1b[2K');
    release();
    await pool.close();
  }
}

const doneOf = (done: number, all: number) => `${grouped(done)} of ${grouped(all)} runs done`;

/** Probes of a rate search, the likely next ones started before they are asked for. */
export class SpeculativeProbes {
  readonly #pool: RunPool;
  readonly #started = new Map<number, { probe: Promise<Probe | undefined>; abort(): void }>();
  readonly #release: () => void;
  #interrupted = false;

  constructor(
    private readonly flags: Flags,
    private readonly fraction: number,
    numWorkers: number,
    io: Io,
  ) {
    this.#pool = new RunPool(numWorkers);
    this.#release = io.onInterrupt(() => {
      this.#interrupted = true;
      this.#keepOnly([]);
    });
  }

  /** The probe at the first of `scales`; `undefined` when interrupted. */
  readonly at = (scales: readonly number[]): Promise<Probe | undefined> => {
    if (this.#interrupted) return Promise.resolve(undefined);
    this.#keepOnly(scales);
    for (const scale of scales) if (!this.#started.has(scale)) this.#start(scale);
    return this.#started.get(scales[0]!)!.probe;
  };

  async close(): Promise<void> {
    this.#release();
    this.#keepOnly([]);
    await this.#pool.close();
  }

  #start(scale: number): void {
    const { flags, fraction } = this;
    const controller = new AbortController();
    const job = { kind: 'find-rate', flags, scale, fraction } as const;
    const probe = unlessAborted(this.#pool.run(job, controller.signal));
    // One that nobody comes to ask for may fail unheard.
    probe.catch(() => {});
    this.#started.set(scale, { probe, abort: () => controller.abort() });
  }

  #keepOnly(scales: readonly number[]): void {
    for (const [scale, { abort }] of this.#started) {
      if (scales.includes(scale)) continue;
      this.#started.delete(scale);
      abort();
    }
  }
}

async function unlessAborted<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isAbort(error)) return undefined;
    throw error;
  }
}
