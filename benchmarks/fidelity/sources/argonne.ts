/**
 * Argonne's LLM-Inference-Bench: a fixed batch submitted at once; its makespan. vLLM was of the V0
 * generation, the A100 the 40 GB part.
 */

import { listHardware } from '../../../src/config/hardware.js';
import { fixed, type Load } from '../case.js';
import type { Row } from '../rows.js';
import { compare, dtypeOptions, number, precisionLabel, type Source } from './source.js';

const a100 = listHardware().find((gpu) => gpu.name === 'A100-40GB')!;

export const argonne: Source = {
  names: ['argonne_llm_inference_bench'],
  map(row, model, gpu) {
    if (row.metric !== 'batch_latency')
      return { unmapped: `${row.metric} follows from batch_latency` };
    if (row.pp !== '1' || row.tp === '')
      return { unmapped: 'pipeline-parallel or unstated layout' };
    const trtllm = row.engine === 'TensorRT-LLM';
    if (trtllm && model.moe)
      return {
        unmapped:
          'most Mixtral rows on TensorRT-LLM are faster than 16-bit weights allow: precision not recorded',
      };
    if (gpu.vendor === 'amd' && !model.moe && firstOfAll(row))
      return {
        unmapped:
          'the first batch of each server on AMD, a second or two longer than its steps: one prompt of 128 tokens takes as long as one of 256',
      };
    const options = {
      tensorParallelSize: number(row.tp),
      ...dtypeOptions(row.dtype, model),
      inputLatencyMs: 0,
      ...(trtllm ? LEAST_LIMITS : {}),
    };
    const load: Load = {
      kind: 'batch',
      numRequests: number(row.concurrency),
      input: fixed(number(row.input_len)),
      output: fixed(number(row.output_len)),
    };
    return {
      case: {
        source: 'Argonne',
        model,
        gpu: gpu.name === 'A100' ? a100 : gpu,
        engine: trtllm ? 'trtllm-0.12' : 'vllm-0.6',
        options,
        noEvict: trtllm,
        load,
        precision: precisionLabel(options),
      },
      comparison: compare(row, 'makespan', 'e2e (batch)'),
    };
  },
};

/** Of its TensorRT-LLM engines: the largest batch that was sent, and a budget of tokens that the largest models leave memory for. */
const LEAST_LIMITS = { maxNumSeqs: 64, maxNumBatchedTokens: 4096 };

const firstOfAll = (row: Row): boolean => row.concurrency === '1' && row.input_len === '128';
