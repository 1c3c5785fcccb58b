/**
 * How much of its GPUs an instance used: model FLOP and bytes over what the data sheet allows.
 *
 *   MFU = model FLOP / (peak FLOP/s × time)        MBU = bytes moved / (memory bandwidth × time)
 *
 * Every count of a step's shape enters its FLOP linearly, and its bytes nearly so, so the sums over all
 * steps that an instance keeps are enough: the mean step, explained once, times the number of steps.
 * Only bytes of experts are not linear in tokens; there the mean step stands for all.
 *
 * Peak is that of the fastest precision the model's matrices multiply in. Tokens computed again after a
 * preemption count as work: they keep the GPU busy.
 */

import type { StepShape } from '../engine.js';
import { numFullAttentionLayers } from '../model/model-shape.js';
import { attentionCost, queriesOf } from '../perf/attention.js';
import { type Explainable, explainStep } from '../perf/explain.js';
import type { Bytes, Flop, Seconds } from '../units.js';
import type { InstanceReport } from './report.js';

/** The step in the middle of all steps: every count and sum of the shape, averaged. */
export function meanStep(i: InstanceReport): StepShape {
  const prefillTokens = i.prefillTokens / i.numSteps;
  const numDecodes = i.decodeTokens / i.numSteps;
  const numSampled = i.numSampled / i.numSteps;
  return {
    numDecodes,
    decodeContext: i.decodeContext / i.numSteps,
    decodeWindowContext: i.decodeWindowContext / i.numSteps,
    prefillTokens,
    numPrefills: Math.max(0, numSampled - numDecodes),
    prefillPairs: i.prefillPairs / i.numSteps,
    prefillWindowPairs: i.prefillWindowPairs / i.numSteps,
    prefillHistory: 0,
    numSampled,
    ...(i.speculation && { draftTokens: i.speculation.draftTokens / i.numSteps }),
  };
}

/** What one GPU of an instance computed and moved in all steps together. */
export interface GpuWork {
  readonly flop: Flop;
  readonly bytes: Bytes;
}

export function gpuWork(pool: Explainable, instance: InstanceReport): GpuWork {
  if (instance.numSteps === 0) return { flop: 0, bytes: 0 };
  const { model, layout } = pool.deployment;
  const { rows } = explainStep(pool, meanStep(instance));
  const { decodeFlopPerToken } = attentionCost(pool.deployment).work;
  const decodeAttention =
    queriesOf(meanStep(instance)) *
    decodeFlopPerToken *
    (numFullAttentionLayers(model) * instance.decodeContext +
      (model.slidingWindow?.numLayers ?? 0) * instance.decodeWindowContext);
  const sum = (of: (row: (typeof rows)[number]) => number) =>
    rows.reduce((total, row) => total + of(row), 0) * instance.numSteps;
  // The rows are those of all layers; a pipeline stage has its part of them.
  return {
    flop: (sum((row) => row.flop) + decodeAttention) / layout.pp,
    bytes: sum((row) => row.bytes) / layout.pp,
  };
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
