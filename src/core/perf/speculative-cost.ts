/**
 * The cost of a step with speculation: verifying, as any step, and proposing what the next one verifies.
 *
 *   step = verify(shape) + propose(shape)
 *
 * Whatever prices the verification (formulas, tables, a calibration), proposals are added to it. Both
 * are affine in Σ context, and so is their sum.
 */

import type { StepCost, StepShape } from '../engine.js';
import { onClock, type Seconds, type Ticks } from '../units.js';
import { type AttentionCost, attentionCost, decodeAttention, queriesOf } from './attention.js';
import {
  type Drafter,
  type Drafting,
  draftHeadOperators,
  NGRAM_SECONDS_PER_SEQUENCE,
  NGRAM_SECONDS_PER_TOKEN,
  passOperators,
} from './drafting.js';
import { LazyTable } from './lazy-table.js';
import { total } from './step-cost.js';

/** What proposing costs, by what a step contains. */
export interface ProposalCost {
  base(shape: StepShape): Seconds;
  /** Per token of Σ context, and of Σ min(context, window). */
  contextSlope(shape: StepShape): Seconds;
  windowSlope(shape: StepShape): Seconds;
}

export class SpeculativeStepCost implements StepCost {
  readonly window: number;
  readonly emptyStep: Ticks;
  readonly #proposal: ProposalCost;

  constructor(
    private readonly verification: StepCost,
    drafting: Drafting,
  ) {
    this.window = verification.window;
    this.emptyStep = verification.emptyStep;
    this.#proposal = proposalCost(drafting, verification.window);
  }

  base(shape: StepShape): Ticks {
    return this.verification.base(shape) + onClock(this.#proposal.base(shape));
  }

  contextSlope(shape: StepShape): Ticks {
    return this.verification.contextSlope(shape) + onClock(this.#proposal.contextSlope(shape));
  }

  stepsAlike(shape: StepShape): number {
    return this.verification.stepsAlike?.(shape) ?? Number.POSITIVE_INFINITY;
  }

  windowSlope(shape: StepShape): Ticks {
    return this.verification.windowSlope(shape) + onClock(this.#proposal.windowSlope(shape));
  }
}

/** @param window the one that `decodeWindowContext` of the shapes is of */
export const proposalCost = ({ drafter, numDrafts }: Drafting, window: number): ProposalCost =>
  drafter ? new PassesCost(drafter, numDrafts, window) : new LookUpCost();

/** Sequences that are drafted for: all of the step, those in the middle of a prompt included, as in vLLM. */
export const numDrafted = ({ numDecodes, numPrefills }: StepShape): number =>
  numDecodes + numPrefills;

/** `ngram`: work of the CPU. */
export class LookUpCost implements ProposalCost {
  base(shape: StepShape): Seconds {
    const prompts = shape.prefillTokens + shape.prefillHistory;
    return numDrafted(shape) * NGRAM_SECONDS_PER_SEQUENCE + prompts * NGRAM_SECONDS_PER_TOKEN;
  }

  contextSlope(): Seconds {
    return NGRAM_SECONDS_PER_TOKEN;
  }

  windowSlope(): Seconds {
    return 0;
  }
}

/** k passes over the GPU. */
export class PassesCost implements ProposalCost {
  readonly #layers: LazyTable;
  readonly #head: LazyTable;
  readonly #attention: AttentionCost;
  /** Whether windowed layers look back as far as `decodeWindowContext` counts; else they count as without. */
  readonly #sameWindow: boolean;

  constructor(
    private readonly drafter: Drafter,
    private readonly numPasses: number,
    window: number,
  ) {
    const { deployment } = drafter;
    this.#layers = new LazyTable((tokens) => total(passOperators(drafter, tokens)));
    this.#head = new LazyTable((sequences) => total(draftHeadOperators(drafter, sequences)));
    this.#attention = attentionCost(deployment);
    this.#sameWindow = deployment.model.slidingWindow?.tokens === window;
  }

  base(shape: StepShape): Seconds {
    const sequences = numDrafted(shape);
    const further = this.numPasses - 1;
    const tokens = firstPassTokens(this.drafter, shape);
    return (
      this.#layers.at(tokens) +
      further * this.#layers.at(sequences) +
      this.numPasses * this.#head.at(sequences) +
      this.#firstAttention(shape) +
      this.#furtherAttention(shape)
    );
  }

  contextSlope(shape: StepShape): Seconds {
    const first = decodeAttention(this.#attention, shape.numDecodes, queriesOf(shape));
    const later = decodeAttention(this.#attention, numDrafted(shape), 1);
    const further = this.numPasses - 1;
    const full = first.context + further * later.context;
    return this.#sameWindow ? full : full + first.window + further * later.window;
  }

  windowSlope(shape: StepShape): Seconds {
    if (!this.#sameWindow) return 0;
    const first = decodeAttention(this.#attention, shape.numDecodes, queriesOf(shape));
    const later = decodeAttention(this.#attention, numDrafted(shape), 1);
    return first.window + (this.numPasses - 1) * later.window;
  }

  /** Attention of all passes, its context included. */
  attentionSeconds(shape: StepShape): Seconds {
    return (
      this.#firstAttention(shape) +
      this.#furtherAttention(shape) +
      this.contextSlope(shape) * shape.decodeContext +
      this.windowSlope(shape) * shape.decodeWindowContext
    );
  }

  #firstAttention(shape: StepShape): Seconds {
    const a = this.#attention;
    return (
      a.step +
      shape.numDecodes * a.sequence +
      shape.prefillTokens * a.token +
      shape.prefillPairs * a.pair +
      (this.#sameWindow ? shape.prefillWindowPairs : shape.prefillPairs) * a.windowPair +
      shape.prefillHistory * a.history
    );
  }

  /** Launches of the passes after the first, what they read of prompts, and the drafts they have added themselves. */
  #furtherAttention(shape: StepShape): Seconds {
    const a = this.#attention;
    const passes = this.numPasses - 1;
    const sequences = numDrafted(shape);
    const prompts = passes * (shape.prefillTokens + shape.prefillHistory);
    const drafts = ((passes * (passes + 1)) / 2) * sequences;
    return passes * (a.step + sequences * a.sequence) + (prompts + drafts) * (a.context + a.window);
  }
}

/** Tokens of the first pass: all of the step, and those its verification will have generated. */
export const firstPassTokens = ({ furtherTokens }: Drafter, shape: StepShape): number =>
  shape.numDecodes +
  shape.prefillTokens +
  (shape.draftTokens ?? 0) +
  furtherTokens * numDrafted(shape);
