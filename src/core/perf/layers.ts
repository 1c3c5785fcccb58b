/**
 * The operators of a step that depend only on how many tokens it has: projections, MLP, experts,
 * norms, collectives; and, by how many sequences sample, LM head and sampling.
 *
 * Prefill and decode tokens go through one GEMM together, so a mixed step reads the weights once.
 * All counts are per GPU; attention ranks (DP) see their own tokens, experts those of all ranks.
 */

import type { ModelShape } from '../model/model-shape.js';
import { numAttentionLayers } from '../model/model-shape.js';
import { kvHeadsPerGpu, type Layout } from '../model/parallelism.js';
import type { Seconds } from '../units.js';
import { allReduce, exchange, send } from './collectives.js';
import type { EngineProfile } from './engine-profile.js';
import type { ExpertRouting } from './expert-routing.js';
import type { LoraShape } from './lora.js';
import { expertOperators, routingOperators } from './moe.js';
import { type GemmShape, gemm, type Kernels, latency, type Operator, traffic } from './operator.js';
import type { MatrixPrecision, Precision } from './precision.js';

/** One model on one kind of GPU, laid out and with its numbers chosen: what a step is computed from. */
export interface Deployment extends Kernels {
  readonly model: ModelShape;
  readonly layout: Layout;
  readonly precision: Precision;
  readonly engine: EngineProfile;
  /** How tokens spread over experts; absent: evenly, at random. */
  readonly routing?: ExpertRouting;
  /** LoRA adapters it has slots for; absent: none. */
  readonly lora?: LoraShape;
}

/** Operators of all layers for `tokens` tokens, beside `otherTokens` of other ranks. */
export function layerOperators(
  d: Deployment,
  tokens: number,
  otherTokens = tokens * (d.layout.dp - 1),
): Operator[] {
  const own = ownOperators(d, tokens);
  return d.model.moe ? [...own, ...expertOperators(d, tokens + otherTokens)] : own;
}

/** Those that depend on the tokens of one rank alone: all but the routed experts. */
export function ownOperators(d: Deployment, tokens: number): Operator[] {
  const { model: m, layout, precision, efficiency: e, engine } = d;
  const moeLayers = m.moe?.numLayers ?? 0;
  const denseLayers = m.numLayers - moeLayers;
  const result: Operator[] = [];
  const add = (
    name: string,
    count: number,
    columns: number,
    inner: number,
    p: MatrixPrecision = precision.linear,
  ): void => {
    if (count > 0) result.push(gemm(d, name, count, { rows: tokens, columns, inner }, p));
  };
  for (const [name, shape] of attentionMatrices(m, layout))
    add(name, numAttentionLayers(m), shape.columns, shape.inner, precision.attention);
  if (m.linearAttention) {
    const { numLayers, numParametersPerLayer } = m.linearAttention;
    add(
      'linear attention projections',
      numLayers,
      numParametersPerLayer / layout.tp / m.hiddenSize,
      m.hiddenSize,
    );
  }
  const width = m.intermediateSize / layout.tp;
  add(
    m.numMlpMatrices === 3 ? 'gate and up projection' : 'up projection',
    denseLayers,
    (m.numMlpMatrices - 1) * width,
    m.hiddenSize,
  );
  add('down projection', denseLayers, m.hiddenSize, width);
  if (m.moe) result.push(...routingOperators(d, tokens));

  result.push(
    traffic(
      d,
      'norms, rotary, activation',
      m.numLayers,
      elementwiseBytes(m, layout) * tokens,
      e.elementwiseMemory,
      ['elementwise_memory'],
    ),
  );
  result.push(
    latency('gaps between kernels', m.numLayers, e.layerSeconds * engine.layerFactor, [
      'layer_seconds',
      'layer_factor',
    ]),
  );
  const furtherNorms = (m.numNormsPerLayer ?? 2) - 2;
  if (furtherNorms > 0) {
    const seconds = furtherNorms * e.normSeconds;
    result.push(latency('further norms', m.numLayers, seconds, ['norm_seconds']));
  }
  if (precision.linear.quantised || precision.experts.quantised) {
    result.push(latency('activation quantisation', m.numLayers, e.quantSeconds, ['quant_seconds']));
  }
  if (layout.tp > 1) {
    const message = tokens * m.hiddenSize * 2;
    const expertsExchange = layout.dp > 1 ? moeLayers : 0;
    result.push(allReduce(d, 'all-reduce', 2 * m.numLayers - expertsExchange, message, layout.tp));
  }
  return result;
}

