/**
 * How much of a data sheet's ceilings kernels reach, and what they cost besides.
 *
 * One set of constants for all GPUs and models (`perf_model/efficiency/global.json`, each with how it
 * was fitted), and factors on them where an operator table of a GPU exists, or for a vendor or an
 * architecture. Fractions never exceed 1 and additive times are never negative: so no operator is
 * faster than FLOP/peak or bytes/bandwidth.
 */

import type { GpuSpec } from '../model/gpu.js';
import { type EngineProfile, generationOf } from './engine-profile.js';

/** The names are those of the data file in camelCase; times in seconds, fractions of the data sheet's ceiling. */
export interface Efficiency {
  /** Fraction of peak FLOP/s of a large GEMM, by the precision it multiplies in. */
  readonly gemmCompute16: number;
  readonly gemmCompute8: number;
  readonly gemmCompute4: number;
  /** fp8 with a scale for every block of weights and of activations, which are multiplied in between. */
  readonly gemmComputeBlock8: number;
  /** Weights of 4 or 8 bits unpacked to 16 before multiplying: fraction of the 16-bit peak. */
  readonly gemmComputeWeightOnly: number;
  /** The same in the grouped GEMM of experts, where only they are quantised. */
  readonly expertComputeWeightOnly: number;
  /** Fraction of memory bandwidth of a GEMM that only reads weights, by their width. */
  readonly gemmMemory16: number;
  readonly gemmMemory8: number;
  readonly gemmMemory4: number;
  /** Exponent of the soft maximum of compute and memory time; times `EngineProfile.softnessFactor`. */
  readonly gemmSoftness: number;
  /** Passes over 16-bit weights per row of a small GEMM, at least one and up to `SKINNY_ROWS`: of tiles of 1/this rows, each reads them again. 0 where kernels keep them. */
  readonly gemmRereadPerRow: number;
  /** Everything in a layer that is neither weight read nor FLOP: norms, rotary, KV write, gaps between kernels. */
  readonly layerSeconds: number;
  /** Each normalisation of a layer beyond two. */
  readonly normSeconds: number;
  /** Quantising activations, per layer. */
  readonly quantSeconds: number;
  /** What launching takes longer in a layer with experts, and in one with latent attention: shares of a dense layer's time. */
  readonly expertDispatch: number;
  readonly latentDispatch: number;
  /** Fraction of bandwidth of norms, activations and other element-wise kernels. */
  readonly elementwiseMemory: number;
  readonly kvMemory: number;
  /** How much of the KV is read again for each further query head that shares it: 0 (once) to 1 (every head by itself). */
  readonly kvReread: number;
  /** Converting a value of an fp8 cache in software, in FLOP at the 16-bit peak. */
  readonly kvUnpackFlop: number;
  /**
   * Fraction of bandwidth at which each query head reads its KV by itself, once there are more than `UNSPLIT_BLOCKS` sequences × heads on a
   * GPU: the kernel then gives a block to each and leaves the context whole. 0: there is no such kernel.
   */
  readonly unsplitKvMemory: number;
  /** Attention kernels of a layer: launch, and per (sequence × KV head). */
  readonly attentionSeconds: number;
  readonly attentionSequenceSeconds: number;
  readonly attentionCompute: number;
  /** Extra (query, key) pairs per new token: tiles on the causal diagonal are computed whole. */
  readonly attentionDiagonalPairs: number;
  /** What an all-reduce in a step waits for the slowest rank. */
  readonly barrierSeconds: number;
  /** All-reduce: latency of two ranks, more per further rank, fraction of link bandwidth, soft corner. */
  readonly allReduceSeconds: number;
  readonly allReduceSecondsPerRank: number;
  readonly linkFraction: number;
  readonly linkSoftness: number;
  /** The same for NCCL, which engines use where it is faster: large messages. */
  readonly ncclSeconds: number;
  readonly ncclSecondsPerRank: number;
  readonly ncclLinkFraction: number;
  readonly ncclSoftness: number;
  /** Sums made by the switch: latency, fraction of link bandwidth; 0: not made there. */
  readonly switchSeconds: number;
  readonly switchLinkFraction: number;
  /** NCCL's ring over PCIe: a hop from GPU to GPU, fraction of PCIe's bandwidth, soft corner. */
  readonly pcieHopSeconds: number;
  readonly pcieLinkFraction: number;
  readonly pcieSoftness: number;
  readonly moeMemory: number;
  /** Of the GEMM's compute fraction. */
  readonly moeCompute: number;
  /** Rows each touched expert is padded by, twice the mean. */
  readonly moePadRows: number;
  /** The same two of many small experts (at least 64), whose grouped GEMMs are other kernels with other tiles. */
  readonly manyMoeCompute: number;
  readonly manyMoePadRows: number;
  readonly moeSeconds: number;
  /** What a first token of a model with latent attention (MLA) waits besides its prefill, without holding up a step. */
  readonly latentAttentionLatencySeconds: number;
  /** Tokens of context that a sequence's window or recurrent state is shared out over, for KV capacity. */
  readonly referenceContextTokens: number;
}

