/**
 * TensorRT-LLM's performance overview: offline maxima with all requests at once, static batches
 * (0.9), and an online table of Triton with Poisson arrivals.
 */

import type { GpuSpec } from '../../../src/core/model/gpu.js';
import type { ModelShape } from '../../../src/core/model/model-shape.js';
import { fixed, type Lengths, type Load, type Mapping } from '../case.js';
import type { Row } from '../rows.js';
import {
  compare,
  dtypeOptions,
  layoutOptions,
  minorOf,
  number,
  precisionLabel,
  type Source,
} from './source.js';
import { runOf } from './trtllm-servers.js';

export const trtllmOverview: Source = {
  names: ['trtllm_perf_overview'],
  map(row, model, gpu) {
    const input = number(row.input_len);
    const output = number(row.output_len);
    const options = {
      ...layoutOptions(row),
      ...dtypeOptions(dtypeOf(row, model, gpu), model),
    };
    const online = row.note.startsWith('online');
    const version = /^[\d.]+/.exec(row.engine_version)?.[0] ?? '1.1';
    const engine = `trtllm-${version}`;
    const base = {
      source: online ? 'TensorRT-LLM online' : 'TensorRT-LLM overview',
      model,
      gpu,
      engine,
      // Requests of the offline runs were tokenised before.
      options: online ? options : { ...options, inputLatencyMs: 0 },
      noEvict: true,
      precision: precisionLabel(options),
    };
    if (row.metric === 'ttft') {
      const load: Load = { kind: 'batch', numRequests: 1, input: fixed(input), output: fixed(1) };
      return {
        case: { ...base, load },
        comparison: compare(row, 'ttft', 'ttft'),
      };
    }
    if (online) return onlineRow(row, { ...base, load: onlineLoad(row, input, output) });
    if (row.note.startsWith('STATIC')) {
      const load: Load = {
        kind: 'batch',
        numRequests: number(row.concurrency),
        input: fixed(input),
        output: fixed(output),
      };
      return { case: { ...base, load }, comparison: compare(row, 'output_tps', 'output tok/s') };
    }
    const {
      numRequests,
      options: limits,
      ...run
    } = runOf({
      model,
      gpu,
      options,
      inputTokens: input,
      outputTokens: output,
      minor: minorOf(version),
    });
    const load: Load = {
      kind: 'batch',
      numRequests,
      input: fixed(input),
      output: fixed(output),
    };
    return {
      case: { ...base, ...run, options: { ...base.options, ...limits }, load },
      comparison: compare(row, 'output_tps', 'output tok/s'),
    };
  },
};

/** Where the page names no type of the KV cache it was fp8, but for gpt-oss on Hopper ("Hopper: use auto"). */
function dtypeOf({ dtype }: Row, model: ModelShape, gpu: GpuSpec): string {
  if (dtype.startsWith('mixed')) return '16-bit';
  if (!dtype.endsWith('/') || dtype.startsWith('16')) return dtype;
  return model.quantization === 'mxfp4' && gpu.architecture === 'hopper' ? dtype : `${dtype}fp8`;
}

function onlineLoad(row: Row, input: number, output: number): Load {
  const rate = number(row.request_rate);
  const lengths = { numRequests: 500, ...realLengths(input, output) };
  return Number.isFinite(rate)
    ? { kind: 'poisson', perSecond: rate, ...lengths }
    : { kind: 'batch', ...lengths };
}

/**
 * The page states averages of real requests. Outputs of 16 and 256 are limits that all requests reach: their throughput is
 * rate × length. Those of 214 on average vary: at 16 requests/s 500 of them take 17 s more than their arrivals, three average ones.
 */
function realLengths(input: number, output: number): { input: Lengths; output: Lengths } {
  const varied = (mean: number): Lengths => ({ low: 1, high: 2 * mean - 1 });
  return output === 214
    ? { input: varied(input), output: varied(output) }
    : { input: fixed(input), output: fixed(output) };
}

function onlineRow(row: Row, base: Extract<Mapping, { case: unknown }>['case']): Mapping {
  if (row.metric === 'ttft_mean') return { case: base, comparison: compare(row, 'ttft', 'ttft') };
  if (row.metric === 'itl_mean') return { case: base, comparison: compare(row, 'tpot', 'tpot') };
  if (row.metric === 'output_throughput')
    return { case: base, comparison: compare(row, 'output_tps', 'output tok/s') };
  return { unmapped: `${row.metric} follows from output_throughput` };
}
