/** AMD's vLLM containers on MI300X: fixed batches, and offline throughput (input and output tokens). */

import type { ModelShape } from '../../../src/core/model/model-shape.js';
import { fixed, type Load } from '../case.js';
import { findModel } from '../names.js';
import type { Row } from '../rows.js';
import { compare, dtypeOptions, number, precisionLabel, type Source } from './source.js';

/** The page's table for 405B names the model of the table above it; its times are those of 405B in later versions. */
const ofHeading = (row: Row): ModelShape | undefined =>
  row.params_note === 'Llama 3.1 405B'
    ? findModel('meta-llama/Llama-3.1-405B-Instruct')
    : undefined;

export const rocm: Source = {
  names: ['rocm_vllm_mi300x'],
  map(row, named, gpu) {
    const model = ofHeading(row) ?? named;
    const options = {
      tensorParallelSize: number(row.tp),
      ...dtypeOptions(row.dtype, model),
      ...(row.dtype.startsWith('fp8') ? { kvCacheDtype: 'fp8' } : {}),
      inputLatencyMs: 0,
    };
    const clients = number(row.concurrency);
    const latency = row.metric === 'batch_latency';
    const count = latency
      ? clients
      : number(/num_prompts (\d+)/.exec(row.note)?.[1] ?? row.concurrency);
    const load: Load = {
      kind: 'batch',
      numRequests: count,
      input: fixed(number(row.input_len)),
      output: fixed(number(row.output_len)),
    };
    return {
      case: {
        source: 'ROCm vLLM',
        model,
        gpu,
        engine: `vllm-${row.engine_version}`,
        ...(row.engine_version >= '0.8' ? { greedy: true } : {}),
        options: latency ? options : { ...options, maxNumSeqs: clients },
        load,
        precision: precisionLabel(options),
      },
      comparison: latency
        ? compare(row, 'makespan', 'e2e (batch)')
        : compare(row, 'total_tps', 'total tok/s'),
    };
  },
};
