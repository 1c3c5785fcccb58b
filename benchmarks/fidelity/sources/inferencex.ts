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
import { dayOf, serverOf } from './inferencex-servers.js';
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
    if (team && row.engine_version === LAUNCH_BOUND) {
      return {
        unmapped:
          'TPOT is the same with 5 sequences per GPU and with 56, as of decodes launched kernel by kernel: no CUDA graphs, unstated',
      };
    }
    if (model.mla && SPECULATIVE.test(row.note)) {
      return {
        unmapped:
          'TPOT is half of that of the same software a month before: speculative decoding, unstated',
      };
    }
    if (metric === 'ttft' && model.mla && row.engine === 'SGLang' && dayOf(row) < WARM_UPS_SINCE) {
      return {
        unmapped: 'no warm-up requests then: the first wave waited seconds for kernels to compile',
      };
    }
    const layout = layoutOf(row);
    const server = team
      ? { engine: `trtllm-${row.engine_version || '1.1'}`, options: {} }
      : serverOf({
          row,
          model,
          gpu,
          clients,
          inputTokens: number(row.input_len),
          outputTokens: number(row.output_len),
          tensorParallel: layout.tensorParallelSize ?? 1,
          ranks: layout.dataParallelSize ?? 1,
        });
    const options = { ...layout, ...precisionOf(row, model, gpu), ...server.options };
    const { options: _, ...rest } = server;
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
        options,
        noEvict: row.engine === 'TensorRT-LLM',
        ...rest,
        ...(row.engine === 'vLLM' ? { greedy: true } : {}),
        load,
        precision: precisionLabel(options),
      },
      comparison: compare(row, metric, metric),
    } satisfies Mapping;
  },
};

/** From this day on, twice as many requests as clients are sent before the measured ones. */
const WARM_UPS_SINCE = '2026-01-21';

/** Team runs of March 2026: DeepSeek-R1 85 to 92 ms on 4 and 8 GPUs at 40 to 224 clients, gpt-oss 47 to 49 ms at 160 to 384: 1.4 ms a layer. */
const LAUNCH_BOUND = '1.3.0rc1';

/** Days on which DeepSeek ran with its multi-token prediction. */
const SPECULATIVE = /measured 2026-0(1-14|2-05|2-06)/;

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

/** Blackwell ran with fp8 KV: with 16 bits, long outputs would take a third longer. */
function precisionOf(row: Row, model: ModelShape, gpu: GpuSpec): PoolOptions {
  const options = dtypeOptions(row.dtype, model);
  const fp8Kv = gpu.architecture === 'blackwell';
  return fp8Kv ? { ...options, kvCacheDtype: 'fp8' } : options;
}
