/**
 * From a Hugging Face `config.json` to the shape the simulator needs.
 *
 * Families name the same thing differently (`n_embd`, `hidden_size`, `d_model`), so every quantity
 * has its list of names; what a family leaves out has the default its own code has. Multimodal
 * models keep the language model under `text_config`, which is what serving costs are about; the
 * vision tower counts as weights only. DBRX keeps its experts under `ffn_config`. A configuration
 * without the needed fields is refused, naming them.
 */

import { ConfigError } from '../errors.js';
import { type Config, reader } from './hf-fields.js';
import { layerKinds } from './hf-layers.js';
import type { ModelShape } from './model-shape.js';

/** MLPs with two matrices instead of a gated three. */
const NOT_GATED = new Set([
  'opt', 'gpt2', 'gptj', 'gpt_neo', 'gpt_neox', 'gpt_bigcode', 'falcon', 'RefinedWeb', 'bloom', 'mpt',
  'phi', 'starcoder2', 'nemotron', 'persimmon', 'codegen',
]); // biome-ignore format: a table
/** Families whose code shares embedding and LM head unless told otherwise. */
const TIED = new Set([
  'opt',
  'gpt2',
  'bloom',
  'mpt',
  'falcon',
  'starcoder2',
  'gemma',
  'gemma2',
  'gemma3',
  'gemma3_text',
  'cohere',
  'cohere2',
]);
/** Families with biases on every projection. */
const ALL_BIASES = new Set([
  'opt',
  'gpt2',
  'gpt_neox',
  'bloom',
  'phi',
  'starcoder2',
  'gpt_bigcode',
  'codegen',
]);
const QKV_BIAS = new Set(['qwen2', 'qwen2_moe', 'chatglm']);

/**
 * @param path how errors name the configuration: a file, or a model name.
 * @throws {ConfigError} naming all missing fields, or the first ill-typed one.
 */
