/**
 * Attention of a step from a table, over (prompt tokens, decodes, history, mean context).
 *
 * Prefill and decodes are one measurement where the profiler ran them together. A step with prefill is
 * a run of its own, so its time may be anything; pure decodes are piecewise affine in Σ context.
 * Several prompts in one step are looked up as one of their length and scaled by what the formula says
 * of the difference: two prompts of 512 have half the pairs of one of 1,024. Where the profiler ran
 * prefill and decodes apart, a step with both takes the time of both and one launch.
 */

import type { StepShape } from '../../engine.js';
import { numAttentionLayers } from '../../model/model-shape.js';
import { pairsOf } from '../../step-shape.js';
import { onClock, type Seconds, type Ticks } from '../../units.js';
import { type AttentionCost, attentionCost, decodeAttention, queriesOf } from '../attention.js';
import type { Deployment } from '../layers.js';
import { DecodeProfiles } from './decode-profiles.js';
import type { MeasuredPoint } from './perf-table.js';
import { RatioGrid } from './ratio-grid.js';

/** A step as a table's axes see it: prompt tokens, decodes, history, mean context. Filled again and again. */
export type BatchPoint = Float64Array;

export const batchPoint = (at: readonly number[] = [0, 0, 0, 0]): BatchPoint =>
  Float64Array.from(at);

export function fillBatchPoint(point: BatchPoint, shape: StepShape): BatchPoint {
  point[0] = shape.prefillTokens;
  point[1] = shape.numDecodes;
  point[2] = shape.prefillHistory;
  point[3] = shape.numDecodes > 0 ? shape.decodeContext / shape.numDecodes : 0;
  return point;
}

export class MeasuredAttention {
  readonly #cost: AttentionCost;
  readonly #floor: AttentionFloor;
  /** Of steps with prefill, and of pure decodes. */
  readonly #prefills: RatioGrid;
  readonly #alone: RatioGrid;
  readonly #decodes: DecodeProfiles;
  readonly #point = batchPoint();
  /** Whether steps with both prefill and decodes were measured. */
  readonly #mixed: boolean;

