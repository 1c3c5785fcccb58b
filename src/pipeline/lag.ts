/**
 * How late events are released: wall time at release minus the time they were simulated for.
 *
 * A simulator whose process cannot keep up gives latencies that are its own, not the model's; so the
 * lag is measured on every batch of tokens, shown in `/status`, and told when it passes 5 ms.
 */

export const LAG_WARNING_MS = 5;
const MINUTE_MS = 60_000;
/** Weight of a new value in the moving mean. */
const SMOOTHING = 0.02;

export class LagMeter {
  #lastMs = 0;
  #meanMs = 0;
  #maxMs = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly warn?: (lagMs: number) => void,
    private readonly wallMs: () => number = () => performance.now(),
  ) {}

  note(lagMs: number): void {
    this.#lastMs = lagMs;
    this.#meanMs += SMOOTHING * (lagMs - this.#meanMs);
    if (lagMs > this.#maxMs) this.#maxMs = lagMs;
    if (lagMs <= LAG_WARNING_MS || !this.warn) return;
    const now = this.wallMs();
    if (now - this.#warnedAt < MINUTE_MS) return;
    this.#warnedAt = now;
    this.warn(lagMs);
  }

  /** Of the last batch, the moving mean, and the largest so far, in milliseconds. */
  get ms(): { readonly last: number; readonly mean: number; readonly max: number } {
    return { last: this.#lastMs, mean: this.#meanMs, max: this.#maxMs };
  }
}
