/**
 * A clock whose owner says how time passes, and can change their mind while it runs.
 *
 *   paced     simulated time is wall time × speed, from the instant the speed was set
 *   jumping   speed `inf`: time jumps to the next event
 *   stepped   time stands, but for `allowUntil`: events up to there happen at once
 *
 * Time moves from event to event and never past one that has not happened, so a clock that was held
 * back (its events had no room) resumes where it stopped and catches up event by event.
 */

import { NS_PER_MS, type TimeNs } from '../core/units.js';
import type { Clock } from './clock.js';

/** Wall milliseconds events may follow each other without a turn for others. */
const SLICE_MS = 2;
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export class SteeredClock implements Clock {
  readonly unpaced = false;
  #now: TimeNs = 0;
  #next: { readonly at: TimeNs; readonly wake: () => void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #speed = 0;
  #pacedFrom = { wallMs: 0, at: 0 };
  #allowedUntil: TimeNs = 0;
  #paused = false;
  #held = false;
  /** Inside an event: time stands, and what comes next is planned after it. */
  #firing = false;
  #waiting: { readonly isOver: () => boolean; readonly resolve: () => void }[] = [];

  constructor(private readonly wallMs: () => number = () => performance.now()) {}

  now(): TimeNs {
    if (this.#firing) return this.#now;
    const horizon = this.#horizon();
    const reachable = Math.min(horizon, this.#next?.at ?? Infinity);
    if (reachable > this.#now && reachable !== Infinity && !this.#held && !this.#jumping) {
      this.#now = reachable;
    }
    return this.#now;
  }

  wakeAt(at: TimeNs, wake: () => void): void {
    this.#next = { at, wake };
    this.#plan();
  }

  sleep(): void {
    this.#next = undefined;
    this.#plan();
  }

  jumpTo(): void {}

  /** Simulated seconds per second of wall time; `Infinity`: jump; 0: time stands. */
  setSpeed(speed: number): void {
    const at = this.now();
    this.#speed = speed;
    this.#pacedFrom = { wallMs: this.wallMs(), at };
    this.#plan();
  }

  pause(): void {
    this.now();
    this.#paused = true;
    this.#plan();
  }

  resume(): void {
    this.#paused = false;
    this.#pacedFrom = { wallMs: this.wallMs(), at: this.#now };
    this.#plan();
  }

  /** While time stands: lets it pass until `at`, `Infinity`: until nothing is left. */
  async advanceTo(at: TimeNs): Promise<void> {
    this.#allowedUntil = Math.max(this.#now, at);
    await this.#until(() => !this.#next || this.#next.at > this.#allowedUntil);
    this.now();
    this.#allowedUntil = this.#now;
  }

  /** Resolves when nothing is going to happen. */
  idle(): Promise<void> {
    return this.#until(() => !this.#next);
  }

  /** Nothing happens until `release`: what happened last has not been taken. */
  hold(): void {
    this.#held = true;
    this.#plan();
  }

  release(): void {
    this.#held = false;
    this.#plan();
  }

  close(): void {
    this.#held = true;
    this.sleep();
  }

  get #jumping(): boolean {
    return this.#speed === Infinity;
  }

  /** The instant up to which events may happen. */
  #horizon(): TimeNs {
    if (this.#paused) return this.#now;
    if (this.#speed === 0) return Math.max(this.#now, this.#allowedUntil);
    if (this.#jumping) return Infinity;
    const { wallMs, at } = this.#pacedFrom;
    return at + Math.floor((this.wallMs() - wallMs) * NS_PER_MS * this.#speed);
  }

  #until(isOver: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ isOver, resolve });
      this.#plan();
    });
  }

  #plan(): void {
    if (this.#firing) return;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    if (this.#held) return;
    this.#waiting = this.#waiting.filter(({ isOver, resolve }) => {
      const over = isOver();
      if (over) resolve();
      return !over;
    });
    const next = this.#next;
    if (!next) return;
    const horizon = this.#horizon();
    if (next.at <= horizon) {
      this.#immediate = setImmediate(this.#fire);
    } else if (!this.#paused && this.#speed > 0) {
      const delayMs = (next.at - horizon) / (NS_PER_MS * this.#speed);
      this.#timer = setTimeout(this.#fire, Math.min(delayMs, MAX_TIMEOUT_MS));
    }
  }

  readonly #fire = (): void => {
    const until = performance.now() + SLICE_MS;
    this.#firing = true;
    for (let i = 0; ; i++) {
      const next = this.#next;
      if (this.#held || !next || next.at > this.#horizon()) break;
      this.#next = undefined;
      if (next.at > this.#now) this.#now = next.at;
      next.wake();
      if ((i & 15) === 15 && performance.now() > until) break;
    }
    this.#firing = false;
    this.#plan();
  };
}
