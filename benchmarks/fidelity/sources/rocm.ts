/** AMD's vLLM containers on MI300X: fixed batches, and offline throughput (input and output tokens). */

import { fixed, type Load } from '../case.js';
import { compare, number, precisionLabel, type Source } from './source.js';

export const rocm: Source = {
  names: ['rocm_vllm_mi300x'],
  map(row, model, gpu) {
    const options = {
      tensorParallelSize: number(row.tp),
      quantization: 'fp8',
      kvCacheDtype: 'fp8',
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
