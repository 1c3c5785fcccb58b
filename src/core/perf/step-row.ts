/** One line of an explained step: an operator, or a time that is none. */

import type { Seconds } from '../units.js';
import type { Deployment } from './layers.js';
import { type Bound, ceilingSeconds, type Operator, type Source } from './operator.js';

export interface StepRow {
  readonly name: string;
  readonly count: number;
  /** Of the whole step, on one GPU. */
  readonly flop: number;
  readonly bytes: number;
  readonly linkBytes: number;
  readonly seconds: Seconds;
  readonly bound: Bound | 'host';
  /** Time at the data sheet's ceilings over time taken, in [0, 1]; 0 where there is no ceiling. */
  readonly efficiency: number;
  readonly constants: readonly string[];
  /** Absent: analytic. */
  readonly source?: Source;
}

/** An operator as often as a step runs it. */
export const operatorRow = (d: Deployment, op: Operator): StepRow => ({
  name: op.name,
  count: op.count,
  flop: op.count * op.flop,
  bytes: op.count * op.bytes,
  linkBytes: op.count * op.linkBytes,
  seconds: op.count * op.seconds,
  bound: op.bound,
  efficiency: ofCeiling(ceilingSeconds(d, op) / op.seconds),
  constants: op.constants,
  ...(op.source && { source: op.source }),
});

/** Activations that a cache holds are moved faster than memory could: no fraction of its ceiling. */
const ofCeiling = (fraction: number): number => (fraction > 1 + 1e-9 ? 0 : fraction);

/** A row of time that neither computes nor moves. */
export const plain = (
  name: string,
  count: number,
  seconds: Seconds,
  bound: StepRow['bound'],
  constants: readonly string[],
): StepRow => ({
  name,
  count,
  flop: 0,
  bytes: 0,
  linkBytes: 0,
  seconds,
  bound,
  efficiency: 0,
  constants,
});
