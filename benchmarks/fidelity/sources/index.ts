/** All sources, each with its mapping or the reason for having none. */

import { argonne } from './argonne.js';
import { dstack } from './dstack.js';
import { inferenceX } from './inferencex.js';
import { lmdeploy } from './lmdeploy.js';
import { mlEnergyV2, mlEnergyV3 } from './ml-energy.js';
import { rocm } from './rocm.js';
import type { Source } from './source.js';
import { trtllmOverview } from './trtllm-overview.js';

export const SOURCES: readonly Source[] = [
  inferenceX,
  trtllmOverview,
  argonne,
  lmdeploy,
  mlEnergyV3,
  mlEnergyV2,
  rocm,
  dstack,
  {
    names: ['aiconfigurator_silicon_disagg'],
    map: 'prefill and decode on different workers are not simulated',
  },
  { names: ['llamacpp_gpu_benchmarks'], map: 'llama.cpp has no engine profile' },
  {
    names: ['mlperf_inference'],
    map: 'logs state neither tensor-parallel size nor number of replicas',
  },
];
