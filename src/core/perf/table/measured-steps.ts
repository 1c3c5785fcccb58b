/**
 * Whole steps from a table: the GPU, the host and everything between them in one number, as a server's
 * own step log has it. The formula that is scaled to it is the whole analytic step.
 */

import type { StepCost, StepShape } from '../../engine.js';
import { pairsOf, shapeOfBatch } from '../../step-shape.js';
import type { Seconds, Ticks } from '../../units.js';
import { onClock } from '../../units.js';
import { type Deployment, headOperators, layerOperators } from '../layers.js';
import { LazyTable } from '../lazy-table.js';
import type { Operator } from '../operator.js';
import { AnalyticStepCost } from '../step-cost.js';
import { DecodeProfiles } from './decode-profiles.js';
import { AttentionFloor, batchPoint, fillBatchPoint, isOneStep } from './measured-attention.js';
import { floorSeconds } from './measured-operators.js';
import type { MeasuredPoint } from './perf-table.js';
import { RatioGrid } from './ratio-grid.js';

export class MeasuredSteps implements StepCost {
  readonly window = Number.POSITIVE_INFINITY;
  readonly emptyStep: Ticks = 0;
  readonly #analytic: AnalyticStepCost;
  readonly #grid: RatioGrid;
  readonly #decodes: DecodeProfiles;
  readonly #attention: AttentionFloor;
  readonly #layers: LazyTable;
  readonly #head: LazyTable;
  readonly #point = batchPoint();

  constructor(d: Deployment, points: readonly MeasuredPoint[]) {
    this.#analytic = new AnalyticStepCost(d);
    this.#attention = new AttentionFloor(d);
    this.#layers = new LazyTable((m) => floorOf(d, layerOperators(d, m)));
    this.#head = new LazyTable((s) => floorOf(d, headOperators(d, s)));
    this.#grid = new RatioGrid(points, (at) => this.formulaAt(at));
    this.#decodes = new DecodeProfiles({
      seconds: (n, context) => this.secondsAt([0, n, 0, context]),
      knots: (n) => this.#grid.knots([0, n, 0]),
      floor: (n, context) => this.floorAt([0, n, 0, context]),
    });
  }

  base(shape: StepShape): Ticks {
    if (isOneStep(shape)) return onClock(this.seconds(shape));
    return this.#decodes.base(shape.numDecodes, shape.decodeContext);
  }

  contextSlope(shape: StepShape): Ticks {
    return isOneStep(shape) ? 0 : this.#decodes.slope(shape.numDecodes, shape.decodeContext);
  }

  windowSlope(): Ticks {
    return 0;
  }

  stepsAlike(shape: StepShape): number {
    return isOneStep(shape) ? 1 : this.#decodes.stepsAlike(shape.numDecodes, shape.decodeContext);
  }

  /** Whether the step lies within what was measured. */
  covers(shape: StepShape): boolean {
    return this.#grid.covers(fillBatchPoint(this.#point, shape));
  }

  /** Verifying drafts, which no table has, adds what the formula says. */
  seconds(shape: StepShape): Seconds {
    const ratio = this.#grid.ratio(fillBatchPoint(this.#point, shape));
    const drafts = shape.draftTokens ?? 0;
    const floor =
      this.#layers.at(shape.prefillTokens + shape.numDecodes + drafts) +
      this.#head.at(shape.numSampled + drafts) +
      this.#attention.at(shape.decodeContext, shape.prefillPairs, shape.prefillHistory);
    const whole = this.#analytic.seconds(shape);
    if (drafts === 0) return Math.max(floor, ratio * whole);
    const plain = this.#analytic.seconds({ ...shape, draftTokens: 0 });
    return Math.max(floor, ratio * plain + (whole - plain));
  }

  secondsAt(at: readonly number[]): Seconds {
    return Math.max(this.floorAt(at), this.#grid.ratio(batchPoint(at)) * this.formulaAt(at));
  }

  floorAt([prefill = 0, decodes = 0, history = 0, context = 0]: readonly number[]): Seconds {
    return (
      this.#layers.at(prefill + decodes) +
      this.#head.at(decodes + (prefill > 0 ? 1 : 0)) +
      this.#attention.at(decodes * context, pairsOf(prefill, history), history)
    );
  }

  /** What the analytic model says. */
  formulaAt(at: readonly number[]): Seconds {
    return this.#analytic.seconds(shapeAt(at));
  }
}

/** The step that a row of a table describes: one prompt, and decodes of one context. */
export const shapeAt = ([
  prefill = 0,
  decodes = 0,
  history = 0,
  context = 0,
]: readonly number[]): StepShape =>
  shapeOfBatch(
    [
      { numPrefills: prefill > 0 ? 1 : 0, chunk: prefill, history },
      { numDecodes: decodes, context },
    ],
    Infinity,
  );

/** What no fusion of kernels saves. */
const floorOf = (d: Deployment, operators: readonly Operator[]): Seconds =>
  operators.reduce((sum, op) => sum + op.count * floorSeconds(d, op), 0);
