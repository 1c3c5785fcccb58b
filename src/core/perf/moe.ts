/**
 * Mixtures of experts: router, grouped GEMM of the routed experts, the shared expert, and the exchange
 * of tokens between ranks.
 *
 * With uniform routing M tokens meet E·(1 − (1 − k/E)^M) experts: at small batches only their weights
 * are read, at large ones all. Each touched expert computes its rows padded to a block. Spread over
 * GPUs (EP), the fullest GPU decides: its load exceeds the mean as the largest of `ranks` random draws does.
 */

import { exchange } from './collectives.js';
import { type ExpertRouting, UniformRouting } from './expert-routing.js';
import type { Deployment } from './layers.js';
import { gemm, latency, type Operator, softMax } from './operator.js';

/** How the tokens of a model with experts spread over them. */
export function routingOf({ model, routing }: Deployment): ExpertRouting {
  const { numExperts, numExpertsPerToken } = model.moe!;
  return routing ?? new UniformRouting(numExperts, numExpertsPerToken);
}

/** What a rank computes for its own tokens: router, dispatch, shared expert. */
export function routingOperators(d: Deployment, tokens: number): Operator[] {
  const { model: m, layout, precision, efficiency: e } = d;
  const moe = m.moe!;
  const result = [
    gemm(
      d,
      'router',
      moe.numLayers,
      { rows: tokens, columns: moe.numExperts, inner: m.hiddenSize },
      precision.plain,
    ),
    latency(
      'expert dispatch',
      moe.numLayers,
      smallQuantisedExperts(d) ? d.engine.smallExpertSeconds : e.moeSeconds,
      ['moe_seconds'],
    ),
  ];
  const shared = moe.sharedExpertIntermediateSize / layout.tp;
  if (shared > 0) {
    const first = { rows: tokens, columns: (m.numMlpMatrices - 1) * shared, inner: m.hiddenSize };
    result.push(gemm(d, 'shared expert, in', moe.numLayers, first, precision.linear));
    result.push(
      gemm(
        d,
        'shared expert, out',
        moe.numLayers,
        { rows: tokens, columns: m.hiddenSize, inner: shared },
        precision.linear,
      ),
    );
  }
  return result;
}

/** What the experts compute for `allTokens` tokens, those of all data-parallel ranks. */
export function expertOperators(d: Deployment, allTokens: number): Operator[] {
  const { model: m, layout } = d;
  const moe = m.moe!;
  const ranks = layout.tp * layout.dp;
  const result = [routedExperts(d, allTokens, ranks)];
  if (layout.dp > 1) {
    const message = allTokens * m.hiddenSize * 2;
    const dispatched = layout.expertParallel
      ? Math.min(message, (allTokens * moe.numExpertsPerToken * m.hiddenSize * 2) / ranks)
      : message;
    result.push(exchange(d, 'dispatch tokens', moe.numLayers, dispatched, ranks));
    result.push(exchange(d, 'combine tokens', moe.numLayers, dispatched, ranks));
  }
  return result;
}

const hasManyExperts = ({ model }: Deployment): boolean => model.moe!.numExperts >= 64;

/** Many small experts in 8 or 4 bits: kernels differ by engine far more than for large ones. */
const smallQuantisedExperts = (d: Deployment): boolean =>
  hasManyExperts(d) &&
  d.precision.experts.bytesPerWeight < 2 &&
  d.precision.linear.bytesPerWeight < 2;

function routedExperts(d: Deployment, tokens: number, ranks: number): Operator {
  const { model: m, layout, precision, efficiency: e, gpu } = d;
  const moe = m.moe!;
  const p = precision.experts;
  const slices = layout.expertParallel ? 1 : ranks;
  const width = moe.expertIntermediateSize / slices;
  const routing = routingOf(d);
  const { touched, rows } = layout.expertParallel
    ? routing.ofFullest(tokens, ranks)
    : routing.inAll(tokens);

  const parameters = m.numMlpMatrices * m.hiddenSize * width;
  const flop = 2 * parameters * rows;
  const bytes =
    touched * parameters * p.bytesPerWeight +
    rows * (m.hiddenSize + width) * (p.bytesPerActivation + 2);
  const many = hasManyExperts(d);
  const padding = (2 * parameters * touched * (many ? e.manyMoePadRows : e.moePadRows)) / 2;
  const compute =
    (flop + padding) / (p.peak * p.compute * (many ? e.manyMoeCompute : e.moeCompute));
  const fraction = smallQuantisedExperts(d) ? d.engine.smallExpertMemory : e.moeMemory;
  const memory = bytes / (gpu.memoryBytesPerS * fraction);
  return {
    name: 'routed experts',
    count: moe.numLayers,
    flop,
    bytes,
    linkBytes: 0,
    seconds: softMax(compute, memory, e.gemmSoftness),
    bound: compute > memory ? 'compute' : 'memory',
    peak: p.peak,
    constants: [
      'moe_memory',
      many ? 'many_moe_compute' : 'moe_compute',
      many ? 'many_moe_pad_rows' : 'moe_pad_rows',
      `gemm_compute (${p.label})`,
    ],
  };
}
