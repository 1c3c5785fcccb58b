/**
 * The units of the simulation.
 *
 * The clock is whole nanoseconds with a carried fraction. What a step costs is computed in float
 * seconds and rounded once, by `onClock`, onto a grid of 1/65536 ns. From there on all sums are sums
 * of integers below 2^53, so a run of equal steps may be cut anywhere without moving any time.
 */

/** An instant: whole nanoseconds since the start of the simulation. */
export type TimeNs = number;
/** A length of time in whole nanoseconds. */
export type DurationNs = number;
/** A length of time on the clock's grid: an integer number of 1/65536 ns. */
export type Ticks = number;
export type Seconds = number;
export type Milliseconds = number;
export type Bytes = number;
export type Flop = number;

export const TICKS_PER_NS = 65_536;
export const NS_PER_MS = 1e6;
export const NS_PER_S = 1e9;
export const GIB: Bytes = 2 ** 30;

/** Above this, the grid is whole nanoseconds: a step of minutes needs no fractions, and sums stay exact. */
const COARSE_ABOVE: Ticks = 2 ** 50;

/** Rounds a cost in seconds onto the clock's grid. */
export function onClock(seconds: Seconds): Ticks {
  const ticks = seconds * NS_PER_S * TICKS_PER_NS;
  // As `Math.round`, which is compiled to a branch that goes either way half of the time.
  return ticks < COARSE_ABOVE ? Math.floor(ticks + 0.5) : wholeNs(ticks);
}

const wholeNs = (ticks: number): Ticks =>
  Math.round(Math.round(ticks) / TICKS_PER_NS) * TICKS_PER_NS;

export const msFromNs = (ns: number): Milliseconds => ns / NS_PER_MS;
export const secondsFromNs = (ns: number): Seconds => ns / NS_PER_S;
export const nsFromMs = (ms: Milliseconds): DurationNs => Math.round(ms * NS_PER_MS);
export const nsFromSeconds = (s: Seconds): DurationNs => Math.round(s * NS_PER_S);
