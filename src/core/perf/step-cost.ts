/**
 * The cost of a step, from tables: `StepCost` for the engine.
 *
 * Everything that depends on the number of tokens alone is tabulated, four knots per octave, filled
 * when first met and interpolated linearly; the same for the number of sampled sequences. What is left
 * is a handful of products, so a call takes tens of nanoseconds, and the cost of pure decodes stays
 * affine in Σ context.
 *
 *   step = host + per-sequence · S + max(GPU, L · dispatch where a step with prefill exceeds the graphs)
 *
 * With pipeline stages the running sequences take turns as micro-batches: a step stands for one round
 * of all of them, every stage busy with one.
 */

import type { StepCost, StepShape } from '../engine.js';
import { NS_PER_S, onClock, type Seconds, TICKS_PER_NS, type Ticks } from '../units.js';
import { type AttentionCost, attentionCost } from './attention.js';
import { send } from './collectives.js';
import { type Deployment, headOperators, layerOperators } from './layers.js';
import { LazyTable } from './lazy-table.js';
import type { Operator } from './operator.js';

export class AnalyticStepCost implements StepCost {
  readonly window: number;
  readonly emptyStep: Ticks = 0;
  readonly #layers: LazyTable;
  readonly #head: LazyTable;
  readonly #sends: LazyTable | undefined;
  readonly #attention: AttentionCost;
  readonly #dispatch: Seconds;
  readonly #contextTicks: readonly Ticks[];
  readonly #windowTicks: readonly Ticks[];

  constructor(readonly deployment: Deployment) {
    const { model, layout, engine } = deployment;
    const { pp } = layout;
    this.window = model.slidingWindow?.tokens ?? Number.POSITIVE_INFINITY;
    this.#layers = new LazyTable((m) => total(layerOperators(deployment, m)));
    this.#head = new LazyTable((s) => total(headOperators(deployment, s)));
    this.#sends =
      pp > 1
        ? new LazyTable((m) => send(deployment, '', 1, m * model.hiddenSize * 2).seconds * (pp - 1))
        : undefined;
    this.#attention = attentionCost(deployment);
    this.#dispatch =
      model.numLayers * engine.dispatchSecondsPerLayer * deployment.efficiency.dispatchFactor;
    const microBatches = Array.from({ length: pp + 1 }, (_, i) => Math.max(1, i));
    this.#contextTicks = microBatches.map((n) => onClock(this.#attention.context / n));
    this.#windowTicks = microBatches.map((n) => onClock(this.#attention.window / n));
  }

  base(shape: StepShape): Ticks {
    const { engine, layout } = this.deployment;
    const { numDecodes, prefillTokens, draftTokens = 0 } = shape;
    // A draft is verified like a token of its own: through every layer, and with logits.
    const numSampled = shape.numSampled + draftTokens;
    const host = engine.hostSecondsPerStep + engine.hostSecondsPerSequence * shape.numSampled;
    if (layout.pp === 1) {
      const attention = this.#attentionBase(shape, 1, 1);
      const gpu =
        this.#layers.at(numDecodes + prefillTokens + draftTokens) +
        this.#head.at(numSampled) +
        attention;
      return onClock(host + gpu + this.#underDispatch(shape, gpu));
    }
    const turns = this.#turns(numDecodes);
    const prefillTurns = Math.max(1, Math.min(layout.pp, shape.numPrefills));
    const tokens = (numDecodes + draftTokens) / turns + prefillTokens / prefillTurns;
    const inFlight = Math.max(turns, prefillTurns);
    const gpu =
      this.#layers.at(tokens) +
      inFlight * this.#head.at(numSampled / inFlight) +
      this.#attentionBase(shape, turns, prefillTurns) +
      this.#sends!.at(tokens);
    return onClock(host + gpu + this.#underDispatch(shape, gpu));
  }

  contextSlope(shape: StepShape): Ticks {
    return this.#contextTicks[this.#turns(shape.numDecodes)]!;
  }

  windowSlope(shape: StepShape): Ticks {
    return this.#windowTicks[this.#turns(shape.numDecodes)]!;
  }

  /** Micro-batches the decodes are split into: at most one per stage. */
  #turns(numDecodes: number): number {
    const { pp } = this.deployment.layout;
    return pp === 1 ? 1 : Math.max(1, Math.min(pp, numDecodes));
  }

  #attentionBase(shape: StepShape, turns: number, prefillTurns: number): Seconds {
    const a = this.#attention;
    const decode = a.step + (shape.numDecodes * a.sequence) / turns;
    if (shape.prefillTokens === 0) return decode;
    const prefill =
      shape.prefillTokens * a.token +
      shape.prefillPairs * a.pair +
      shape.prefillWindowPairs * a.windowPair +
      shape.prefillHistory * a.history;
    return decode + prefill / prefillTurns;
  }

  /** How much longer the CPU takes to launch a step than the GPU to run it. A step with prefill is a run of its own, so its context may count. */
  #underDispatch(shape: StepShape, gpuBase: Seconds): Seconds {
    if (shape.prefillTokens === 0) return 0;
    const tokens = shape.prefillTokens + shape.numDecodes + (shape.draftTokens ?? 0);
    if (tokens <= this.deployment.engine.graphTokens) return 0;
    const turns = this.#turns(shape.numDecodes);
    const context =
      shape.decodeContext * this.#attention.context +
      shape.decodeWindowContext * this.#attention.window;
    return Math.max(0, this.#dispatch - gpuBase - context / turns);
  }
}

export const total = (operators: readonly Operator[]): Seconds =>
  operators.reduce((sum, { count, seconds }) => sum + count * seconds, 0);

/** The whole step, as the engine will see it. */
export const stepSeconds = (cost: StepCost, shape: StepShape): Seconds =>
  (cost.base(shape) +
    cost.contextSlope(shape) * shape.decodeContext +
    cost.windowSlope(shape) * shape.decodeWindowContext) /
  (TICKS_PER_NS * NS_PER_S);
