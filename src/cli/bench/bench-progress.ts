/** One line that says how far a benchmark is: done, running, failed, tokens per second, time left. */

import type { BenchProgress } from '../../bench/bench.js';
import { duration, grouped, short } from '../../report/format.js';
import type { Io } from '../io.js';

const SHOW_EVERY_MS = 200;

export class BenchProgressLine {
  #shownAt = 0;
  #visible = false;

  constructor(
    private readonly io: Io,
    private readonly numRequests: number,
  ) {}

  show({ sent, measurement, elapsedMs }: BenchProgress): void {
    if (elapsedMs - this.#shownAt < SHOW_EVERY_MS) return;
    this.#shownAt = elapsedMs;
    this.#visible = true;
    const { completed, failed, outputTokens } = measurement;
    const done = completed + failed;
    const of = this.numRequests > 0 ? `/${grouped(this.numRequests)}` : '';
    const left = this.numRequests - done;
    const eta = done > 0 && left > 0 ? `, ${duration((elapsedMs / done) * left)} left` : '';
    const failures = failed > 0 ? `, ${grouped(failed)} failed` : '';
    const rate = short((1e3 * outputTokens) / elapsedMs);
    this.io.err(
      `\r\x1b[2K${grouped(done)}${of} done, ${grouped(sent - done)} running${failures}, ${rate} tok/s${eta}`,
    );
  }

  clear(): void {
    if (this.#visible) this.io.err('\r\x1b[2K');
  }
}
