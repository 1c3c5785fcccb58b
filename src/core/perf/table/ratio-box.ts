/**
 * The points of a batch's four axes as a box: the short way to a ratio, a line of loads and products.
 *
 * Every combination of values has a place. Those that were not measured hold what the tree of points
 * (`ratio-grid.ts`) says of them. The tree is linear from value to value, one axis after the other, and a
 * line drawn through one more of its points is the same line, so the box says what the tree says: to the
 * last bit where all around was measured. Beyond the last value of an axis comes a place that is none of
 * its own; nothing is taken of it, because no number makes any way towards infinity (`axis-values.ts`).
 */

import type { AxisValues } from '../axis-values.js';

const NUM_AXES = 4;
/** Places in all, and per point, above which a box is mostly holes: steps that a server logged, say. */
const MOST_PLACES = 2 ** 20;
const MOST_PLACES_PER_POINT = 16;

export interface RatioBox {
  ratio(at: Float64Array): number;
}

/**
 * @param numPoints that were measured
 * @param ratio of a combination of the axes' values
 * @returns `undefined` for other axes than a batch's, or too few points for so many combinations.
 */
export function ratioBox(
  axes: readonly AxisValues[],
  numPoints: number,
  ratio: (at: Float64Array) => number,
): RatioBox | undefined {
  if (axes.length !== NUM_AXES) return undefined;
  const numPlaces = axes.reduce((product, { count }) => product * count, 1);
  if (numPlaces > Math.min(MOST_PLACES, MOST_PLACES_PER_POINT * numPoints)) return undefined;
  const sides = sidesOf(axes);
  const numBeyond = sides.reduce((sum, { stride }) => sum + stride, 0);
  const ratios = new Float64Array(numPlaces + numBeyond);
  for (let place = 0; place < numPlaces; place++) ratios[place] = ratio(pointAt(sides, place));
  const long = sides.filter(({ values }) => values.count > 1);
  if (long.length > 2) return new Box(sides, ratios);
  const short = sides.filter(({ values }) => values.count === 1);
  const [b, a] = [...short, ...long].reverse();
  return new Plane(a!, b!, ratios);
}

interface Side {
  /** Which axis of a point it is. */
  readonly axis: number;
  readonly values: AxisValues;
  /** Places from one value to the next. */
  readonly stride: number;
}
type Sides = readonly [Side, Side, Side, Side];

/** In the order of the axes; along the last one places follow each other. */
function sidesOf(axes: readonly AxisValues[]): Sides {
  let stride = 1;
  const sides = [...axes.entries()].reverse().map(([axis, values]): Side => {
    const side = { axis, values, stride };
    stride *= values.count;
    return side;
  });
  return sides.reverse() as unknown as Sides;
}

const pointAt = (sides: Sides, place: number): Float64Array =>
  Float64Array.from(sides, ({ values, stride }) =>
    values.at(Math.floor(place / stride) % values.count),
  );

/** Two axes: decodes alone by number and context, prompts alone by length and history. */
class Plane implements RatioBox {
  constructor(
    private readonly a: Side,
    private readonly b: Side,
    private readonly ratios: Float64Array,
  ) {}

  ratio(at: Float64Array): number {
    const { axis: axisA, values: valuesA, stride: strideA } = this.a;
    const { axis: axisB, values: valuesB, stride: strideB } = this.b;
    const ia = valuesA.below(at[axisA]!);
    const ib = valuesB.below(at[axisB]!);
    const a = valuesA.partOf(at[axisA]!, ia);
    const b = valuesB.partOf(at[axisB]!, ib);
    const r = this.ratios;
    const near = Math.imul(ia, strideA) + Math.imul(ib, strideB);
    const far = near + strideA;
    return lerp(lerp(r[near]!, r[near + strideB]!, b), lerp(r[far]!, r[far + strideB]!, b), a);
  }
}

/** Four axes. Written out, because this is as much as V8 makes one function of: one more helper, and it costs a quarter more. */
class Box implements RatioBox {
  readonly #prefill: AxisValues;
  readonly #decodes: AxisValues;
  readonly #history: AxisValues;
  readonly #context: AxisValues;
  readonly #perPrefill: number;
  readonly #perDecodes: number;
  readonly #perHistory: number;

  constructor(
    [prefill, decodes, history, context]: Sides,
    private readonly ratios: Float64Array,
  ) {
    this.#prefill = prefill.values;
    this.#decodes = decodes.values;
    this.#history = history.values;
    this.#context = context.values;
    this.#perPrefill = prefill.stride;
    this.#perDecodes = decodes.stride;
    this.#perHistory = history.stride;
  }

  ratio(at: Float64Array): number {
    const ip = this.#prefill.below(at[0]!);
    const id = this.#decodes.below(at[1]!);
    const ih = this.#history.below(at[2]!);
    const ic = this.#context.below(at[3]!);
    const p = this.#prefill.partOf(at[0]!, ip);
    const d = this.#decodes.partOf(at[1]!, id);
    const h = this.#history.partOf(at[2]!, ih);
    const c = this.#context.partOf(at[3]!, ic);
    const dh = this.#perHistory;
    const i0 =
      Math.imul(ip, this.#perPrefill) + Math.imul(id, this.#perDecodes) + Math.imul(ih, dh) + ic;
    const i1 = i0 + this.#perDecodes;
    const i2 = i0 + this.#perPrefill;
    const i3 = i1 + this.#perPrefill;
    const r = this.ratios;
    // Of each pair of prefill and decodes: along the context, then the history.
    const r0 = lerp(lerp(r[i0]!, r[i0 + 1]!, c), lerp(r[i0 + dh]!, r[i0 + dh + 1]!, c), h);
    const r1 = lerp(lerp(r[i1]!, r[i1 + 1]!, c), lerp(r[i1 + dh]!, r[i1 + dh + 1]!, c), h);
    const r2 = lerp(lerp(r[i2]!, r[i2 + 1]!, c), lerp(r[i2 + dh]!, r[i2 + dh + 1]!, c), h);
    const r3 = lerp(lerp(r[i3]!, r[i3 + 1]!, c), lerp(r[i3 + dh]!, r[i3 + dh + 1]!, c), h);
    return lerp(lerp(r0, r1, d), lerp(r2, r3, d), p);
  }
}

const lerp = (low: number, high: number, part: number): number => low + part * (high - low);
