/** LMDeploy TurboMind 0.2 on A100: client threads in a closed loop with fixed lengths. */

import { fixed, type Load, type Measure } from '../case.js';
import { compare, number, precisionLabel, type Source } from './source.js';

const MEASURES: Readonly<Record<string, Measure>> = {
  ttft_mean: 'ttft',
  itl_p50: 'itl_p50',
  output_throughput: 'output_tps',
};

/** 16 prompts of 2,048 tokens have their first tokens together: 2.9 s on average, 16 times what one takes. */
const PROMPT_TOKENS_PER_STEP = 32_768;

export const lmdeploy: Source = {
  names: ['lmdeploy_a100'],
  map(row, model, gpu) {
    const measure = MEASURES[row.metric];
    if (!measure) return { unmapped: `metric ${row.metric}` };
    if (row.input_len === '') return { unmapped: 'lengths come from a data set that is not given' };
    const clients = number(row.concurrency);
    const options = {
      tensorParallelSize: number(row.tp),
      enableChunkedPrefill: false,
      maxNumBatchedTokens: PROMPT_TOKENS_PER_STEP,
    };
    const load: Load = {
      kind: 'closed',
      clients,
      numRequests: 3 * clients,
      input: fixed(number(row.input_len)),
      output: fixed(number(row.output_len)),
    };
    return {
      case: {
        source: 'LMDeploy',
        model,
        gpu,
        engine: 'lmdeploy',
        options,
        load,
        precision: precisionLabel(options),
      },
      comparison: compare(
        row,
        measure,
        measure === 'output_tps' ? 'output tok/s' : measure === 'itl_p50' ? 'tpot' : measure,
      ),
    };
  },
};
