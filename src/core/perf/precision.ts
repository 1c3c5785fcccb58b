/**
 * What numbers a deployment computes with: bytes per weight and KV element, and the peak a GEMM is
 * measured against.
 *
 * A scheme multiplies in its own format only where the GPU has matrix units for it; elsewhere its
 * weights are unpacked to 16 bits on the way (weight-only). Embedding, LM head, router and attention
 * scores stay in 16 bits under every scheme, the way checkpoints are published; with some of them the
 * projections of attention as well.
 */

import { ConfigError, closest } from '../errors.js';
import type { GpuSpec } from '../model/gpu.js';
import type { ModelShape } from '../model/model-shape.js';
import type { Efficiency } from './efficiency.js';

type Math = 'fp8' | 'int8' | 'fp4' | undefined;

interface Scheme {
  /** Bits per weight with its scales. */
  readonly bits: number;
  readonly math: Math;
  /** Only the experts are stored this way. */
  readonly expertsOnly?: boolean;
  /** Projections of attention stay in 16 bits: in every checkpoint, or in those of models with experts. */
  readonly plainAttention?: 'always' | 'with experts';
  /** A scale for each block of a matrix, not one for all of it. */
  readonly blocks?: boolean;
}

/**
 * Names of `--quantization` and of `quantization_config`. `fbgemm_fp8` is Meta's: of Llama 3.1 405B only
 * the MLPs (The Llama 3 Herd of Models, 6.2). `fp8_block` is DeepSeek-V3's: 128 × 128 weights share a scale, and 128
 * activations (`weight_block_size`). `int4-experts` is Kimi K2.5's: a 16-bit scale for 32 weights. Of `nvfp4` checkpoints those of dense models (Llama) have
 * attention in 4 bits, those of DeepSeek-R1 (NVIDIA/Model-Optimizer issue 150), MiniMax-M2.5 and GLM-4.7 (`exclude_modules`) in 16.
 */
export const SCHEMES = {
  fp8: { bits: 8, math: 'fp8' },
  fp8_block: { bits: 8, math: 'fp8', blocks: true },
  fbgemm_fp8: { bits: 8, math: 'fp8', plainAttention: 'always' },
  quark: { bits: 8, math: 'fp8' },
  int8: { bits: 8, math: 'int8' },
  'int8-weights': { bits: 8.25, math: undefined },
  int4: { bits: 4.25, math: undefined },
  'int4-experts': { bits: 4.5, math: undefined, expertsOnly: true },
  awq: { bits: 4.25, math: undefined },
  gptq: { bits: 4.25, math: undefined },
  awq_marlin: { bits: 4.25, math: undefined },
  gptq_marlin: { bits: 4.25, math: undefined },
  mxfp4: { bits: 4.25, math: 'fp4', expertsOnly: true },
  nvfp4: { bits: 4.5, math: 'fp4', plainAttention: 'with experts' },
} as const satisfies Record<string, Scheme>;

/** How one kind of matrix is stored and multiplied. */
export interface MatrixPrecision {
  readonly bytesPerWeight: number;
  readonly bytesPerActivation: number;
  /** FLOP/s of the data sheet for this multiplication. */
  readonly peak: number;
  /** Reached fractions of peak and of bandwidth. */
  readonly compute: number;
  readonly memory: number;
  /** Activations are quantised first. */
  readonly quantised: boolean;
  readonly label: string;
}

export interface Precision {
  readonly linear: MatrixPrecision;
  /** Projections of attention. */
  readonly attention: MatrixPrecision;
  readonly experts: MatrixPrecision;
  /** LM head, router: 16 bits whatever the weights are. */
  readonly plain: MatrixPrecision;
  readonly bytesPerKv: number;
  /** An 8-bit float cache on hardware that cannot convert it: software does, value by value. */
  readonly unpacksKv: boolean;
  readonly quantization: string | undefined;
  readonly dtype: 'bfloat16' | 'float16';
  readonly notes: readonly string[];
}

export interface PrecisionOptions {
  readonly dtype?: string | undefined;
  readonly quantization?: string | undefined;
  readonly kvCacheDtype?: string | undefined;
}

