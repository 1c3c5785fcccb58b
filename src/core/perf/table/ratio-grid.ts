/**
 * Measured points as a correction of a formula: the ratio measured / formula, linear between points.
 *
 * A time that is looked up is `ratio × formula`. At a measured point that is what was measured; between
 * points it bends as the formula does, so sparse tables do not cut corners; outside it is the formula
 * scaled to meet the table at its edge, because there the ratio stays what it was last.
 *
 * Points need not fill a box. They are a tree, one level per axis, and what is missing below a branch
 * is taken from that branch's own nearest points. Where they nearly fill one, `ratio-box.ts` has the ratio.
 */

import type { Seconds } from '../../units.js';
import { AxisValues } from '../axis-values.js';
import type { MeasuredPoint } from './perf-table.js';
import { type RatioBox, ratioBox } from './ratio-box.js';

/** The points that have the same values along the axes so far. */
interface Branch {
  /** Along the next axis. */
  readonly values: AxisValues;
  /** By value. Empty on the last level, which has the ratios instead. */
  readonly branches: readonly Branch[];
  readonly ratios: readonly number[];
}

export class RatioGrid {
  readonly #root: Branch;
  readonly #box: RatioBox | undefined;

  /** @param formula seconds at a point; above 0 */
  constructor(points: readonly MeasuredPoint[], formula: (at: readonly number[]) => Seconds) {
    const ratio = ({ at, seconds }: MeasuredPoint): number => seconds / formula(at);
    this.#root = new Tree(ratio).branch(points, 0);
    const axes = points[0]!.at.map((_, axis) => new AxisValues(points.map(({ at }) => at[axis]!)));
    this.#box = ratioBox(axes, points.length, (at) => ratioBelow(this.#root, at, 0));
  }

  ratio(at: Float64Array): number {
    return this.#box ? this.#box.ratio(at) : ratioBelow(this.#root, at, 0);
  }

  /** Whether all that is next to the point was measured. */
  covers(at: Float64Array): boolean {
    return isCovered(this.#root, at, 0);
  }

  /** Values of the last axis that are measured at, or next to, the point that `at` begins. */
  knots(at: readonly number[]): number[] {
    let level: readonly Branch[] = [this.#root];
    for (const x of at) level = level.flatMap((branch) => nextTo(branch, x));
    return [...new Set(level.flatMap(({ values }) => values.all()))].sort((a, b) => a - b);
  }
}

function ratioBelow({ values, branches, ratios }: Branch, at: Float64Array, axis: number): number {
  const x = at[axis]!;
  const i = values.below(x);
  const part = values.partOf(x, i);
  const isLast = axis === at.length - 1;
  const low = isLast ? ratios[i]! : ratioBelow(branches[i]!, at, axis + 1);
  if (part === 0) return low;
  const high = isLast ? ratios[i + 1]! : ratioBelow(branches[i + 1]!, at, axis + 1);
  return low + part * (high - low);
}

const isCovered = (branch: Branch, at: Float64Array, axis: number): boolean =>
  branch.values.covers(at[axis]!) &&
  nextTo(branch, at[axis]!).every((next) => isCovered(next, at, axis + 1));

/** The branches of the values next to `x`: none on the last level. */
function nextTo({ values, branches }: Branch, x: number): readonly Branch[] {
  const i = values.below(x);
  return branches.slice(i, values.partOf(x, i) === 0 ? i + 1 : i + 2);
}

/** Builds the branches; those of equal values share them. */
class Tree {
  readonly #known = new Map<string, AxisValues>();

  constructor(private readonly ratio: (point: MeasuredPoint) => number) {}

  branch(points: readonly MeasuredPoint[], axis: number): Branch {
    const groups = new Map<number, MeasuredPoint[]>();
    for (const point of points) {
      const group = groups.get(point.at[axis]!);
      if (group) group.push(point);
      else groups.set(point.at[axis]!, [point]);
    }
    const sorted = [...groups].sort(([a], [b]) => a - b);
    const values = this.#shared(sorted.map(([value]) => value));
    const isLast = axis === points[0]!.at.length - 1;
    return {
      values,
      branches: isLast ? [] : sorted.map(([, group]) => this.branch(group, axis + 1)),
      ratios: isLast ? sorted.map(([, [point]]) => this.ratio(point!)) : [],
    };
  }

  #shared(values: readonly number[]): AxisValues {
    const name = values.join(' ');
    const known = this.#known.get(name) ?? new AxisValues(values);
    this.#known.set(name, known);
    return known;
  }
}
