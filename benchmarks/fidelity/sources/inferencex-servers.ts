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

export interface Server extends Pick<Case, 'graphTokens' | 'pollSteps' | 'waitsForBatch'> {
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
  readonly attentionDp: boolean;
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
  };
}

/** The scheduler looks for new requests only every so many decode steps. */
function sglang({ row, gpu, clients, attentionDp }: Asked): Server {
  const polls = gpu.architecture === 'blackwell' && !attentionDp;
  const every = clients >= 16 ? 30 : 10;
  const chunk = gpu.vendor === 'amd' ? 196_608 : row.dtype.startsWith('fp4') ? 16_384 : 32_768;
  return {
    engine: 'sglang',
    options: {
      maxNumBatchedTokens: chunk,
      ...(polls ? { prefillScheduleInterval: every } : {}),
    },
    ...(polls ? { pollSteps: every } : {}),
  };
}

const BATCH_WAIT_STEPS = 20;
const DELAYED_BATCHING_STEPS = 40;
/** Data-parallel ranks start prompts together: how long one waits for the others. */
const BALANCED_STEPS = 60;

/** Prompts are held back for some steps to run several together, in the shapes where that paid. */
function trtllm(asked: Asked): Server {
  const { row, model, clients, inputTokens, outputTokens, tensorParallel, attentionDp } = asked;
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
  const balanced = attentionDp ? (model.mla ? BALANCED_STEPS : BALANCED_STEPS / 2) : 1;
  const delayed = model.mla !== undefined && fp8 && even && clients >= 64 && day >= '2026-01-29';
  const waits = model.moe === undefined && even && tensorParallel < 8;
  const interval = waits ? BATCH_WAIT_STEPS : delayed ? DELAYED_BATCHING_STEPS : balanced;
  return {
    engine: `trtllm-${row.engine_version || '1.1'}`,
    options: {
      maxNumBatchedTokens: budget,
      ...scriptedKv(model),
      ...(interval > 1 ? { prefillScheduleInterval: interval } : {}),
    },
    ...(interval > 1 ? { waitsForBatch: interval } : {}),
  };
}