/** @throws {ConfigError} for a name no scheme has. */
export function resolvePrecision(
  model: ModelShape,
  gpu: GpuSpec,
  efficiency: Efficiency,
  options: PrecisionOptions,
): Precision {
  const notes: string[] = [];
  const dtype = resolveDtype(model, gpu, options.dtype, notes);
  const peak16 = dtype === 'bfloat16' ? (gpu.peak.bf16 ?? gpu.peak.fp16) : gpu.peak.fp16;
  const plain: MatrixPrecision = {
    bytesPerWeight: 2,
    bytesPerActivation: 2,
    peak: peak16,
    compute: efficiency.gemmCompute16,
    memory: efficiency.gemmMemory16,
    quantised: false,
    label: dtype === 'bfloat16' ? 'bf16' : 'fp16',
  };
  const name = schemeName(model, options.quantization);
  const scheme: Scheme | undefined = name === undefined ? undefined : schemeOf(name);
  const quantised = scheme && quantisedMatrix(name!, scheme, gpu, efficiency, plain, notes);
  if (scheme?.expertsOnly && !model.moe) {
    throw new ConfigError('--quantization', `a model with experts for ${name}`, model.name);
  }
  const unpacksKv = options.kvCacheDtype?.startsWith('fp8') === true && gpu.peak.fp8 === undefined;
  if (unpacksKv)
    notes.push(`${gpu.name} cannot convert fp8: reading the KV cache takes longer than in 16 bits`);
  const linear = quantised && !scheme?.expertsOnly ? quantised : plain;
  return {
    linear,
    attention: keepsAttention(scheme, model) ? plain : linear,
    experts: quantised ?? plain,
    plain,
    bytesPerKv: kvBytes(options.kvCacheDtype),
    unpacksKv,
    quantization: name,
    dtype,
    notes,
  };
}

const keepsAttention = (scheme: Scheme | undefined, { moe }: ModelShape): boolean =>
  scheme?.plainAttention === 'always' ||
  (scheme?.plainAttention === 'with experts' && moe !== undefined);

/** The scheme of `model` when `asked` for. `fp8` is what a checkpoint in blocks is called as well: it stays in blocks. */
export function schemeName(model: ModelShape, asked: string | undefined): string | undefined {
  const own = model.quantization;
  const wanted = asked === 'fp8' && own === 'fp8_block' ? own : (asked ?? own);
  return wanted && wanted !== 'none' ? wanted : undefined;
}

function resolveDtype(
  model: ModelShape,
  gpu: GpuSpec,
  asked: string | undefined,
  notes: string[],
): 'bfloat16' | 'float16' {
  if (asked !== undefined && !['auto', 'bfloat16', 'float16', 'half'].includes(asked)) {
    throw new ConfigError('--dtype', 'auto, bfloat16 or float16', asked);
  }
  if (asked === 'float16' || asked === 'half') return 'float16';
  const wants = asked === 'bfloat16' || model.dtype !== 'float16';
  if (wants && gpu.peak.bf16 === undefined) {
    if (asked === 'bfloat16') {
      throw new ConfigError(
        '--dtype',
        `a type ${gpu.name} computes in`,
        asked,
        'use --dtype float16',
      );
    }
    notes.push(`${gpu.name} has no bfloat16: float16 is used`);
    return 'float16';
  }
  return wants ? 'bfloat16' : 'float16';
}

function schemeOf(name: string): Scheme {
  const key = name.toLowerCase();
  if (key in SCHEMES) return SCHEMES[key as keyof typeof SCHEMES];
  const near = closest(key, Object.keys(SCHEMES));
  throw new ConfigError(
    '--quantization',
    `one of ${Object.keys(SCHEMES).join(', ')}`,
    name,
    near && `did you mean ${near}?`,
  );
}

function quantisedMatrix(
  name: string,
  scheme: Scheme,
  gpu: GpuSpec,
  e: Efficiency,
  plain: MatrixPrecision,
  notes: string[],
): MatrixPrecision {
  const bytesPerWeight = scheme.bits / 8;
  const memory = scheme.bits < 8 ? e.gemmMemory4 : e.gemmMemory8;
  // Engines of Blackwell multiply mxfp4 weights by fp8 activations.
  const math = name === 'mxfp4' && gpu.peak.fp4 !== undefined ? 'fp8' : scheme.math;
  const peak = math && gpu.peak[math];
  if (math && peak !== undefined) {
    return {
      bytesPerWeight,
      bytesPerActivation: math === 'fp4' ? 0.5625 : 1,
      peak,
      compute:
        math === 'fp4' ? e.gemmCompute4 : scheme.blocks ? e.gemmComputeBlock8 : e.gemmCompute8,
      memory,
      quantised: true,
      label: math === scheme.math ? name : `${name}, ${math} multiply`,
    };
  }
  if (math)
    notes.push(
      `${gpu.name} has no ${math} matrix units: ${name} weights are unpacked to ${plain.label}`,
    );
  return {
    ...plain,
    bytesPerWeight,
    compute: scheme.expertsOnly ? e.expertComputeWeightOnly : e.gemmComputeWeightOnly,
    memory,
    label: `${name}, ${plain.label} multiply`,
  };
}

function kvBytes(dtype: string | undefined): number {
  if (dtype === undefined || ['auto', 'bfloat16', 'float16'].includes(dtype)) return 2;
  if (dtype.startsWith('fp8') || dtype === 'int8') return 1;
  throw new ConfigError('--kv-cache-dtype', 'auto, bfloat16, float16, fp8 or int8', dtype);
}
