/**
 * How many tokens of KV a GPU holds beside the weights, as a breakdown a user can check.
 *
 *   vLLM:          memory · utilisation − weights − activations − other − slots of adapters
 *   TensorRT-LLM:  fraction · (usable · memory − weights − activations)
 *
 * A token costs the bytes of layers whose cache grows with it. A window (of engines that free what is
 * behind it) or a recurrent state belongs to a sequence, not to a token: it is shared out over a
 * sequence of `referenceContextTokens`.
 */

import {
  type ModelShape,
  numAttentionLayers,
  numAttentionParameters,
  numExpertParameters,
  numFullAttentionLayers,
  numParameters,
} from '../model/model-shape.js';
import { kvHeadsPerGpu } from '../model/parallelism.js';
import type { Bytes } from '../units.js';
import type { Drafter } from './drafting.js';
import type { Deployment } from './layers.js';
import { slotBytes } from './lora.js';

export interface KvCapacity {
  /** Of one GPU. */
  readonly memoryBytes: Bytes;
  readonly utilization: number;
  readonly weightBytes: Bytes;
  /** Of whatever drafts, beside the model. */
  readonly draftWeightBytes: Bytes;
  readonly activationBytes: Bytes;
  readonly nonTorchBytes: Bytes;
  /** Slots of LoRA adapters. */
  readonly loraBytes: Bytes;
  /** What is left; negative when the model does not fit. */
  readonly kvBytes: Bytes;
  readonly bytesPerToken: number;
  readonly bytesPerBlock: number;
  readonly numBlocks: number;
  readonly numTokens: number;
}

export interface KvOptions {
  readonly utilization: number;
  readonly blockSize: number;
  readonly maxNumSeqs: number;
  readonly maxNumBatchedTokens: number;
}

/** @param drafter shares memory and blocks with the model */
export function kvCapacity(d: Deployment, options: KvOptions, drafter?: Drafter): KvCapacity {
  const { gpu, layout, engine } = d;
  const memoryBytes = gpu.memoryBytes;
  const ownWeights = weightBytes(d);
  const draftWeightBytes = drafter?.weightBytes ?? 0;
  const weights = ownWeights + draftWeightBytes;
  const parallel = layout.tp * layout.pp * layout.dp > 1;
  const nonTorchBytes = parallel
    ? engine.memory.nonTorchBytesParallel
    : engine.memory.nonTorchBytes;
  const activations = bufferBytes(d, options);
  const loraBytes = d.lora ? d.lora.maxLoras * slotBytes(d, d.lora.rank) : 0;
  const kvBytes =
    engine.memory.of === 'total'
      ? memoryBytes * options.utilization - weights - activations - nonTorchBytes - loraBytes
      : options.utilization *
        (engine.memory.usable * memoryBytes - weights - activations - loraBytes);
  const bytesPerToken = kvBytesPerToken(d) + (drafter?.kvBytesPerToken ?? 0);
  const bytesPerBlock = bytesPerToken * options.blockSize;
  const numBlocks = Math.max(0, Math.floor(kvBytes / bytesPerBlock));
  return {
    memoryBytes,
    utilization: options.utilization,
    weightBytes: ownWeights,
    draftWeightBytes,
    activationBytes: activations,
    nonTorchBytes,
    loraBytes,
    kvBytes,
    bytesPerToken,
    bytesPerBlock,
    numBlocks,
    numTokens: numBlocks * options.blockSize,
  };
}

/** Weights on one GPU of the fullest kind: experts are spread over tp × dp, all else over tp, layers over pp. */
export function weightBytes({ model: m, layout, precision }: Deployment): Bytes {
  const { tp, pp, dp } = layout;
  const experts = m.moe ? m.moe.numLayers * m.moe.numExperts * numExpertParameters(m) : 0;
  const embeddings = m.vocabSize * m.hiddenSize * (m.tieWordEmbeddings ? 1 : 2);
  const attention = numAttentionLayers(m) * numAttentionParameters(m);
  const linear = numParameters(m) - experts - embeddings - attention - m.numOtherParameters;
  const perStage =
    (linear * precision.linear.bytesPerWeight + attention * precision.attention.bytesPerWeight) /
      tp +
    (experts * precision.experts.bytesPerWeight) / (tp * dp) +
    m.numOtherParameters * 2;
  return perStage / pp + (embeddings * 2) / tp / Math.min(2, pp);
}

/** KV bytes that one more token of context takes on one GPU of the fullest stage. */
export function kvBytesPerToken(d: Deployment): number {
  const { model: m, layout, precision, efficiency } = d;
  const cached = m.mla
    ? m.mla.kvLoraRank + m.mla.ropeHeadDim
    : 2 * kvHeadsPerGpu(m, layout) * m.headDim;
  const perLayer = cached * precision.bytesPerKv;
  const reference = efficiency.referenceContextTokens;
  const window = m.slidingWindow;
  const kept = d.engine.memory.freesBehindWindow && window ? window.tokens / reference : 1;
  const windowed = (window?.numLayers ?? 0) * Math.min(1, kept);
  const state = (m.linearAttention?.stateBytesPerSeq ?? 0) / layout.tp / reference;
  return ((numFullAttentionLayers(m) + windowed) * perLayer + state) / layout.pp;
}

/** What a step and its sampler need at their largest. */
function bufferBytes({ model: m, layout, engine }: Deployment, options: KvOptions): Bytes {
  const { reserveBytes, activationFactor, bytesPerLogit } = engine.memory;
  const mlp = widestMlp(m) / layout.tp;
  const perToken = (4 * m.hiddenSize + 2 * mlp) * 2;
  return (
    reserveBytes +
    activationFactor * options.maxNumBatchedTokens * perToken +
    bytesPerLogit * options.maxNumSeqs * m.vocabSize
  );
}

function widestMlp(m: ModelShape): number {
  if (!m.moe) return m.intermediateSize;
  return (
    m.moe.numExpertsPerToken * (m.moe.expertIntermediateSize + m.hiddenSize / 2) +
    m.moe.sharedExpertIntermediateSize
  );
}
