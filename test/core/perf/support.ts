/** Builders for the cost model's tests: pools from the package's own data, shapes with defaults, and what physics allows. */

import { loadPerfData } from '../../../src/config/engines.js';
import { loadHardware } from '../../../src/config/hardware.js';
import { loadModel } from '../../../src/config/models.js';
import type { StepShape } from '../../../src/core/engine.js';
import {
  type ModelShape,
  numExpertParameters,
  numFullAttentionLayers,
  numParameters,
} from '../../../src/core/model/model-shape.js';
import { touchedExperts } from '../../../src/core/perf/expert-routing.js';
import type { Deployment } from '../../../src/core/perf/layers.js';
import { type ResolvedPool, resolvePool } from '../../../src/core/perf/resolve.js';
import type { PoolOptions, SpeculationSpec } from '../../../src/core/scenario.js';

export interface Case {
  readonly model: string;
  readonly hardware: string;
  readonly engine?: string;
  readonly options?: PoolOptions;
  readonly speculation?: SpeculationSpec;
}

export const pool = ({
  model,
  hardware,
  engine = 'vllm',
  options = {},
  speculation,
}: Case): ResolvedPool =>
  resolvePool(
    {
      model: loadModel(model),
      hardware: loadHardware(hardware),
      engine,
      numInstances: 1,
      options,
      ...(speculation && { speculation }),
    },
    loadPerfData(engine),
  );

/** `numDecodes` decodes with `context` tokens each, and one prefill of `prefill` tokens after `history`. */
export function batch(b: {
  numDecodes?: number;
  context?: number;
  prefill?: number;
  history?: number;
  window?: number;
}): StepShape {
  const {
    numDecodes = 0,
    context = 0,
    prefill = 0,
    history = 0,
    window = Number.POSITIVE_INFINITY,
  } = b;
  const pairs = prefill * (history + (prefill + 1) / 2);
  return {
    numDecodes,
    decodeContext: numDecodes * context,
    decodeWindowContext: numDecodes * Math.min(context, window),
    prefillTokens: prefill,
    numPrefills: prefill > 0 ? 1 : 0,
    prefillPairs: pairs,
    prefillWindowPairs: prefill > 0 ? Math.min(pairs, prefill * window) : 0,
    prefillHistory: history,
    numSampled: numDecodes + (prefill > 0 ? 1 : 0),
  };
}

/** Seconds below which no hardware of these data sheets could do the step: FLOP over peak, bytes over bandwidth. */
export function physicalFloor(d: Deployment, shape: StepShape): number {
  const numGpus = d.layout.tp * d.layout.pp;
  const m = d.model;
  const { draftTokens = 0 } = shape;
  const queries = shape.numDecodes > 0 ? 1 + draftTokens / shape.numDecodes : 1;
  const tokens = shape.numDecodes + draftTokens + shape.prefillTokens;
  const peak = Math.max(d.precision.linear.peak, d.precision.experts.peak, d.precision.plain.peak);
  const matrices = tokenMatrixParameters(m);
  const attention =
    4 *
    m.numHeads *
    (m.mla ? (m.headDim + m.mla.valueHeadDim) / 2 : m.headDim) *
    (numFullAttentionLayers(m) * (shape.prefillPairs + queries * shape.decodeContext) +
      (m.slidingWindow?.numLayers ?? 0) *
        (shape.prefillWindowPairs + queries * shape.decodeWindowContext));
  const flop =
    2 * tokens * matrices +
    2 * (shape.numSampled + draftTokens) * m.vocabSize * m.hiddenSize +
    attention;
  const cached = m.mla ? m.mla.kvLoraRank + m.mla.ropeHeadDim : 2 * m.numKvHeads * m.headDim;
  const kv = shape.decodeContext * numFullAttentionLayers(m) * cached * d.precision.bytesPerKv;
  const bytes = weightBytesRead(d, tokens) + kv / (d.layout.dp || 1);
  return Math.max(flop / (numGpus * peak), bytes / (numGpus * d.gpu.memoryBytesPerS));
}

/** Matrix parameters that every token is multiplied by, LM head aside. */
function tokenMatrixParameters(m: ModelShape): number {
  const experts = m.moe ? m.moe.numLayers * m.moe.numExperts * numExpertParameters(m) : 0;
  const embeddings = m.vocabSize * m.hiddenSize * (m.tieWordEmbeddings ? 1 : 2);
  const routed = m.moe ? m.moe.numLayers * m.moe.numExpertsPerToken * numExpertParameters(m) : 0;
  return numParameters(m) - experts - embeddings - m.numOtherParameters + routed;
}

function weightBytesRead(d: Deployment, tokens: number): number {
  const m = d.model;
  const routed = m.moe ? m.moe.numLayers * m.moe.numExpertsPerToken * numExpertParameters(m) : 0;
  const touched = m.moe
    ? m.moe.numLayers *
      touchedExperts(m.moe.numExperts, m.moe.numExpertsPerToken, tokens) *
      numExpertParameters(m)
    : 0;
  return (
    (tokenMatrixParameters(m) - routed) * d.precision.linear.bytesPerWeight +
    touched * d.precision.experts.bytesPerWeight
  );
}
