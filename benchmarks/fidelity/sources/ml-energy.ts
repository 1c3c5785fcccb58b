/**
 * ML.ENERGY leaderboards: the engine's queue is always full, so what is known is the running batch.
 * v3 gives the median gap, which is a decode step at that batch; v2 gives mean TPOT of a closed loop.
 * Input lengths are not published: about 200 tokens of chat.
 */

import { fixed, type Load } from '../case.js';
import { compare, dtypeOptions, number, precisionLabel, type Source } from './source.js';

const PROMPT_TOKENS = 200;
/** Of its output a running request has done half when all are alike; more where lengths vary: (1 + CV²)/2, with CV about 0.6. */
const SHARE_DONE = 0.7;

export const mlEnergyV3: Source = {
  names: ['ml_energy_v3'],
  map(row, model, gpu) {
    if (row.metric !== 'itl_p50')
      return { unmapped: `${row.metric}: input lengths and arrivals are not published` };
    const running = number(/mean running batch ([\d.]+)/.exec(row.note)?.[1] ?? '');
    const output = number(row.output_len);
    if (!(running >= 1)) return { unmapped: 'mean running batch not stated' };
    if (running / output >= 0.7)
      return { unmapped: 'the median step also carries a prefill of unknown length' };
    if (/\bDP=([2-9]|\d\d)/.test(row.params_note))
      return { unmapped: 'data-parallel attention: running batches of the ranks are not stated' };
    const moeEp = number(/EP=(\d+)/.exec(row.params_note)?.[1] ?? '1');
    const options = {
      tensorParallelSize: number(row.num_gpus),
      ...(moeEp > 1 ? { enableExpertParallel: true } : {}),
      ...dtypeOptions(row.dtype, model),
    };
    const load: Load = {
      kind: 'step',
      numDecodes: Math.round(running),
      context: PROMPT_TOKENS + SHARE_DONE * output,
    };
    return {
      case: {
        source: 'ML.ENERGY v3',
        model,
        gpu,
        engine: 'vllm-0.11.1',
        options,
        load,
        precision: precisionLabel(options),
      },
      comparison: compare(row, 'step', 'tpot'),
    };
  },
};

export const mlEnergyV2: Source = {
  names: ['ml_energy_v2'],
  map(row, model, gpu) {
    if (row.metric !== 'tpot_mean')
      return { unmapped: `${row.metric}: input lengths are not published` };
    if (row.pp !== '1') return { unmapped: 'pipeline-parallel layout' };
    const clients = Math.round(number(/mean running batch ([\d.]+)/.exec(row.note)?.[1] ?? ''));
    if (!(clients >= 1)) return { unmapped: 'mean running batch not stated' };
    const options = { tensorParallelSize: number(row.tp), maxNumSeqs: clients };
    const output = Math.round(number(row.output_len));
    const load: Load = {
      kind: 'closed',
      clients,
      numRequests: 4 * clients,
      input: fixed(PROMPT_TOKENS),
      output: { low: Math.round(output / 2), high: Math.round(1.5 * output) },
    };
    return {
      case: {
        source: 'ML.ENERGY v2',
        model,
        gpu,
        engine: 'vllm-0.5',
        options,
        load,
        precision: precisionLabel(options),
      },
      comparison: compare(row, 'tpot', 'tpot'),
    };
  },
};
