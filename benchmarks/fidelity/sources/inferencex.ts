/**
 * InferenceX dumps and NVIDIA team runs (aiconfigurator's `silicon_sample.csv`).
 *
 * InferenceX: C clients in a closed loop, 10·C requests, all clients starting at once and nothing
 * dropped; lengths uniform in [0.8, 1] of the nominal; the statistic is a mean. The team runs state fixed
 * lengths; a tenth of spread keeps clients from staying in step for ever, which the measured TPOT shows they did not. The number of GPUs in
 * the file is moe_tp × moe_ep also where both name the same GPUs; then it is the square of the real one.
 */

import type { GpuSpec } from '../../../src/core/model/gpu.js';
import type { ModelShape } from '../../../src/core/model/model-shape.js';
import type { PoolOptions } from '../../../src/core/scenario.js';
import type { Lengths, Load, Mapping } from '../case.js';
import type { Row } from '../rows.js';
import { compare, dtypeOptions, number, precisionLabel, type Source } from './source.js';

export const inferenceX: Source = {
  names: ['aiconfigurator_silicon'],
  map(row, model, gpu) {
    const team = row.note.startsWith('NVIDIA');
    const clients = number(row.concurrency);
    const metric = row.metric.startsWith('ttft')
      ? 'ttft'
      : row.metric.startsWith('tpot')
        ? 'tpot'
        : row.metric.startsWith('e2e')
          ? 'e2e'
          : undefined;
    if (!metric) return { unmapped: `metric ${row.metric}` };
    if (clients >= 512)
      return { unmapped: "the engine's own batch limit was below the concurrency" };
    if (metric === 'ttft' && team)
      return {
        unmapped: 'TTFT grows with output length: the engine admitted fewer requests than clients',
      };
    if (
      metric === 'ttft' &&
      row.engine === 'TensorRT-LLM' &&
      gpu.architecture === 'blackwell' &&
      !model.moe
    ) {
      return {
        unmapped:
          'TTFT of TensorRT-LLM 70B on B200 carries a constant that its own longer runs do not have',
      };
    }
    if (model.mla && SPECULATIVE.test(row.note)) {
      return {
        unmapped:
          'TPOT is half of that of the same software a month before: speculative decoding, unstated',
      };
    }
    const options = { ...layoutOf(row), ...precisionOf(row, model, gpu) };
    const input = number(row.input_len);
    const output = number(row.output_len);
    const lengths = (n: number): Lengths =>
      team
        ? { low: Math.ceil(0.9 * n), high: Math.floor(1.1 * n) }
        : { low: Math.ceil(0.8 * n), high: n };
    const load: Load = {
      kind: 'closed',
      clients,
      numRequests: 10 * clients,
      input: lengths(input),
      output: lengths(output),
    };
    return {
      case: {
        source: team ? 'NVIDIA runs' : 'InferenceX',
        model,
        gpu,
        engine: engineOf(row),
        options,
        noEvict: row.engine === 'TensorRT-LLM',
        // InferenceX captures graphs up to 2,048 tokens for gpt-oss on vLLM.
        ...(model.mla && COLD_START[row.engine] && !team
          ? { coldStartSeconds: COLD_START[row.engine]! * Math.sqrt(clients) }
          : {}),
        ...(row.engine === 'vLLM' && model.quantization === 'mxfp4' ? { graphTokens: 2048 } : {}),
        load,
        precision: precisionLabel(options),
      },
      comparison: compare(row, metric, metric),
    } satisfies Mapping;
  },
};

/**
 * Seconds per √clients that the first wave of DeepSeek waits besides computing: the mean TTFT of these runs is the same for outputs of 1,024
 * and 8,192 tokens, so it is not queueing, and TPOT shows none of it. Kernels are compiled or tuned as batch
 * sizes are first met. One constant per engine, fitted.
 */
const COLD_START: Readonly<Record<string, number>> = { SGLang: 0.65, 'TensorRT-LLM': 0.35 };

/** Days on which DeepSeek ran with its multi-token prediction. */
const SPECULATIVE = /measured 2026-0(1-14|2-05|2-06)/;

/** Versions the dumps leave out are told by their date: autumn 2025. */
function engineOf(row: Row): string {
  const version = row.engine_version;
  if (row.engine === 'vLLM') return `vllm-${version || '0.11'}`;
  if (row.engine === 'SGLang') return 'sglang';
  return `trtllm-${version || '1.1'}`;
}

export function layoutOf(row: Row): PoolOptions {
  const field = (name: string): number =>
    Number(new RegExp(`${name}=(\\d+)`).exec(row.params_note)?.[1] ?? 1);
  const [moeTp, moeEp, dp] = [field('moe_tp'), field('moe_ep'), field('attention_dp')];
  const dense = /moe=n\/a/.test(row.params_note);
  const numGpus = dense ? number(row.num_gpus) : moeTp === moeEp ? moeTp : moeTp * moeEp;
  return {
    ...(dp > 1 ? { dataParallelSize: numGpus } : { tensorParallelSize: numGpus }),
    ...(moeEp > 1 ? { enableExpertParallel: true } : {}),
  };
}

/** B200 ran with fp8 KV: with 16 bits, long outputs would take a third longer. H100 kept 16: it queues where it must then. */
function precisionOf(row: Row, model: ModelShape, gpu: GpuSpec): PoolOptions {
  const options = dtypeOptions(row.dtype, model);
  const fp8Kv = gpu.architecture === 'blackwell';
  return fp8Kv ? { ...options, kvCacheDtype: 'fp8' } : options;
}
