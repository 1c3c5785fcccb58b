/**
 * Attention, which alone depends on how much context there is.
 *
 * Decode reads every cached key and value once: time is affine in Σ context, which keeps runs of equal
 * steps in closed form. Prefill computes the causal (query, key) pairs, and whole tiles on the diagonal.
 * Layers with a window see min(context, window); recurrent layers a state of fixed size.
 */

import type { StepShape } from '../engine.js';
import { numAttentionLayers, numFullAttentionLayers } from '../model/model-shape.js';
import { kvHeadsPerGpu } from '../model/parallelism.js';
import type { Seconds } from '../units.js';
import { UNSPLIT_BLOCKS } from './efficiency.js';
import type { Deployment } from './layers.js';

/** Times per unit of what a step's shape counts; on one GPU, summed over layers. */
export interface AttentionCost {
  /** Every step. */
  readonly step: Seconds;
  /** Per decode. */
  readonly sequence: Seconds;
  /** Per token of Σ context, in full and in windowed layers. */
  readonly context: Seconds;
  readonly window: Seconds;
  /** Above so many decodes the kernel gives each context to one block, and these hold. Infinite: it always splits. */
  readonly unsplitAbove: number;
  readonly unsplitContext: Seconds;
  readonly unsplitWindow: Seconds;
  /** The same for the FLOP of one query alone: what several queries to one context multiply. */
  readonly contextCompute: Seconds;
  readonly windowCompute: Seconds;
  /** Per prompt token, per causal pair in full and in windowed layers, per token read back. */
  readonly token: Seconds;
  readonly pair: Seconds;
  readonly windowPair: Seconds;
  readonly history: Seconds;
  /** What the times are made of, for explanation and laws. */
  readonly work: AttentionWork;
}

export interface AttentionWork {
  readonly kvBytesPerToken: number;
  readonly windowKvBytesPerToken: number;
  readonly flopPerPair: number;
  readonly windowFlopPerPair: number;
  /** Of a decode: recurrent state read and written. */
  readonly stateBytes: number;
  readonly decodeFlopPerToken: number;
}

export function attentionCost(d: Deployment): AttentionCost {
  const { model: m, layout, precision, efficiency: e, gpu } = d;
  const heads = m.numHeads / layout.tp;
  const full = numFullAttentionLayers(m);
  const windowed = m.slidingWindow?.numLayers ?? 0;
  const layers = numAttentionLayers(m);
  const cached = m.mla
    ? m.mla.kvLoraRank + m.mla.ropeHeadDim
    : 2 * kvHeadsPerGpu(m, layout) * m.headDim;
  const bytesPerToken = cached * precision.bytesPerKv;
  // Per pair: a product of query and key, and one of probability and value. MLA decodes in its latent space.
  const pairFlop = m.mla ? 2 * heads * (m.headDim + m.mla.valueHeadDim) : 4 * heads * m.headDim;
  const decodeFlop = m.mla ? 2 * heads * (2 * m.mla.kvLoraRank + m.mla.ropeHeadDim) : pairFlop;
  const flops = precision.plain.peak * e.attentionCompute;
  const bandwidth = gpu.memoryBytesPerS * e.kvMemory;
  const queryHeadsPerKvHead = m.mla ? 1 : Math.max(1, m.numHeads / m.numKvHeads);
  const reads = 1 + e.kvReread * (queryHeadsPerKvHead - 1);
  const unpacking = precision.unpacksKv ? (cached * e.kvUnpackFlop) / precision.plain.peak : 0;
  const perToken = Math.max((reads * bytesPerToken) / bandwidth, decodeFlop / flops) + unpacking;
  const perTokenUnsplit =
    e.unsplitKvMemory > 0
      ? (bytesPerToken * queryHeadsPerKvHead) / (gpu.memoryBytesPerS * e.unsplitKvMemory) +
        unpacking
      : 0;
  const stateBytes = (2 * (m.linearAttention?.stateBytesPerSeq ?? 0)) / layout.tp;
  const statePerToken = (1.5 * stateBytes) / flops; // 6 FLOP per 4-byte state element, read and written
  return {
    step: m.numLayers * e.attentionSeconds,
    sequence:
      layers * e.attentionSequenceSeconds * kvHeadsPerGpu(m, layout) + stateBytes / bandwidth,
    context: full * perToken,
    window: windowed * perToken,
    unsplitAbove: e.unsplitKvMemory > 0 ? UNSPLIT_BLOCKS / heads : Number.POSITIVE_INFINITY,
    unsplitContext: full * Math.max(perToken, perTokenUnsplit),
    unsplitWindow: windowed * Math.max(perToken, perTokenUnsplit),
    contextCompute: (full * decodeFlop) / flops,
    windowCompute: (windowed * decodeFlop) / flops,
    token: (layers * e.attentionDiagonalPairs * pairFlop) / flops + statePerToken,
    pair: (full * pairFlop) / flops,
    windowPair: (windowed * pairFlop) / flops,
    history: full * (bytesPerToken / bandwidth + unpacking),
    work: {
      kvBytesPerToken: full * bytesPerToken,
      windowKvBytesPerToken: windowed * bytesPerToken,
      flopPerPair: full * pairFlop,
      windowFlopPerPair: windowed * pairFlop,
      stateBytes,
      decodeFlopPerToken: decodeFlop,
    },
  };
}

/**
 * Times per token of Σ context of `sequences` decodes that have `queries` tokens each (their newest and its drafts): they
 * share one reading of the cache, and compute for each.
 */
export function decodeAttention(
  a: AttentionCost,
  sequences: number,
  queries: number,
): Pick<AttentionCost, 'context' | 'window'> {
  const unsplit = sequences > a.unsplitAbove;
  return {
    context: Math.max(unsplit ? a.unsplitContext : a.context, queries * a.contextCompute),
    window: Math.max(unsplit ? a.unsplitWindow : a.window, queries * a.windowCompute),
  };
}

/** Tokens of a decode that look at its context in one step, on average: the newest one and its drafts. */
export const queriesOf = ({ numDecodes, draftTokens = 0 }: StepShape): number =>
  numDecodes > 0 ? 1 + draftTokens / numDecodes : 1;
