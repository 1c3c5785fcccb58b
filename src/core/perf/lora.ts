/**
 * What LoRA adapters cost: time of their GEMMs, memory of their slots, time to bring them in.
 *
 * Beside every projection `y = W·x` stands `B·(A·x)` of rank r: a shrink kernel and an expand kernel,
 * each over all tokens that run with an adapter and reading the matrices of all adapters in the step.
 * A projection fused of n (QKV: 3, gate and up: 2) has n matrices A. Kernels and slots have the rank
 * they were made for, `max_lora_rank`, whatever an adapter's own.
 *
 *   FLOP    2·T·r·(n·inner + columns)            columns, inner: of the projection on one GPU
 *   bytes   a·r·(n·inner + columns)·2  +  T·(inner·2 + n·r·8 + columns·4)
 *
 * T tokens, a adapters; what lies between the kernels is 32 bits wide, and y is read and written again.
 * Experts have no adapters: of a mixture only attention and dense layers do. How fast these kernels are
 * has not been measured here: they take the bandwidth of element-wise kernels, or the FLOP/s of a GEMM,
 * and never less than a small kernel takes.
 *
 * @see Hu et al., LoRA (arXiv 2106.09685); Chen et al., Punica (arXiv 2310.18547)
 */

import type { LoraConfig, StepCost, StepShape } from '../engine.js';
import { ConfigError } from '../errors.js';
import { hostLinkOf } from '../model/gpu.js';
import { numAttentionLayers } from '../model/model-shape.js';
import type { PoolOptions } from '../scenario.js';
import { type Bytes, onClock, type Seconds, type Ticks } from '../units.js';
import { attentionMatrices, type Deployment } from './layers.js';
import { LazyTable } from './lazy-table.js';
import type { GemmShape, Operator } from './operator.js';

/** What slots and kernels are made for. */
export interface LoraShape {
  readonly maxLoras: number;
  readonly rank: number;
}

/** Adapters are stored in 16 bits. */
const BYTES_PER_WEIGHT = 2;
/** A solid-state disk read in order: assumed, not measured. */
export const DISK_BYTES_PER_S = 3e9;

interface Target {
  readonly name: string;
  readonly count: number;
  /** Matrices A: projections fused into one. */
  readonly slices: number;
  readonly shape: Omit<GemmShape, 'rows'>;
}

/** The projections that have adapters, as they are on one GPU. */
function targets({ model: m, layout }: Deployment): Target[] {
  const denseLayers = m.numLayers - (m.moe?.numLayers ?? 0);
  const width = m.intermediateSize / layout.tp;
  const gated = m.numMlpMatrices - 1;
  const attention = attentionMatrices(m, layout).map(([name, shape]) => ({
    name,
    count: numAttentionLayers(m),
    slices: name === 'QKV projection' ? 3 : 1,
    shape,
  }));
  const mlp = [
    {
      name: 'MLP, in',
      count: denseLayers,
      slices: gated,
      shape: { columns: gated * width, inner: m.hiddenSize },
    },
    {
      name: 'MLP, out',
      count: denseLayers,
      slices: 1,
      shape: { columns: m.hiddenSize, inner: width },
    },
  ];
  return [...attention, ...mlp].filter(({ count }) => count > 0);
}

/** Weights of A and B of one layer's projection, on one GPU. */
const weightsOf = ({ slices, shape }: Target, rank: number): number =>
  rank * (slices * shape.inner + shape.columns);

/** One slot on one GPU. */
export function slotBytes(d: Deployment, rank: number): Bytes {
  const weights = targets(d).reduce((sum, t) => sum + t.count * weightsOf(t, rank), 0);
  return (weights * BYTES_PER_WEIGHT) / d.layout.pp;
}

/** One adapter as a file: not spread over GPUs. */
export const adapterBytes = (d: Deployment, rank: number): Bytes =>
  slotBytes({ ...d, layout: { ...d.layout, tp: 1, pp: 1 } }, rank);

/** From host memory into the slots of all GPUs, each over its own link. */
export const loadSeconds = (d: Deployment, rank: number): Seconds =>
  slotBytes(d, rank) / hostLinkOf(d.gpu).bytesPerS;

/** From disk into host memory. */
export const fetchSeconds = (d: Deployment, rank: number): Seconds =>
  adapterBytes(d, rank) / DISK_BYTES_PER_S;

