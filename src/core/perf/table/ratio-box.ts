/**
 * The points of a batch's four axes as a box: the short way to a ratio, where all around it was measured.
 *
 * Every combination of values has a place, and those that were not measured hold NaN. A look-up is a
 * line of loads and products. If one of the corners is missing the result is NaN, because nothing that
 * NaN takes part in is a number, and the caller looks closer (`ratio-grid.ts`). So a number is what the
 * tree of points says, to the last bit: with all corners there, each of its branches has these neighbours.
 */

import { AxisValues } from './axis-values.js';
import type { MeasuredPoint } from './perf-table.js';

const NUM_AXES = 4;
/** Places in all, and per point, above which a box is mostly holes: steps that a server logged, say. */
const MOST_PLACES = 2 ** 20;
const MOST_PLACES_PER_POINT = 16;

export interface RatioBox {
  /** @returns NaN where a point next to `at` was not measured. */
  ratio(at: Float64Array): number;
}

/** @returns `undefined` for points along other axes, or too few of the combinations. */
export function ratioBox(
  points: readonly MeasuredPoint[],
  ratio: (point: MeasuredPoint) => number,
): RatioBox | undefined {
  if (points[0]!.at.length !== NUM_AXES) return undefined;
  const axes = points[0]!.at.map((_, axis) => new AxisValues(points.map(({ at }) => at[axis]!)));
  const numPlaces = axes.reduce((product, { count }) => product * count, 1);
  if (numPlaces > Math.min(MOST_PLACES, MOST_PLACES_PER_POINT * points.length)) return undefined;
  const sides = sidesOf(axes);
  const ratios = new Float64Array(numPlaces).fill(Number.NaN);
  for (const point of points) {
    const place = sides.reduce(
      (sum, { axis, values, stride }) => sum + values.below(point.at[axis]!) * stride,
      0,
    );
    // Of points that repeat the first counts.
    if (Number.isNaN(ratios[place])) ratios[place] = ratio(point);
  }
  const isPlane = sides[1].values.count === 1;
  return isPlane ? new Plane(sides[2], sides[3], ratios) : new Box(sides, ratios);
}

interface Side {
  /** Which axis of a point it is. */
  readonly axis: number;
  readonly values: AxisValues;
  /** Places from one value to the next. */
  readonly stride: number;
}
type Sides = readonly [Side, Side, Side, Side];

/** In the order of the axes, but those with one value first: they never matter. The last has stride 1. */
function sidesOf(axes: readonly AxisValues[]): Sides {
  const all = [...axes.keys()];
  const order = [
    ...all.filter((axis) => axes[axis]!.count === 1),
    ...all.filter((axis) => axes[axis]!.count > 1),
  ];
  let stride = 1;
  const sides = order.reverse().map((axis) => {
    const side = { axis, values: axes[axis]!, stride };
    stride *= side.values.count;
    return side;
  });
  return sides.reverse() as unknown as Sides;
}

/** Two axes: decodes alone by number and context, prompts alone by length and history. */
class Plane implements RatioBox {
  constructor(
    private readonly a: Side,
    private readonly b: Side,
    private readonly ratios: Float64Array,
  ) {}

  ratio(at: Float64Array): number {
    const { axis: axisA, values: valuesA, stride: strideA } = this.a;
    const { axis: axisB, values: valuesB } = this.b;
    const ia = valuesA.below(at[axisA]!);
    const ib = valuesB.below(at[axisB]!);
    const a = valuesA.partOf(at[axisA]!, ia);
    const b = valuesB.partOf(at[axisB]!, ib);
    const place = Math.imul(ia, strideA) + ib;
    return face(this.ratios, place, a > 0 ? strideA : 0, a, b > 0 ? 1 : 0, b);
  }
}

class Box implements RatioBox {
  constructor(
    private readonly sides: Sides,
    private readonly ratios: Float64Array,
  ) {}

  ratio(at: Float64Array): number {
    const r = this.ratios;
    const { axis: axisA, values: valuesA, stride: strideA } = this.sides[0];
    const { axis: axisB, values: valuesB, stride: strideB } = this.sides[1];
    const { axis: axisC, values: valuesC, stride: strideC } = this.sides[2];
    const { axis: axisD, values: valuesD } = this.sides[3];
    const ia = valuesA.below(at[axisA]!);
    const ib = valuesB.below(at[axisB]!);
    const ic = valuesC.below(at[axisC]!);
    const id = valuesD.below(at[axisD]!);
    const a = valuesA.partOf(at[axisA]!, ia);
    const b = valuesB.partOf(at[axisB]!, ib);
    const c = valuesC.partOf(at[axisC]!, ic);
    const d = valuesD.partOf(at[axisD]!, id);
    // Steps to the upper neighbours, where there are any.
    const db = b > 0 ? strideB : 0;
    const dc = c > 0 ? strideC : 0;
    const dd = d > 0 ? 1 : 0;
    const near = Math.imul(ia, strideA) + Math.imul(ib, strideB) + Math.imul(ic, strideC) + id;
    const far = a > 0 ? near + strideA : near;
    const near0 = face(r, near, dc, c, dd, d);
    const near1 = face(r, near + db, dc, c, dd, d);
    const far0 = face(r, far, dc, c, dd, d);
    const far1 = face(r, far + db, dc, c, dd, d);
    const low = near0 + b * (near1 - near0);
    const high = far0 + b * (far1 - far0);
    return low + a * (high - low);
  }
}

/** Between four corners: from `place` on, a step and a part along each of two axes, the second one first. */
function face(
  ratios: Float64Array,
  place: number,
  da: number,
  a: number,
  db: number,
  b: number,
): number {
  const near = ratios[place]!;
  const far = ratios[place + da]!;
  const low = near + b * (ratios[place + db]! - near);
  const high = far + b * (ratios[place + da + db]! - far);
  return low + a * (high - low);
}
