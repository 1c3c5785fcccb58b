/**
 * dstack's 405B runs on vLLM 0.6: fixed batches; the online runs are far beyond capacity and compare by throughput.
 * Other engines' rows say what they are.
 */

import { fixed, type Load } from '../case.js';
import { plain } from './plain.js';
import { compare, number, precisionLabel, type Source } from './source.js';

export const dstack: Source = {
  names: ['dstack_benchmarks'],
  map(row, model, gpu) {
    if (!row.engine_version.startsWith('0.6')) return plain(row, model, gpu);
    if (row.params_note.startsWith('two replicas'))
      return { unmapped: 'two replicas behind an unstated router' };
    if (gpu.vendor === 'amd' && row.model.startsWith('meta-llama/'))
      return {
        unmapped:
          "Meta's fp8 weights are scaled per channel, which ROCm had no kernel for until vLLM 0.7.3: each step 0.1 s longer than with AMD's, at any batch",
      };
    const options = {
      tensorParallelSize: number(row.tp),
      quantization: row.model.startsWith('meta-llama/') ? 'fbgemm_fp8' : 'fp8',
      ...(row.dtype.endsWith('/fp8') ? { kvCacheDtype: 'fp8' } : {}),
      inputLatencyMs: 0,
    };
    const base = {
      source: 'dstack',
      model,
      gpu,
      engine: 'vllm-0.6.3',
      options,
      precision: precisionLabel(options),
    };
    const lengths = {
      input: fixed(Math.round(number(row.input_len))),
      output: fixed(Math.round(number(row.output_len))),
    };
    if (row.metric === 'batch_latency') {
      const load: Load = { kind: 'batch', numRequests: number(row.concurrency), ...lengths };
      return { case: { ...base, load }, comparison: compare(row, 'makespan', 'e2e (batch)') };
    }
    if (row.metric === 'throughput_as_printed') return { unmapped: 'follows from batch_latency' };
    if (row.metric !== 'output_throughput')
      return { unmapped: `${row.metric} of an overloaded server with unknown lengths` };
    const load: Load = {
      kind: 'poisson',
      perSecond: number(row.request_rate),
      numRequests: 1000,
      ...lengths,
    };
    return { case: { ...base, load }, comparison: compare(row, 'output_tps', 'output tok/s') };
  },
};
