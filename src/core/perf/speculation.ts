/** What speculation means for an instance: its scheduler's options, who drafts, and what to tell the user. */

import type { SchedulerConfig, StepCost, StepShape } from '../engine.js';
import type { PoolSpec, SpeculationSpec, SpeculativeMethod } from '../scenario.js';
import { DEFAULT_ACCEPTANCE } from '../sched/acceptance.js';
import { type Drafting, draftingOf } from './drafting.js';
import type { Deployment } from './layers.js';
import { LoraStepCost } from './lora.js';
import { SpeculativeStepCost } from './speculative-cost.js';
import { AnalyticStepCost } from './step-cost.js';

export interface ResolvedSpeculation {
  readonly scheduler: Pick<SchedulerConfig, 'numSpeculativeTokens' | 'speculativeMethod'>;
  /** Absent without speculation. */
  readonly drafting?: Drafting;
}

/**
 * How the scheduler treats a method: vLLM's `use_eagle()` is true of eagle, eagle3 and mtp alike, and
 * that is all it asks.
 */
const SCHEDULED_AS = {
  ngram: 'ngram',
  draft_model: 'draft_model',
  eagle: 'eagle',
  eagle3: 'eagle',
  mtp: 'eagle',
} as const satisfies Record<SpeculativeMethod, SchedulerConfig['speculativeMethod']>;

/** @throws {ConfigError} for what an engine would refuse at its start */
export function resolveSpeculation(
  { speculation }: PoolSpec,
  target: Deployment,
  notes: string[],
): ResolvedSpeculation {
  if (!speculation) return { scheduler: { numSpeculativeTokens: 0 } };
  const { method, numSpeculativeTokens } = speculation;
  notes.push(...speculationNotes(speculation, target));
  return {
    scheduler: {
      numSpeculativeTokens,
      speculativeMethod: SCHEDULED_AS[method],
    },
    drafting: draftingOf(target, speculation),
  };
}

function speculationNotes(spec: SpeculationSpec, { model, layout }: Deployment): string[] {
  const { method, acceptance, draft } = spec;
  const notes: string[] = [];
  if (!acceptance) {
    notes.push(
      `a draft of ${method} is assumed to hold with probability ${DEFAULT_ACCEPTANCE[method]} if those before it do: ` +
        'what your requests and models reach is the acceptance of --speculative-config',
    );
  }
  if (acceptance?.kind === 'recorded') {
    const most = acceptance.counts.flat().reduce((a, b) => Math.max(a, b), 0);
    if (most < spec.numSpeculativeTokens) {
      notes.push(
        `at most ${most} drafts held at once in the recording: further ones never do here`,
      );
    }
  }
  if (method === 'ngram') notes.push('the CPU time of looking drafts up is assumed, not measured');
  if (draft && draft.vocabSize !== model.vocabSize) {
    notes.push(
      `${draft.name} has ${draft.vocabSize} tokens and ${model.name} ${model.vocabSize}: an engine needs one vocabulary`,
    );
  }
  if (layout.pp > 1)
    notes.push('drafting is counted as shared by the pipeline stages, though the last one does it');
  notes.push('expected errors were measured without speculation');
  return notes;
}

/** The formulas of `deployment`, and what adapters and drafting add to them. */
export const analyticCost = (deployment: Deployment, drafting: Drafting | undefined): StepCost =>
  withAdditions(new AnalyticStepCost(deployment), deployment, drafting);

/** What the model costs, however it is known, and what adapters and drafting add to it. */
export function withAdditions(
  model: StepCost,
  deployment: Deployment,
  drafting: Drafting | undefined,
): StepCost {
  const cost = deployment.lora ? new LoraStepCost(model, deployment) : model;
  return drafting ? new SpeculativeStepCost(cost, drafting) : cost;
}

/** A step in which every decode verifies all the drafts it is given. */
export const withDrafts = (
  shape: StepShape,
  { numSpeculativeTokens }: Pick<SchedulerConfig, 'numSpeculativeTokens'>,
): StepShape => ({ ...shape, draftTokens: shape.numDecodes * numSpeculativeTokens });
