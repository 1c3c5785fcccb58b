/**
 * Measured points as a correction of a formula: the ratio measured / formula, linear between points.
 *
 * A time that is looked up is `ratio × formula`. At a measured point that is what was measured; between
 * points it bends as the formula does, so sparse tables do not cut corners; outside it is the formula
 * scaled to meet the table at its edge, because there the ratio stays what it was last.
 *
 * Points need not fill a box. They are a tree, one level per axis, and what is missing below a branch
 * is taken from that branch's own nearest points.
 */

import type { Seconds } from '../../units.js';
import type { MeasuredPoint } from './perf-table.js';

interface Branch {
  /** Branches of equal keys share one array, so that a look-up searches it once. */
  readonly keys: Float64Array;
  /** Empty on the last level, which has the ratios instead. */
  readonly branches: readonly Branch[];
  readonly ratios: Float64Array;
}

export class RatioGrid {
  /** Whether the last `ratio` was asked for a point outside of what was measured. */
  beyond = false;
  readonly #root: Branch;
  readonly #last: number;
  /** What was searched last on each axis, and where the value lies: at `#low`, and `#part` of the way to the next. */
  readonly #searched: Float64Array[];
  readonly #low: Int32Array;
  readonly #part: Float64Array;

  /** @param formula seconds at a point; above 0 */
  constructor(points: readonly MeasuredPoint[], formula: (at: readonly number[]) => Seconds) {
    const numAxes = points[0]!.at.length;
    this.#root = new Tree(formula, numAxes).branch(points, 0);
    this.#last = numAxes - 1;
    this.#searched = Array.from({ length: numAxes }, () => NOTHING);
    this.#low = new Int32Array(numAxes);
    this.#part = new Float64Array(numAxes);
  }

  ratio(at: Float64Array): number {
    this.beyond = false;
    for (let axis = 0; axis <= this.#last; axis++) this.#searched[axis] = NOTHING;
    return this.#walk(this.#root, at, 0);
  }

  /** Values of the last axis that are measured at, or next to, the point that `at` begins. */
  knots(at: readonly number[]): number[] {
    let level: readonly Branch[] = [this.#root];
    for (const x of at) {
      level = level.flatMap(({ keys, branches }) => {
        const i = Math.max(0, below(keys, x));
        const exact = keys[i]! >= x || i + 1 === keys.length;
        return exact ? [branches[i]!] : [branches[i]!, branches[i + 1]!];
      });
    }
    return [...new Set(level.flatMap(({ keys }) => [...keys]))].sort((a, b) => a - b);
  }

  #walk(branch: Branch, at: Float64Array, axis: number): number {
    if (branch.keys !== this.#searched[axis]) this.#search(branch.keys, at[axis]!, axis);
    const i = this.#low[axis]!;
    const part = this.#part[axis]!;
    if (axis === this.#last) {
      const low = branch.ratios[i]!;
      return part === 0 ? low : low + part * (branch.ratios[i + 1]! - low);
    }
    const low = this.#walk(branch.branches[i]!, at, axis + 1);
    return part === 0
      ? low
      : low + part * (this.#walk(branch.branches[i + 1]!, at, axis + 1) - low);
  }

  #search(keys: Float64Array, x: number, axis: number): void {
    const i = below(keys, x);
    const isEdge = i < 0 || i === keys.length - 1;
    if (i < 0 || (isEdge && keys[i] !== x)) this.beyond = true;
    this.#searched[axis] = keys;
    this.#low[axis] = Math.max(0, i);
    this.#part[axis] = isEdge ? 0 : (x - keys[i]!) / (keys[i + 1]! - keys[i]!);
  }
}

const NOTHING = new Float64Array(0);

/** Index of the last key at or below `x`; −1: there is none. */
export function below(keys: Float64Array, x: number): number {
  let low = -1;
  let high = keys.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (keys[middle]! <= x) low = middle;
    else high = middle;
  }
  return low;
}

/** Builds the branches, with one array for equal keys. */
class Tree {
  readonly #keys = new Map<string, Float64Array>();

  constructor(
    private readonly formula: (at: readonly number[]) => Seconds,
    private readonly numAxes: number,
  ) {}

  branch(points: readonly MeasuredPoint[], axis: number): Branch {
    const groups = new Map<number, MeasuredPoint[]>();
    for (const point of points) {
      const group = groups.get(point.at[axis]!);
      if (group) group.push(point);
      else groups.set(point.at[axis]!, [point]);
    }
    const sorted = [...groups].sort(([a], [b]) => a - b);
    const keys = this.#shared(sorted.map(([key]) => key));
    if (axis < this.numAxes - 1) {
      const branches = sorted.map(([, group]) => this.branch(group, axis + 1));
      return { keys, branches, ratios: NOTHING };
    }
    const ratio = ({ at, seconds }: MeasuredPoint) => seconds / this.formula(at);
    return {
      keys,
      branches: [],
      ratios: Float64Array.from(sorted, ([, [point]]) => ratio(point!)),
    };
  }

  #shared(keys: readonly number[]): Float64Array {
    const name = keys.join(' ');
    const known = this.#keys.get(name);
    if (known) return known;
    const made = Float64Array.from(keys);
    this.#keys.set(name, made);
    return made;
  }
}
