/**
 * How simulated time passes. The engine knows nothing of it; whoever drives an engine asks a clock
 * what time it is and to be woken.
 *
 *   wall       simulated time is wall time × speed, counted from the start
 *   unpaced    `--speed inf`: time jumps to the next event as soon as the process has a moment
 *   manual     a test says what time it is
 *
 * A clock wakes one caller at one instant: whoever wants many things to happen keeps them in an
 * engine. Waking is against absolute time, so nothing drifts.
 */

import { NS_PER_MS, type TimeNs } from '../core/units.js';

export interface Clock {
  /** Simulated seconds per second of wall time, where the two are tied. */
  readonly speed?: number;
  /** Simulated time now. */
  now(): TimeNs;
  /** Asks for one call of `wake` when `at` is reached, in a later turn of the event loop; replaces what was asked before. */
  wakeAt(at: TimeNs, wake: () => void): void;
  /** Nobody is to be woken. */
  sleep(): void;
  /**
   * Whether time only moves when the engine is told to go on; then it goes on event after event, as
   * long as `hasTime` says so.
   */
  readonly unpaced: boolean;
  /** An unpaced clock jumps here. */
  jumpTo(at: TimeNs): void;
}

/** setTimeout counts in whole milliseconds, to 2^31 of them. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export class WallClock implements Clock {
  readonly unpaced = false;
  readonly #startedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(readonly speed = 1) {}

  now(): TimeNs {
    return Math.floor((performance.now() - this.#startedAt) * NS_PER_MS * this.speed);
  }

  wakeAt(at: TimeNs, wake: () => void): void {
    this.sleep();
    const delayMs = at / (NS_PER_MS * this.speed) + this.#startedAt - performance.now();
    if (delayMs <= 0) this.#immediate = setImmediate(wake);
    else this.#timer = setTimeout(wake, Math.min(delayMs, MAX_TIMEOUT_MS));
  }

  sleep(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  jumpTo(): void {}
}

/** Simulated time as fast as the process can: commands carry the time reached so far. */
export class UnpacedClock implements Clock {
  readonly unpaced = true;
  #now: TimeNs = 0;
  #immediate: NodeJS.Immediate | undefined;

  now(): TimeNs {
    return this.#now;
  }

  wakeAt(_at: TimeNs, wake: () => void): void {
    this.sleep();
    this.#immediate = setImmediate(wake);
  }

  sleep(): void {
    clearImmediate(this.#immediate);
  }

  jumpTo(at: TimeNs): void {
    if (at > this.#now) this.#now = at;
  }
}

/** A test holds the hands of this clock. */
export class ManualClock implements Clock {
  readonly unpaced = false;
  #now: TimeNs = 0;
  #wake: { readonly at: TimeNs; readonly wake: () => void } | undefined;

  now(): TimeNs {
    return this.#now;
  }

  wakeAt(at: TimeNs, wake: () => void): void {
    this.#wake = { at, wake };
  }

  sleep(): void {
    this.#wake = undefined;
  }

  jumpTo(): void {}

  /** When it has to wake somebody next. */
  get wakesAt(): TimeNs | undefined {
    return this.#wake?.at;
  }

  /** Lets `ns` pass, waking whoever asked, each at their instant. */
  advance(ns: number): void {
    const until = this.#now + ns;
    while (this.#wake && this.#wake.at <= until) {
      const { at, wake } = this.#wake;
      this.#wake = undefined;
      if (at > this.#now) this.#now = at;
      wake();
    }
    this.#now = until;
  }
}

/** The clock of `--speed`: a factor on wall time, or `inf`. */
export function clockOfSpeed(speed: number): Clock {
  return speed === Infinity ? new UnpacedClock() : new WallClock(speed);
}