export function modelShapeFromConfig(name: string, json: unknown, path = name): ModelShape {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new ConfigError(path, 'a JSON object: a Hugging Face config.json', json);
  }
  const outer = json as Config;
  const inner = outer.text_config ?? outer.llm_config ?? outer.language_config;
  const config: Config = { ...outer, ...asObject(inner), ...asObject(outer.ffn_config) };
  const { get, flag, text, require, missing } = reader(config, path);

  const family = text('model_type') ?? text('architectures') ?? 'unknown';
  const hiddenSize = require('hidden_size', 'n_embd', 'd_model', 'dim');
  const numLayers = require('num_hidden_layers', 'n_layer', 'n_layers', 'num_layers');
  const numHeads = require('num_attention_heads', 'n_head', 'n_heads', 'num_heads');
  const vocabSize = require('vocab_size', 'padded_vocab_size');
  const maxPositionEmbeddings =
    get(
      'max_position_embeddings',
      'n_positions',
      'max_seq_len',
      'seq_length',
      'max_sequence_length',
      'n_ctx',
    ) ??
    (family === 'bloom' || family === 'falcon' || family === 'RefinedWeb'
      ? 2048
      : require('max_position_embeddings'));

  const expertIntermediate = get('moe_intermediate_size', 'expert_ffn_hidden_size');
  const numExperts = get('num_local_experts', 'num_experts', 'n_routed_experts', 'moe_num_experts');
  const intermediateSize =
    (numExperts ? get('intermediate_size_mlp') : undefined) ??
    get('intermediate_size', 'ffn_dim', 'n_inner', 'ffn_hidden_size', 'd_ff') ??
    (NOT_GATED.has(family) || family === 'mpt'
      ? 4 * hiddenSize
      : (expertIntermediate ?? require('intermediate_size')));
  if (missing.length > 0) {
    throw new ConfigError(
      path,
      `a Hugging Face config.json with ${missing.join(', ')}`,
      `fields of "${family}" without ${missing.length > 1 ? 'them' : 'it'}`,
    );
  }

  const headDim = get('head_dim', 'attention_head_dim') ?? hiddenSize / numHeads;
  const numKvHeads =
    kvHeads(config, family) ??
    get('num_key_value_heads', 'num_kv_heads', 'multi_query_group_num', 'n_head_kv') ??
    numHeads;
  const kinds = layerKinds(config, family, numLayers, maxPositionEmbeddings, path);
  const moe =
    numExperts && numExperts > 1
      ? {
          numExperts,
          numExpertsPerToken:
            get(
              'num_experts_per_tok',
              'num_experts_per_token',
              'moe_topk',
              'moe_k',
              'moe_top_k',
              'top_k',
              'num_selected_experts',
              'experts_per_token',
            ) ?? 1,
          expertIntermediateSize:
            expertIntermediate ??
            get('intermediate_size', 'ffn_dim', 'ffn_hidden_size') ??
            intermediateSize,
          sharedExpertIntermediateSize: sharedExpert(config, family, expertIntermediate),
          numLayers: kinds.numMoeLayers,
        }
      : undefined;
  const mla = get('kv_lora_rank')
    ? {
        kvLoraRank: get('kv_lora_rank')!,
        ropeHeadDim: get('qk_rope_head_dim') ?? 64,
        nopeHeadDim: get('qk_nope_head_dim') ?? 128,
        valueHeadDim: get('v_head_dim') ?? 128,
        qLoraRank: get('q_lora_rank') ?? 0,
      }
    : undefined;

  const shape: ModelShape = {
    name,
    architecture: family,
    numLayers,
    hiddenSize,
    numHeads,
    numKvHeads: mla ? 1 : numKvHeads,
    headDim: mla ? mla.nopeHeadDim + mla.ropeHeadDim : headDim,
    intermediateSize,
    numMlpMatrices: NOT_GATED.has(family) ? 2 : 3,
    vocabSize,
    tieWordEmbeddings: flag('tie_word_embeddings') ?? TIED.has(family),
    maxPositionEmbeddings,
    dtype: text('torch_dtype', 'dtype') ?? 'bfloat16',
    numOtherParameters: 0,
    numNormsPerLayer: normsPerLayer(family),
    ...(moe ? { moe } : {}),
    ...(mla ? { mla } : {}),
    ...(kinds.slidingWindow ? { slidingWindow: kinds.slidingWindow } : {}),
    ...(kinds.linearAttention ? { linearAttention: kinds.linearAttention } : {}),
    ...(family === 'qwen3_next' || flag('attn_output_gate') ? { attentionGate: true } : {}),
  };
  const quantization = quantizationOf(config);
  return {
    ...shape,
    ...(quantization ? { quantization } : {}),
    numOtherParameters: otherParameters(shape, config, outer, family),
  };
}

const asObject = (value: unknown): Config | undefined =>
  typeof value === 'object' && value !== null ? (value as Config) : undefined;

/** Old families state grouped heads by a flag instead of a number. */
function kvHeads(config: Config, family: string): number | undefined {
  if (family === 'falcon' || family === 'RefinedWeb') {
    if (config.new_decoder_architecture) return undefined;
    return config.multi_query === false ? undefined : 1;
  }
  if (family === 'gpt_bigcode') return config.multi_query === false ? undefined : 1;
  const attention = config.attn_config as Config | undefined;
  return typeof attention?.kv_n_heads === 'number' ? attention.kv_n_heads : undefined;
}

/** Width of the expert that every token meets, 0 where there is none. */
function sharedExpert(
  config: Config,
  family: string,
  expertIntermediate: number | undefined,
): number {
  const width = config.shared_expert_intermediate_size ?? config.shared_intermediate_size;
  if (typeof width === 'number') return width;
  if (family === 'llama4' || family === 'llama4_text') return Number(config.intermediate_size);
  const count = config.n_shared_experts ?? config.num_shared_experts;
  return typeof count === 'number' ? count * (expertIntermediate ?? 0) : 0;
}

