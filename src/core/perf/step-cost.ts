/**
 * The cost of a step, from tables: `StepCost` for the engine.
 *
 * Everything that depends on the number of tokens alone is tabulated, four knots per octave, filled
 * when first met and interpolated linearly; the same for the number of sampled sequences. What is left
 * is a handful of products, so a call takes tens of nanoseconds, and the cost of pure decodes stays
 * affine in Σ context.
 *
 *   step = host + per-sequence · S + per-token · Σ context + max(GPU, L · dispatch where a step with prefill exceeds the graphs)
 *
 * With pipeline stages this is what a batch costs in all of them together; the engine lets batches follow
 * each other through the stages. With experts spread over data-parallel ranks, what they cost follows
 * from the tokens of all ranks.
 */

import type { StepCost, StepShape } from '../engine.js';
import { NS_PER_S, onClock, type Seconds, TICKS_PER_NS, type Ticks } from '../units.js';
import { type AttentionCost, attentionCost, decodeAttention, queriesOf } from './attention.js';
import { hostSecondsOf, tokensComputed } from './engine-profile.js';
import {
  type Deployment,
  dispatchSeconds,
  headOperators,
  layerOperators,
  ownOperators,
  stageOperators,
} from './layers.js';
import { LazyTable } from './lazy-table.js';
import { expertOperators } from './moe.js';
import type { Operator } from './operator.js';
import type { MeasuredAttention } from './table/measured-attention.js';

/** Parts of a step whose times come from elsewhere than the formulas: measured tables. */
export interface StepParts {
  /** All layers by a rank's own tokens, and the head by sequences, in seconds. */
  readonly layers: { at(tokens: number): Seconds };
  readonly head: { at(sequences: number): Seconds };
  /** Only without windows and recurrent layers. */
  readonly attention?: MeasuredAttention | undefined;
}

/** Ticks per token of Σ context. */
interface Slopes {
  readonly context: Ticks;
  readonly window: Ticks;
}

const onTheClock = ({ context, window }: Slopes): Slopes => ({
  context: onClock(context),
  window: onClock(window),
});

/** Of decodes without drafts. */
interface DecodeSlopes {
  readonly seconds: Pick<AttentionCost, 'context' | 'window'>;
  readonly ticks: Slopes;
}

function decodeSlopes(a: AttentionCost, sequences: number): DecodeSlopes {
  const seconds = decodeAttention(a, sequences, 1);
  return { seconds, ticks: onTheClock(seconds) };
}

export class AnalyticStepCost implements StepCost {
  readonly window: number;
  readonly emptyStep: Ticks = 0;
  readonly #layers: StepParts['layers'];
  readonly #head: StepParts['head'];
  readonly #measured: MeasuredAttention | undefined;
  /** Experts of all ranks in lock-step, and what is sent from stage to stage. */
  readonly #experts: LazyTable | undefined;
  readonly #sends: LazyTable | undefined;
  readonly #attention: AttentionCost;
  readonly #dispatch: Seconds;
  readonly #host: Seconds;
  readonly #hostContext: Ticks;
  readonly #split: DecodeSlopes;
  readonly #unsplit: DecodeSlopes;

  constructor(
    readonly deployment: Deployment,
    parts?: StepParts,
  ) {
    const { model, layout } = deployment;
    const { pp } = layout;
    const shared = sharesExperts(deployment);
    this.window = model.slidingWindow?.tokens ?? Number.POSITIVE_INFINITY;
    this.#layers =
      parts?.layers ??
      new LazyTable((m) =>
        total(shared ? ownOperators(deployment, m) : layerOperators(deployment, m)),
      );
    this.#experts = shared
      ? new LazyTable((m) => total(expertOperators(deployment, m)))
      : undefined;
    this.#head = parts?.head ?? new LazyTable((s) => total(headOperators(deployment, s)));
    this.#sends = pp > 1 ? new LazyTable((m) => total(stageOperators(deployment, m))) : undefined;
    this.#attention = attentionCost(deployment);
    this.#measured = parts?.attention;
    this.#dispatch = dispatchSeconds(deployment);
    this.#host = hostSecondsOf(deployment.engine, layout);
    this.#hostContext = onClock(deployment.engine.hostSecondsPerContextToken);
    this.#split = decodeSlopes(this.#attention, 0);
    this.#unsplit = decodeSlopes(this.#attention, Number.POSITIVE_INFINITY);
  }

