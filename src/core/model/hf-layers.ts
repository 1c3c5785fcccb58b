/**
 * Which layers of a model are of which kind: full, windowed or linear attention; dense or experts.
 *
 * Newer configurations list every layer (`layer_types`); older ones state a pattern, each family its
 * own. Only the counts matter to what a step costs, not the order.
 */

import type { Config } from './hf-fields.js';
import { reader } from './hf-fields.js';
import type { ModelShape } from './model-shape.js';

export interface LayerKinds {
  readonly numMoeLayers: number;
  readonly slidingWindow?: NonNullable<ModelShape['slidingWindow']>;
  readonly linearAttention?: NonNullable<ModelShape['linearAttention']>;
}

export function layerKinds(
  config: Config,
  family: string,
  numLayers: number,
  maxPositions: number,
  path: string,
): LayerKinds {
  const { get } = reader(config, path);
  const window = windowLayers(config, family, numLayers, maxPositions);
  const numLinear = numLinearLayers(config, numLayers);
  return {
    numMoeLayers: numMoeLayers(config, family, numLayers),
    ...(window ? { slidingWindow: window } : {}),
    ...(numLinear > 0 ? { linearAttention: gatedDeltaNet(get, numLinear) } : {}),
  };
}

function numMoeLayers(config: Config, family: string, numLayers: number): number {
  const list = config.mlp_only_layers;
  const dense = Number(config.first_k_dense_replace ?? (Array.isArray(list) ? list.length : 0));
  if (family.startsWith('llama4')) {
    return Math.floor(numLayers / Number(config.interleave_moe_layer_step ?? 1));
  }
  const step = Number(config.decoder_sparse_step ?? config.moe_layer_freq ?? 1);
  return Math.floor((numLayers - dense) / Math.max(1, step));
}

function windowLayers(
  config: Config,
  family: string,
  numLayers: number,
  maxPositions: number,
): LayerKinds['slidingWindow'] {
  const tokens = Number(config.sliding_window ?? config.attention_chunk_size ?? 0);
  if (!(tokens > 0) || tokens >= maxPositions || config.use_sliding_window === false)
    return undefined;
  return { tokens, numLayers: numWindowLayers(config, family, numLayers) };
}

function numWindowLayers(config: Config, family: string, numLayers: number): number {
  const types = config.layer_types;
  if (Array.isArray(types)) {
    return types.filter((t) => t === 'sliding_attention' || t === 'chunked_attention').length;
  }
  if (family === 'gemma2' || family === 'gpt_oss') return Math.ceil(numLayers / 2);
  const pattern = Number(config.sliding_window_pattern ?? config._sliding_window_pattern ?? 0);
  if (pattern > 1) return numLayers - Math.floor(numLayers / pattern);
  if (family.startsWith('gemma3')) return numLayers - Math.floor(numLayers / 6);
  if (family.startsWith('llama4')) return numLayers - Math.floor(numLayers / 4);
  return numLayers;
}

function numLinearLayers(config: Config, numLayers: number): number {
  const types = config.layer_types;
  if (Array.isArray(types)) return types.filter((t) => t === 'linear_attention').length;
  const interval = Number(config.full_attention_interval ?? 0);
  return interval > 1 ? numLayers - Math.floor(numLayers / interval) : 0;
}

/** Gated delta net (Qwen3-Next): a matrix state per value head, in 32 bit, and a short convolution. */
function gatedDeltaNet(
  get: (...names: string[]) => number | undefined,
  numLayers: number,
): NonNullable<LayerKinds['linearAttention']> {
  const hidden = get('hidden_size') ?? 0;
  const numKeyHeads = get('linear_num_key_heads') ?? 16;
  const numValueHeads = get('linear_num_value_heads') ?? 32;
  const keyDim = get('linear_key_head_dim') ?? 128;
  const valueDim = get('linear_value_head_dim') ?? 128;
  const kernel = get('linear_conv_kernel_dim') ?? 4;
  const keys = numKeyHeads * keyDim;
  const values = numValueHeads * valueDim;
  const state = 4 * numValueHeads * keyDim * valueDim + 2 * (kernel - 1) * (2 * keys + values);
  return {
    numLayers,
    stateBytesPerSeq: numLayers * state,
    numParametersPerLayer:
      hidden * (2 * keys + 2 * values + 2 * numValueHeads) +
      kernel * (2 * keys + values) +
      values * hidden,
  };
}