  constructor(d: Deployment, points: readonly MeasuredPoint[]) {
    const layers = numAttentionLayers(d.model);
    this.#cost = attentionCost(d);
    this.#mixed = points.some(({ at }) => at[0]! > 0 && at[1]! > 0);
    this.#floor = new AttentionFloor(d);
    const formula = (at: readonly number[]) => attentionSeconds(this.#cost, at) / layers;
    const [prefills, alone] = [points.filter(isPrefill), points.filter((p) => !isPrefill(p))];
    this.#prefills = new RatioGrid(prefills.length > 0 ? prefills : points, formula);
    this.#alone = new RatioGrid(alone.length > 0 ? alone : points, formula);
    this.#decodes = new DecodeProfiles({
      seconds: (n, context) => this.secondsAt([0, n, 0, context]),
      knots: (n) => this.#alone.knots([0, n, 0]),
      floor: (n, context) => this.#floor.at(n * context, 0, 0),
    });
  }

  /** Of all layers; 0 for pure decodes, whose time `decodeBase` and `contextSlope` have. */
  prefillSeconds(shape: StepShape): Seconds {
    return shape.prefillTokens === 0 ? 0 : this.seconds(shape);
  }

  /** With drafts a run is one step long: its context is counted here. */
  decodeBase(shape: StepShape): Ticks {
    if (shape.prefillTokens > 0) return 0;
    if (shape.draftTokens) return onClock(this.seconds(shape));
    return this.#decodes.base(shape.numDecodes, shape.decodeContext);
  }

  contextSlope(shape: StepShape): Ticks {
    return isOneStep(shape) ? 0 : this.#decodes.slope(shape.numDecodes, shape.decodeContext);
  }

  stepsAlike(shape: StepShape): number {
    return isOneStep(shape) ? 1 : this.#decodes.stepsAlike(shape.numDecodes, shape.decodeContext);
  }

  seconds(shape: StepShape): Seconds {
    const c = this.#cost;
    const perContext = decodeAttention(c, shape.numDecodes, queriesOf(shape)).context;
    const decodes = shape.numDecodes * c.sequence + shape.decodeContext * perContext;
    const prefill =
      c.step +
      shape.prefillTokens * c.token +
      shape.prefillPairs * c.pair +
      shape.prefillHistory * c.history;
    const floor = this.#floor.at(shape.decodeContext, shape.prefillPairs, shape.prefillHistory);
    const at = fillBatchPoint(this.#point, shape);
    if (this.#isMeasuredAtOnce(at)) {
      return Math.max(floor, this.#gridOf(at).ratio(at) * (prefill + decodes));
    }
    // One after the other, with one launch.
    const [tokens, history] = [at[0]!, at[2]!];
    at[0] = 0;
    at[2] = 0;
    const alone = this.#alone.ratio(at) * (c.step + decodes);
    at[0] = tokens;
    at[1] = 0;
    at[2] = history;
    at[3] = 0;
    const both = this.#prefills.ratio(at) * prefill + alone;
    return Math.max(floor, both - c.step);
  }

  secondsAt(at: readonly number[]): Seconds {
    const point = batchPoint(at);
    const ratio = this.#gridOf(point).ratio(point);
    return Math.max(this.floorAt(at), ratio * attentionSeconds(this.#cost, at));
  }

  /** Whether the step lies within what was measured. */
  covers(shape: StepShape): boolean {
    const [prefill, decodes, history, context] = fillBatchPoint(this.#point, shape);
    const parts = this.#isMeasuredAtOnce(this.#point)
      ? [[prefill!, decodes!, history!, context!]]
      : [
          [0, decodes!, 0, context!],
          [prefill!, 0, history!, 0],
        ];
    return parts.map(batchPoint).every((at) => this.#gridOf(at).covers(at));
  }

  #gridOf(at: BatchPoint): RatioGrid {
    return at[0] === 0 ? this.#alone : this.#prefills;
  }

  /** Not one after the other: the profiler ran both together, or the step has but one of them. */
  #isMeasuredAtOnce(at: BatchPoint): boolean {
    return this.#mixed || at[0] === 0 || at[1] === 0;
  }

  floorAt([prefill = 0, decodes = 0, history = 0, context = 0]: readonly number[]): Seconds {
    return this.#floor.at(decodes * context, pairsOf(prefill, history), history);
  }
}

/** Whether a run of it is one step long, so that its price may be anything. */
export const isOneStep = (shape: StepShape): boolean =>
  shape.prefillTokens > 0 || (shape.draftTokens ?? 0) > 0;

const isPrefill = ({ at }: MeasuredPoint): boolean => at[0]! > 0;

/** What the analytic model says of a point, for all layers. */
export function attentionSeconds(
  c: AttentionCost,
  [prefill = 0, decodes = 0, history = 0, context = 0]: readonly number[],
): Seconds {
  return (
    c.step +
    decodes * (c.sequence + context * decodeAttention(c, decodes, 1).context) +
    prefill * c.token +
    pairsOf(prefill, history) * c.pair +
    (prefill > 0 ? history * c.history : 0)
  );
}

/** What attention takes at the ceilings of the data sheet: each cached key and value read once, each pair computed. */
export class AttentionFloor {
  readonly #byteSeconds: Seconds;
  readonly #decodeSeconds: Seconds;
  readonly #pairSeconds: Seconds;

  constructor(d: Deployment) {
    const { work } = attentionCost(d);
    const { peak } = d.precision.plain;
    this.#byteSeconds = work.kvBytesPerToken / d.gpu.memoryBytesPerS;
    this.#decodeSeconds = (numAttentionLayers(d.model) * work.decodeFlopPerToken) / peak;
    this.#pairSeconds = work.flopPerPair / peak;
  }

  at(sumContext: number, pairs: number, history: number): Seconds {
    const memory = (sumContext + history) * this.#byteSeconds;
    const compute = sumContext * this.#decodeSeconds + pairs * this.#pairSeconds;
    return Math.max(memory, compute);
  }
}
