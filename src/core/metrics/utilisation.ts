/**
 * How much of its GPUs an instance used: model FLOP and bytes over what the data sheet allows.
 *
 *   MFU = model FLOP / (peak FLOP/s × time)        MBU = bytes moved / (memory bandwidth × time)
 *
 * Every count of a step's shape enters its FLOP linearly, and its bytes nearly so, so the sums over all
 * steps that an instance keeps are enough: the mean step, explained once, times the number of steps.
 * Bytes of experts are not linear in tokens, so steps with prompt tokens have a mean of their own.
 *
 * Peak is that of the fastest precision the model's matrices multiply in. Tokens computed again after a
 * preemption count as work: they keep the GPU busy.
 */

import type { StepShape } from '../engine.js';
import { numFullAttentionLayers } from '../model/model-shape.js';
import { attentionCost, queriesOf } from '../perf/attention.js';
import { type Explainable, explainStep, type StepExplanation } from '../perf/explain.js';
import type { Bytes, Flop, Seconds } from '../units.js';
import type { InstanceReport } from './report.js';

/** Sums over some steps of an instance, of which a mean can be taken. */
type StepSums = Omit<StepShape, 'otherTokens' | 'loraTokens' | 'numAdapters'> & {
  readonly numSteps: number;
};

/** The step in the middle of all steps: every count and sum of the shape, averaged. */
export const meanStep = (i: InstanceReport): StepShape => mean(sumsOf(i));

function mean({ numSteps, ...sums }: StepSums): StepShape {
  const entries = Object.entries(sums).map(([field, sum]) => [field, sum / numSteps]);
  return Object.fromEntries(entries) as StepShape;
}

function sumsOf(i: InstanceReport): StepSums {
  return {
    numSteps: i.numSteps,
    numDecodes: i.decodeTokens,
    decodeContext: i.decodeContext,
    decodeWindowContext: i.decodeWindowContext,
    prefillTokens: i.prefillTokens,
    numPrefills: Math.max(0, i.numSampled - i.decodeTokens),
    prefillPairs: i.prefillPairs,
    prefillWindowPairs: i.prefillWindowPairs,
    prefillHistory: 0,
    numSampled: i.numSampled,
    ...(i.speculation && { draftTokens: i.speculation.draftTokens }),
  };
}

/** Steps that carry prompt tokens, and steps of decodes alone: what they read differs. */
function kindsOf(i: InstanceReport): StepSums[] {
  const all = sumsOf(i);
  const mixed = {
    ...all,
    numSteps: i.numPrefillSteps,
    numDecodes: i.mixedDecodeTokens,
    decodeContext: i.mixedDecodeContext,
    decodeWindowContext: i.mixedDecodeWindowContext,
    numSampled: i.mixedDecodeTokens + all.numPrefills,
    ...draftsOf(all, i.mixedDecodeTokens),
  };
  const numDecodes = all.numDecodes - mixed.numDecodes;
  const decodes = {
    ...all,
    numSteps: all.numSteps - mixed.numSteps,
    numDecodes,
    decodeContext: all.decodeContext - mixed.decodeContext,
    decodeWindowContext: all.decodeWindowContext - mixed.decodeWindowContext,
    prefillTokens: 0,
    numPrefills: 0,
    prefillPairs: 0,
    prefillWindowPairs: 0,
    numSampled: numDecodes,
    ...draftsOf(all, numDecodes),
  };
  return [mixed, decodes].filter(({ numSteps }) => numSteps > 0);
}

/** Drafts of some of all decodes. */
const draftsOf = (all: StepSums, numDecodes: number): Pick<StepShape, 'draftTokens'> =>
  all.draftTokens === undefined
    ? {}
    : { draftTokens: (all.draftTokens * numDecodes) / Math.max(1, all.numDecodes) };

/** The mean step of each kind, explained, and how many there were. */
export const explainKinds = (pool: Explainable, instance: InstanceReport): ExplainedKind[] =>
  kindsOf(instance).map((kind) => ({
    numSteps: kind.numSteps,
    ...explainStep(pool, mean(kind)),
  }));

export interface ExplainedKind extends StepExplanation {
  readonly numSteps: number;
}

/** What one GPU of an instance computed and moved in all steps together. */
export interface GpuWork {
  readonly flop: Flop;
  readonly bytes: Bytes;
}

export function gpuWork(pool: Explainable, instance: InstanceReport): GpuWork {
  if (instance.numSteps === 0) return { flop: 0, bytes: 0 };
  const { model, layout } = pool.deployment;
  const { decodeFlopPerToken } = attentionCost(pool.deployment).work;
  let flop =
    queriesOf(meanStep(instance)) *
    decodeFlopPerToken *
    (numFullAttentionLayers(model) * instance.decodeContext +
      (model.slidingWindow?.numLayers ?? 0) * instance.decodeWindowContext);
  let bytes = 0;
  for (const { rows, numSteps } of explainKinds(pool, instance)) {
    for (const row of rows) {
      flop += row.flop * numSteps;
      bytes += row.bytes * numSteps;
    }
  }
  // The rows are those of all layers; a pipeline stage has its part of them.
  return { flop: flop / layout.pp, bytes: bytes / layout.pp };
}

/** Fractions of the data sheet's ceilings, in [0, 1]. */
export interface Utilisation {
  readonly mfu: number;
  readonly mbu: number;
}

/** `work` of one GPU, spread over `seconds`. */
export function utilisation(
  { deployment: { model, gpu, precision } }: Explainable,
  work: GpuWork,
  seconds: Seconds,
): Utilisation {
  if (!(seconds > 0)) return { mfu: 0, mbu: 0 };
  const { linear, experts } = precision;
  const peak = model.moe ? Math.max(linear.peak, experts.peak) : linear.peak;
  return {
    mfu: work.flop / (peak * seconds),
    mbu: work.bytes / (gpu.memoryBytesPerS * seconds),
  };
}