/** Applies where every list that is given has this GPU, and this engine. */
export interface EfficiencyOverride {
  readonly gpus?: readonly string[];
  readonly architectures?: readonly string[];
  readonly vendors?: readonly string[];
  /** Generations of engines: `vllm@0.8`. */
  readonly engines?: readonly string[];
  /** Factors on the constants of the same name. */
  readonly factors: Partial<Record<keyof Efficiency, number>>;
  /** Constants replaced. */
  readonly values?: Partial<Record<keyof Efficiency, number>>;
  readonly source: string;
}

export interface EfficiencyData {
  readonly constants: Efficiency;
  /** How each constant was found. */
  readonly sources: Readonly<Partial<Record<keyof Efficiency, string>>>;
  /** Applied in order, every one that matches. */
  readonly overrides: readonly EfficiencyOverride[];
}

/** Rows up to which kernels for small batches are used. */
export const SKINNY_ROWS = 256;

/** Sequences × heads above which vLLM before 0.6.2 on AMD takes paged attention's version 1 instead of 2. */
export const UNSPLIT_BLOCKS = 512;

/** Constants that are fractions of a ceiling. */
const FRACTIONS: readonly (keyof Efficiency)[] = [
  'gemmCompute16',
  'gemmCompute8',
  'gemmCompute4',
  'gemmComputeBlock8',
  'gemmComputeWeightOnly',
  'expertComputeWeightOnly',
  'gemmMemory16',
  'gemmMemory8',
  'gemmMemory4',
  'elementwiseMemory',
  'kvMemory',
  'kvReread',
  'unsplitKvMemory',
  'gemmRereadPerRow',
  'attentionCompute',
  'linkFraction',
  'ncclLinkFraction',
  'switchLinkFraction',
  'pcieLinkFraction',
  'moeMemory',
  'moeCompute',
  'manyMoeCompute',
];

/** The constants of `gpu` under `engine`: the global ones, times every factor that applies. */
export function efficiencyFor(
  data: EfficiencyData,
  gpu: GpuSpec,
  engine: EngineProfile,
): Efficiency {
  const result: Record<string, number> = { ...data.constants };
  result.gemmSoftness = Math.max(1, data.constants.gemmSoftness * engine.softnessFactor);
  for (const override of data.overrides) {
    if (!applies(override, gpu, engine)) continue;
    for (const [name, factor] of Object.entries(override.factors)) result[name]! *= factor;
    Object.assign(result, override.values);
  }
  for (const name of FRACTIONS) result[name] = Math.min(1, result[name]!);
  return result as unknown as Efficiency;
}

function applies(o: EfficiencyOverride, gpu: GpuSpec, engine: EngineProfile): boolean {
  const has = (list: readonly string[] | undefined, name: string): boolean =>
    list === undefined || list.includes(name);
  return (
    has(o.gpus, gpu.name) &&
    has(o.architectures, gpu.architecture) &&
    has(o.vendors, gpu.vendor) &&
    has(o.engines, generationOf(engine))
  );
}
