/** One source of measurements: how its rows are read. */

import type { GpuSpec } from '../../../src/core/model/gpu.js';
import type { ModelShape } from '../../../src/core/model/model-shape.js';
import type { PoolOptions } from '../../../src/core/scenario.js';
import type { Comparison, Mapping, Measure } from '../case.js';
import type { Row } from '../rows.js';

export type MapRow = (row: Row, model: ModelShape, gpu: GpuSpec) => Mapping;

export interface Source {
  /** Values of the column `source`. */
  readonly names: readonly string[];
  /** A function, or the reason why no row of it can be simulated. */
  readonly map: string | MapRow;
}

/** Options of the weights and of the KV cache, from `weights/kv` as the column `dtype` has it. */
export function dtypeOptions(dtype: string, model: ModelShape): PoolOptions {
  const [weights = '', kv = ''] = dtype.split('/').map((part) => part.replace(/\(.*/, '').trim());
  const quantization =
    weights === 'fp4' || weights === 'nvfp4'
      ? model.quantization === 'mxfp4'
        ? 'mxfp4'
        : 'nvfp4'
      : weights.startsWith('fp8')
        ? model.quantization === 'mxfp4'
          ? 'mxfp4'
          : 'fp8'
        : weights === 'int8'
          ? 'int8'
          : weights === 'int4'
            ? 'int4'
            : weights === 'mxfp4'
              ? 'mxfp4'
              : model.quantization;
  return {
    ...(quantization ? { quantization } : {}),
    ...(kv.startsWith('fp8') ? { kvCacheDtype: 'fp8' } : kv === 'int8' ? { kvCacheDtype: kv } : {}),
  };
}

/** The columns `tp` and `pp`: a number, or DEPn (attention data parallel, experts shared out over n GPUs) or TEPn (tensor parallel instead). */
export function layoutOptions(row: Row): PoolOptions {
  const [, label = '', size] = /^(DEP|TEP)?(\d+)$/.exec(row.tp) ?? [];
  const stages = number(row.pp) || 1;
  const ranks = number(size ?? '') || (number(row.num_gpus) || 1) / stages;
  const experts = label !== '' || /\bEP=([2-9]|\d\d)/.test(row.params_note);
  return {
    ...(label === 'DEP' ? { dataParallelSize: ranks } : { tensorParallelSize: ranks }),
    ...(stages > 1 ? { pipelineParallelSize: stages } : {}),
    ...(experts ? { enableExpertParallel: true } : {}),
  };
}

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, us: 1e-3, ns: 1e-6 };

/** A latency in ms, or a throughput as it is, over all GPUs. */
export function compare(row: Row, measure: Measure, metric: string): Comparison {
  const value = Number(row.value);
  const latency = MS[row.unit];
  const perGpu = row.unit.endsWith('/GPU') || row.metric.endsWith('_per_gpu');
  const measured =
    latency !== undefined ? value * latency : perGpu ? value * Number(row.num_gpus) : value;
  return { measure, metric, measured, row };
}

export const precisionLabel = (options: PoolOptions): string =>
  `${options.quantization ?? '16-bit'}${options.kvCacheDtype ? `, ${options.kvCacheDtype} KV` : ''}`;

/** Of `0.13.0`: 13; 99 from 1.0 on. */
export const minorOf = (version: string): number =>
  version.startsWith('0.') ? Number.parseInt(version.slice(2), 10) : 99;

export const number = (text: string): number => Number.parseFloat(text);
