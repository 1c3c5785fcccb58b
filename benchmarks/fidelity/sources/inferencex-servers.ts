/**
 * How InferenceX starts the servers it measures: the flags that change when a step happens or how many
 * tokens it has. Read from the scripts under `benchmarks/` of github.com/SemiAnalysisAI/InferenceX, by
 * the day of the measurement where they changed.
 */

import type { GpuSpec } from '../../../src/core/model/gpu.js';
import type { ModelShape } from '../../../src/core/model/model-shape.js';
import type { PoolOptions } from '../../../src/core/scenario.js';
import type { Case } from '../case.js';
import type { Row } from '../rows.js';
import { minorOf } from './source.js';

export interface Server extends Pick<Case, 'graphTokens' | 'dispatchFactor'> {
  /** Whose host costs: asynchronous scheduling is switched on for versions that do not have it by default. */
  readonly engine: string;
  readonly options: PoolOptions;
}

interface Asked {
  readonly row: Row;
  readonly model: ModelShape;
  readonly gpu: GpuSpec;
  readonly clients: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly tensorParallel: number;
  /** Of attention data parallel; 1: there is none. */
  readonly ranks: number;
}

/** Of the measurement, as `2026-01-29`. */
export const dayOf = (row: Row): string => /measured (\d{4}-\d\d-\d\d)/.exec(row.note)?.[1] ?? '';

export function serverOf(asked: Asked): Server {
  if (asked.row.engine === 'vLLM') return vllm(asked);
  return asked.row.engine === 'SGLang' ? sglang(asked) : trtllm(asked);
}

/** vLLM's first version with asynchronous scheduling by default. */
const ASYNC = 'vllm-0.14';

/** Scripts set an fp8 cache for all models but gpt-oss. vLLM on H100 kept 16 bits, whatever its script says: it queues where it must then. */
const scriptedKv = (model: ModelShape): PoolOptions =>
  model.quantization === 'mxfp4' ? {} : { kvCacheDtype: 'fp8' };

/**
 * Dense models on Blackwell: `"cudagraph_mode": "FULL_DECODE_ONLY"`, `"splitting_ops": []`,
 * `"custom_ops": ["+quant_fp8", "+rms_norm"]`. Steps with prefill have no graphs, and norms and quantising, which the
 * compiler would merge into its kernels, are called from Python. So a layer is launched as slowly as by TensorRT-LLM's PyTorch
 * runtime, by the ratio of their priors (0.71 and 0.44 ms); the rows themselves say the same.
 */
const UNGRAPHED_PREFILL: Pick<Case, 'graphTokens' | 'dispatchFactor'> = {
  graphTokens: 0,
  dispatchFactor: 1.6,
};

function vllm({ row, model, gpu }: Asked): Server {
  const version = row.engine_version;
  const options =
    gpu.vendor === 'amd'
      ? { maxNumBatchedTokens: 131_072, ...scriptedKv(model) }
      : { maxNumBatchedTokens: 8192 };
  return {
    engine: version && minorOf(version) >= 14 ? `vllm-${version}` : ASYNC,
    options,
    // gpt-oss: graphs are captured up to 2,048 tokens.
    ...(model.quantization === 'mxfp4' ? { graphTokens: 2048 } : {}),
    ...(model.moe === undefined && gpu.architecture === 'blackwell' ? UNGRAPHED_PREFILL : {}),
  };
}

/** The scheduler looks for new requests only every so many decode steps. */
function sglang({ row, gpu, clients, ranks }: Asked): Server {
  const polls = gpu.architecture === 'blackwell' && ranks === 1;
  const chunk = gpu.vendor === 'amd' ? 196_608 : row.dtype.startsWith('fp4') ? 16_384 : 32_768;
  return {
    engine: 'sglang',
    options: {
      maxNumBatchedTokens: chunk,
      ...(polls ? { schedulerRecvInterval: clients >= 16 ? 30 : 10 } : {}),
    },
  };
}

type Wait = Required<Pick<PoolOptions, 'batchWaitTimeoutIters' | 'batchWaitMaxTokensRatio'>>;

const wait = (batchWaitTimeoutIters: number, batchWaitMaxTokensRatio: number): Wait => ({
  batchWaitTimeoutIters,
  batchWaitMaxTokensRatio,
});

/**
 * Attention data parallel with `enable_balance`: prompts are let go when every rank has one, at most `timeout_iters` steps after the
 * first. Until then as many arrive as a collector of `ranks` cards draws. The first of them waits all the time and the last
 * not at all, which a rank by itself does not know: half of it each.
 */
function stepsToMeet({ ranks, clients, outputTokens }: Asked, timeout: number): number {
  const perStep = clients / (MEAN_LENGTH * outputTokens);
  const draws = Array.from({ length: ranks }, (_, i) => ranks / (i + 1));
  const all = draws.reduce((sum, n) => sum + n, 0) - 1;
  return Math.ceil(Math.min(timeout, all / perStep) / 2);
}

/** Lengths are uniform in [0.8, 1] of the nominal. */
const MEAN_LENGTH = 0.9;

/** Prompts are held back for some steps to run several together, in the shapes where that paid. */
function trtllm(asked: Asked): Server {
  const { row, model, clients, inputTokens, outputTokens, tensorParallel, ranks } = asked;
  const day = dayOf(row);
  const even = inputTokens === 1024 && outputTokens === 1024;
  const fp8 = row.dtype.startsWith('fp8');
  const exact = 64 * Math.floor((clients + inputTokens + 127) / 64);
  const budget =
    model.moe === undefined
      ? 16_384
      : model.mla === undefined
        ? 20_000
        : day < '2026-01-21'
          ? exact
          : Math.max(8192, exact);
  const delayed = model.mla !== undefined && fp8 && even && clients >= 64 && day >= '2026-01-29';
  const waits = model.moe === undefined && even && tensorParallel < 8;
  const balanced = ranks > 1 ? wait(stepsToMeet(asked, model.mla ? 60 : 50), 1) : {};
  return {
    engine: `trtllm-${row.engine_version || '1.1'}`,
    options: {
      maxNumBatchedTokens: budget,
      ...scriptedKv(model),
      ...(waits ? wait(20, 0.9) : delayed ? wait(40, 0.8) : balanced),
    },
  };
}