  base(shape: StepShape): Ticks {
    const { engine, layout } = this.deployment;
    const { draftTokens = 0 } = shape;
    // A draft is verified like a token of its own: through every layer, and with logits.
    const tokens = tokensComputed(engine, shape);
    const host = this.#host + engine.hostSecondsPerSequence * shape.numSampled;
    const measured = this.#measured;
    let gpu =
      this.#layers.at(tokens) +
      this.#head.at(shape.numSampled + draftTokens) +
      (measured ? measured.prefillSeconds(shape) : this.#attentionBase(shape));
    if (this.#experts) {
      gpu += this.#experts.at(tokens + (shape.otherTokens ?? tokens * (layout.dp - 1)));
    }
    if (this.#sends) gpu += this.#sends.at(tokens);
    const ticks = onClock(host + gpu + this.#underDispatch(shape, tokens, gpu));
    return measured ? ticks + measured.decodeBase(shape) : ticks;
  }

  contextSlope(shape: StepShape): Ticks {
    const gpu = this.#measured?.contextSlope(shape) ?? this.#slopes(shape).context;
    return this.#hostContext + gpu;
  }

  windowSlope(shape: StepShape): Ticks {
    return this.#slopes(shape).window;
  }

  /** Of decodes with drafts the mean number of queries stands for all. */
  #slopes(shape: StepShape): Slopes {
    const a = this.#attention;
    if (shape.draftTokens)
      return onTheClock(decodeAttention(a, shape.numDecodes, queriesOf(shape)));
    return this.#decode(shape).ticks;
  }

  #decode({ numDecodes }: StepShape): DecodeSlopes {
    return numDecodes > this.#attention.unsplitAbove ? this.#unsplit : this.#split;
  }

  stepsAlike(shape: StepShape): number {
    return this.#measured ? this.#measured.stepsAlike(shape) : Number.POSITIVE_INFINITY;
  }

  /** The whole step, of formulas alone: what `stepSeconds` says, in one call. */
  seconds(shape: StepShape): Seconds {
    const { context, window } = this.#slopes(shape);
    return secondsOf(
      this.base(shape) +
        (this.#hostContext + context) * shape.decodeContext +
        window * shape.decodeWindowContext,
    );
  }

  #attentionBase(shape: StepShape): Seconds {
    const a = this.#attention;
    const decode = a.step + shape.numDecodes * a.sequence;
    if (shape.prefillTokens === 0) return decode;
    return (
      decode +
      shape.prefillTokens * a.token +
      shape.prefillPairs * a.pair +
      shape.prefillWindowPairs * a.windowPair +
      shape.prefillHistory * a.history
    );
  }

  /** How much longer the CPU takes to launch a step than the GPU to run it. A step with prefill is a run of its own, so its context may count. */
  #underDispatch(shape: StepShape, tokens: number, gpuBase: Seconds): Seconds {
    if (shape.prefillTokens === 0 || tokens <= this.deployment.engine.graphTokens) return 0;
    if (this.#measured) return Math.max(0, this.#dispatch - gpuBase);
    const { seconds } = this.#decode(shape);
    const context =
      shape.decodeContext * seconds.context + shape.decodeWindowContext * seconds.window;
    return Math.max(0, this.#dispatch - gpuBase - context);
  }
}

/** Whether experts are computed for the tokens of all data-parallel ranks together. */
export const sharesExperts = ({ model, layout }: Deployment): boolean =>
  model.moe !== undefined && layout.dp > 1;

export const total = (operators: readonly Operator[]): Seconds =>
  operators.reduce((sum, { count, seconds }) => sum + count * seconds, 0);

/** The whole step, as the engine will see it. */
export const stepSeconds = (cost: StepCost, shape: StepShape): Seconds =>
  secondsOf(
    cost.base(shape) +
      cost.contextSlope(shape) * shape.decodeContext +
      cost.windowSlope(shape) * shape.decodeWindowContext,
  );

const secondsOf = (ticks: Ticks): Seconds => ticks / (TICKS_PER_NS * NS_PER_S);
