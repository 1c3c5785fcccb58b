/** The figures aimed at, and which rows each is about. */

import type { Residual } from './residuals.js';

export interface Target {
  readonly name: string;
  readonly metrics: readonly string[];
  /** Percent, of the median absolute error. */
  readonly median: number;
  includes(r: Residual): boolean;
}

/** Dense models, one GPU or direct links, on engines of today. */
const current = (r: Residual): boolean =>
  r.case.model.moe === undefined &&
  direct(r) &&
  /^(vllm-(0\.([89]|1\d|2\d|3\d)|1)|trtllm-(0\.(14|15|2\d)|1))/.test(r.case.engine) &&
  r.case.gpu.vendor === 'nvidia';
const direct = (r: Residual): boolean =>
  r.case.gpu.link.kind !== 'pcie' || (r.case.options.tensorParallelSize ?? 1) === 1;
const moe = (r: Residual): boolean =>
  r.case.model.moe !== undefined && r.case.gpu.vendor === 'nvidia' && !old(r);
const old = (r: Residual): boolean =>
  /^(vllm-0\.[0-5](\.|$)|trtllm-0\.(9|10|11))/.test(r.case.engine);

export const TARGETS: readonly Target[] = [
  { name: 'dense, current engines', metrics: ['tpot'], median: 6.5, includes: current },
  {
    name: 'dense, current engines',
    metrics: ['output tok/s', 'total tok/s'],
    median: 7.5,
    includes: current,
  },
  {
    name: 'dense, current engines',
    metrics: ['e2e', 'e2e (batch)'],
    median: 7,
    includes: (r) => r.case.model.moe === undefined && r.case.gpu.vendor === 'nvidia' && !old(r),
  },
  { name: 'dense, current engines', metrics: ['ttft'], median: 15, includes: current },
  { name: 'experts', metrics: ['tpot'], median: 15, includes: moe },
  { name: 'experts', metrics: ['ttft'], median: 30, includes: moe },
  {
    name: 'MI300X',
    metrics: ['e2e (batch)', 'total tok/s', 'output tok/s', 'tpot'],
    median: 15,
    includes: (r) => r.case.gpu.vendor === 'amd',
  },
  {
    name: 'engines before 2024',
    metrics: ['tpot', 'output tok/s', 'ttft'],
    median: 15,
    includes: old,
  },
];