/** The name of the scheme a checkpoint is stored in; `compressed-tensors` and `modelopt` say it inside. */
function quantizationOf(config: Config): string | undefined {
  const q = (config.quantization_config ?? config.quantization) as Config | undefined;
  if (!q || typeof q !== 'object') return undefined;
  const method = String(q.quant_method ?? q.quant_algo ?? '').toLowerCase();
  if (method === 'compressed-tensors') {
    const group = Object.values((q.config_groups as Config | undefined) ?? {})[0] as
      | Config
      | undefined;
    const weights = group?.weights as Config | undefined;
    if (weights?.num_bits === 4) {
      if (weights.type === 'float') return 'nvfp4';
      return onlyExperts(q.ignore) ? 'int4-experts' : 'int4';
    }
    return weights?.type === 'float' ? 'fp8' : 'int8';
  }
  if (method === 'modelopt' || method === 'nvfp4' || method === 'fp4') {
    return String(q.quant_algo ?? method)
      .toLowerCase()
      .includes('8')
      ? 'fp8'
      : 'nvfp4';
  }
  if ((method === 'gptq' || method === 'awq') && q.bits === 8) return 'int8-weights';
  if (method === 'fp8' && Array.isArray(q.weight_block_size)) return 'fp8_block';
  return method || undefined;
}

/** Whether `compressed-tensors` leaves attention and shared experts of every layer alone. */
const onlyExperts = (ignored: unknown): boolean =>
  Array.isArray(ignored) &&
  [/^re:.*self_attn/, /^re:.*shared_expert/].every((part) =>
    ignored.some((name) => part.test(name)),
  );

/** Norms after attention and MLP as well as before. */
const sandwiched = (family: string): boolean => /^gemma[23]/.test(family);
/** Families that normalise queries and keys. */
const QK_NORM = /^(qwen3|gemma3|glm4_moe|minimax_m2|cohere)/;

const normsPerLayer = (family: string): number =>
  (sandwiched(family) ? 4 : 2) + (QK_NORM.test(family) ? 2 : 0);

/** Norms, biases, learned positions and a vision tower: all that is not a matrix of the decoder. */
function otherParameters(m: ModelShape, config: Config, outer: Config, family: string): number {
  const h = m.hiddenSize;
  const perNorm = ALL_BIASES.has(family) ? 2 * h : h;
  let sum = m.numLayers * (sandwiched(family) ? 4 : 2) * perNorm + perNorm;
  const qkv = (m.numHeads + 2 * m.numKvHeads) * m.headDim;
  if (QKV_BIAS.has(family) || config.attention_bias === true) sum += m.numLayers * qkv;
  if (ALL_BIASES.has(family)) sum += m.numLayers * (qkv + h + m.intermediateSize + h);
  if (family === 'gpt_oss' && m.moe) {
    sum += m.numLayers * (h + m.moe.numExperts * (2 * m.moe.expertIntermediateSize + h));
  }
  if (family === 'opt') sum += (m.maxPositionEmbeddings + 2) * h;
  if (family === 'gpt2' || family === 'gpt_bigcode') sum += m.maxPositionEmbeddings * h;
  return sum + visionParameters(outer.vision_config as Config | undefined, h);
}

/** A vision transformer's blocks (4 attention matrices, 2 of the MLP) and its projector. */
function visionParameters(vision: Config | undefined, hiddenSize: number): number {
  const h = Number(vision?.hidden_size ?? 0);
  const layers = Number(vision?.num_hidden_layers ?? vision?.depth ?? 0);
  const f = Number(vision?.intermediate_size ?? 4 * h);
  if (!(h > 0 && layers > 0)) return 0;
  const projector = Number(vision?.out_hidden_size ?? vision?.vision_output_dim ?? h) * hiddenSize;
  return layers * (4 * h * h + 2 * h * f) + projector;
}