/** The kernels of all layers for `tokens` tokens with `numAdapters` different adapters. */
export function loraOperators(d: Deployment, tokens: number, numAdapters: number): Operator[] {
  if (tokens === 0 || numAdapters === 0 || !d.lora) return [];
  const { rank } = d.lora;
  const { peak, compute } = d.precision.plain;
  const { elementwiseMemory, normSeconds } = d.efficiency;
  return targets(d).map((target) => {
    const { inner, columns } = target.shape;
    const weights = weightsOf(target, rank);
    const flop = 2 * tokens * weights;
    const bytes =
      numAdapters * weights * BYTES_PER_WEIGHT +
      tokens * (inner * 2 + target.slices * rank * 8 + columns * 4);
    const computing = flop / (peak * compute);
    const moving = bytes / (d.gpu.memoryBytesPerS * elementwiseMemory);
    const launches = 2 * normSeconds;
    const seconds = Math.max(computing, moving, launches);
    return {
      name: `adapters, ${target.name}`,
      count: target.count,
      flop,
      bytes,
      linkBytes: 0,
      seconds,
      bound: seconds === launches ? 'latency' : computing > moving ? 'compute' : 'memory',
      peak,
      constants: ['elementwise_memory', 'gemm_compute', 'norm_seconds'],
    };
  });
}

/** The cost of a step with adapters in it: that of the model, and of their kernels. */
export class LoraStepCost implements StepCost {
  readonly window: number;
  readonly emptyStep: Ticks;
  /** By the number of adapters. */
  readonly #kernels: readonly LazyTable[];

  constructor(
    private readonly model: StepCost,
    deployment: Deployment,
  ) {
    this.window = model.window;
    this.emptyStep = model.emptyStep;
    this.#kernels = Array.from(
      { length: deployment.lora!.maxLoras + 1 },
      (_, n) =>
        new LazyTable((tokens) => {
          const operators = loraOperators(deployment, tokens, n);
          return operators.reduce((sum, { count, seconds }) => sum + count * seconds, 0);
        }),
    );
  }

  base(shape: StepShape): Ticks {
    const { loraTokens = 0, numAdapters = 0 } = shape;
    const base = this.model.base(shape);
    if (loraTokens === 0) return base;
    const kernels = this.#kernels[Math.min(numAdapters, this.#kernels.length - 1)]!;
    return base + onClock(kernels.at(loraTokens));
  }

  contextSlope(shape: StepShape): Ticks {
    return this.model.contextSlope(shape);
  }

  windowSlope(shape: StepShape): Ticks {
    return this.model.windowSlope(shape);
  }

  stepsAlike(shape: StepShape): number {
    return this.model.stepsAlike?.(shape) ?? Number.POSITIVE_INFINITY;
  }
}

/** Ranks vLLM has kernels for. */
const LORA_RANKS = [1, 8, 16, 32, 64, 128, 256, 320, 512];
const DEFAULT_LORA_RANK = 16;

/**
 * What was asked for; `undefined`: no adapters.
 *
 * @throws {ConfigError}
 */
export function loraOf({
  enableLora,
  maxLoras,
  maxLoraRank,
  maxCpuLoras,
}: PoolOptions): LoraShape | undefined {
  const given = Object.entries({ maxLoras, maxLoraRank, maxCpuLoras }).find(([, n]) => n);
  if (!enableLora && given) {
    throw new ConfigError('--enable-lora', 'to be on beside other LoRA options', enableLora);
  }
  if (!enableLora) return undefined;
  const rank = maxLoraRank ?? DEFAULT_LORA_RANK;
  if (!LORA_RANKS.includes(rank)) {
    throw new ConfigError('--max-lora-rank', `one of ${LORA_RANKS.join(', ')}`, rank);
  }
  return { maxLoras: maxLoras ?? 1, rank };
}

/** @throws {ConfigError} */
export function loraConfig(
  d: Deployment,
  { maxLoras, rank }: LoraShape,
  options: PoolOptions,
): LoraConfig {
  const { maxCpuLoras = maxLoras } = options;
  if (maxCpuLoras < maxLoras) {
    throw new ConfigError('--max-cpu-loras', `at least --max-loras, ${maxLoras}`, maxCpuLoras);
  }
  return {
    maxLoras,
    maxCpuLoras,
    loadTicks: onClock(loadSeconds(d, rank)),
    fetchTicks: onClock(fetchSeconds(d, rank)),
  };
}