/** What the CPU takes to launch all layers of a step one kernel at a time; experts and latent attention have more of them. */
export function dispatchSeconds({ model: m, engine, efficiency: e }: Deployment): Seconds {
  const layers =
    m.numLayers +
    (m.moe ? m.moe.numLayers * e.expertDispatch : 0) +
    (m.mla ? m.numLayers * e.latentDispatch : 0);
  return layers * engine.dispatchSecondsPerLayer;
}

/** What the stages of a pipeline send each other for `tokens` tokens. */
export function stageOperators(d: Deployment, tokens: number): Operator[] {
  const { pp } = d.layout;
  if (pp === 1) return [];
  return [send(d, 'send to the next stage', pp - 1, tokens * d.model.hiddenSize * 2)];
}

/** Operators at the end of a step in which `sequences` get a token. */
export function headOperators(d: Deployment, sequences: number): Operator[] {
  const { model: m, layout, precision, efficiency: e, engine } = d;
  if (sequences === 0) return [];
  const columns = m.vocabSize / layout.tp;
  const shape: GemmShape = { rows: sequences, columns, inner: m.hiddenSize };
  const result = [gemm(d, 'LM head', 1, shape, precision.plain)];
  if (layout.tp > 1)
    result.push(exchange(d, 'gather logits', 1, sequences * m.vocabSize * 2, layout.tp));
  // Every token is chosen on one GPU, from the logits of the whole vocabulary.
  const bytes = sequences * m.vocabSize * engine.samplingBytesPerLogit;
  result.push(
    traffic(d, 'sampling', 1, bytes, e.elementwiseMemory, [
      'sampling_bytes_per_logit',
      'elementwise_memory',
    ]),
  );
  return result;
}

/** Projections of one attention block, on one GPU. */
export function attentionMatrices(
  m: ModelShape,
  layout: Layout,
): [string, Omit<GemmShape, 'rows'>][] {
  const { tp } = layout;
  const h = m.hiddenSize;
  if (m.mla) {
    const { kvLoraRank, ropeHeadDim, nopeHeadDim, valueHeadDim, qLoraRank } = m.mla;
    const queryWidth = (m.numHeads * (nopeHeadDim + ropeHeadDim)) / tp;
    const compress = qLoraRank + kvLoraRank + ropeHeadDim;
    return [
      ['query and KV compression', { columns: compress, inner: h }],
      ['query projection', { columns: queryWidth, inner: qLoraRank > 0 ? qLoraRank : h }],
      [
        'latent up projection',
        { columns: (m.numHeads * (nopeHeadDim + valueHeadDim)) / tp, inner: kvLoraRank },
      ],
      ['output projection', { columns: h, inner: (m.numHeads * valueHeadDim) / tp }],
    ];
  }
  const queryWidth = (m.numHeads * m.headDim) / tp;
  const keyValueWidth = 2 * kvHeadsPerGpu(m, layout) * m.headDim;
  return [
    [
      'QKV projection',
      { columns: queryWidth * (m.attentionGate ? 2 : 1) + keyValueWidth, inner: h },
    ],
    ['output projection', { columns: h, inner: queryWidth }],
  ];
}

/** Bytes that element-wise kernels of a layer move per token: residual, MLP activation, rotary and KV write. */
function elementwiseBytes(m: ModelShape, layout: Layout): number {
  const mlp = m.moe
    ? m.moe.numExpertsPerToken * m.moe.expertIntermediateSize + m.moe.sharedExpertIntermediateSize
    : m.intermediateSize;
  const heads = m.numHeads / layout.tp + kvHeadsPerGpu(m, layout);
  return (8 * m.hiddenSize + (3 * mlp) / layout.tp + 4 * heads * m.headDim) * 2;
}
