import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { dataPath } from '../../../src/config/data-dir.js';
import { listModels, loadModel } from '../../../src/config/models.js';
import { modelShapeFromConfig } from '../../../src/core/model/from-hf-config.js';
import {
  numActiveParameters,
  numFullAttentionLayers,
  numParameters,
} from '../../../src/core/model/model-shape.js';

const published = (name: string): number =>
  (
    JSON.parse(readFileSync(dataPath('model_configs', `${name}.json`), 'utf8')) as {
      num_parameters: number;
    }
  ).num_parameters;

describe('Model shape', () => {
  it.each(listModels())('has the published number of parameters within 1 %%: %s', (name) => {
    expect(Math.abs(numParameters(loadModel(name)) / published(name) - 1)).toBeLessThan(0.01);
  });

  it('covers at least 25 models with a source each', () => {
    expect(listModels().length).toBeGreaterThanOrEqual(28);
    for (const name of listModels())
      expect(readFileSync(dataPath('model_configs', `${name}.json`), 'utf8')).toContain(
        '"source": "https://',
      );
  });

  it('counts Llama 3.1 8B exactly', () => {
    expect(numParameters(loadModel('meta-llama/Llama-3.1-8B-Instruct'))).toBe(8_030_261_248);
  });

  it('tells active from total parameters', () => {
    const moe = loadModel('mistralai/Mixtral-8x7B-Instruct-v0.1');
    expect(numActiveParameters(moe) / 1e9).toBeCloseTo(12.88, 1);
    expect(moe.moe).toMatchObject({ numExperts: 8, numExpertsPerToken: 2, numLayers: 32 });
  });

  it('reads latent attention, leading dense layers and the shared expert', () => {
    const m = loadModel('deepseek-ai/DeepSeek-R1');
    expect(m.mla).toEqual({
      kvLoraRank: 512,
      ropeHeadDim: 64,
      nopeHeadDim: 128,
      valueHeadDim: 128,
      qLoraRank: 1536,
    });
    expect(m.moe).toMatchObject({ numLayers: 58, sharedExpertIntermediateSize: 2048 });
    expect(m.quantization).toBe('fp8_block');
  });

  it('counts windowed and recurrent layers', () => {
    expect(loadModel('google/gemma-3-27b-it').slidingWindow).toEqual({
      tokens: 1024,
      numLayers: 52,
    });
    expect(loadModel('openai/gpt-oss-120b').slidingWindow).toEqual({ tokens: 128, numLayers: 18 });
    const next = loadModel('qwen/Qwen3-Next-80B-A3B-Instruct');
    expect(next.linearAttention?.numLayers).toBe(36);
    expect(numFullAttentionLayers(next)).toBe(12);
    expect(loadModel('mistralai/Mistral-7B-Instruct-v0.3').slidingWindow).toBeUndefined();
  });

  it('understands older names, and flags instead of numbers', () => {
    const gpt2 = loadModel('openai-community/gpt2');
    expect(gpt2).toMatchObject({
      hiddenSize: 768,
      numLayers: 12,
      intermediateSize: 3072,
      numMlpMatrices: 2,
      tieWordEmbeddings: true,
    });
    const falcon = modelShapeFromConfig('falcon-7b', {
      model_type: 'falcon',
      hidden_size: 4544,
      num_hidden_layers: 32,
      num_attention_heads: 71,
      multi_query: true,
      vocab_size: 65024,
    });
    expect(falcon.numKvHeads).toBe(1);
  });

  it('reads what DBRX nests under its attention and its MLP', () => {
    const dbrx = loadModel('databricks/dbrx-instruct');
    expect(dbrx).toMatchObject({ numKvHeads: 8, maxPositionEmbeddings: 32_768 });
    expect(dbrx.moe).toMatchObject({
      numExperts: 16,
      numExpertsPerToken: 4,
      expertIntermediateSize: 10_752,
      numLayers: 40,
    });
    expect(numActiveParameters(dbrx) / 1e9).toBeCloseTo(36.5, 0);
  });

  it('ties the embedding of StarCoder2 unless it says otherwise', () => {
    expect(loadModel('bigcode/starcoder2-7b')).toMatchObject({
      numMlpMatrices: 2,
      tieWordEmbeddings: true,
      slidingWindow: { tokens: 4096, numLayers: 32 },
    });
    expect(loadModel('bigcode/starcoder2-15b').tieWordEmbeddings).toBe(false);
  });

  it('reads gated linear attention under a text_config, with a dense MLP and with experts', () => {
    const qwen = loadModel('qwen/Qwen3.5-27B');
    expect(qwen).toMatchObject({ attentionGate: true, intermediateSize: 17_408 });
    expect(qwen.linearAttention?.numLayers).toBe(48);
    expect(loadModel('qwen/Qwen3.5-397B-A17B').moe).toMatchObject({
      numExpertsPerToken: 10,
      sharedExpertIntermediateSize: 1024,
      numLayers: 60,
    });
  });

  it('finds what compressed-tensors holds', () => {
    const base = {
      model_type: 'llama',
      hidden_size: 64,
      num_hidden_layers: 1,
      num_attention_heads: 1,
      intermediate_size: 64,
      vocab_size: 64,
      max_position_embeddings: 64,
    };
    const with_ = (weights: object) =>
      modelShapeFromConfig('m', {
        ...base,
        quantization_config: {
          quant_method: 'compressed-tensors',
          config_groups: { group_0: { weights } },
        },
      }).quantization;
    expect(with_({ num_bits: 8, type: 'float' })).toBe('fp8');
    expect(with_({ num_bits: 8, type: 'int' })).toBe('int8');
    expect(with_({ num_bits: 4, type: 'int' })).toBe('int4');
    expect(loadModel('moonshotai/Kimi-K2.5').quantization).toBe('int4-experts');
    const fp8 = (more: object) =>
      modelShapeFromConfig('m', { ...base, quantization_config: { quant_method: 'fp8', ...more } });
    expect(fp8({}).quantization).toBe('fp8');
    expect(fp8({ weight_block_size: [128, 128] }).quantization).toBe('fp8_block');
  });

  it('names the fields an unknown architecture lacks', () => {
    expect(() =>
      modelShapeFromConfig('x', { model_type: 'rwkv', hidden_size: 64 }, 'x/config.json'),
    ).toThrow(
      /x\/config\.json: expected a Hugging Face config\.json with num_hidden_layers, num_attention_heads, vocab_size, max_position_embeddings, intermediate_size/,
    );
    expect(() =>
      modelShapeFromConfig('x', { model_type: 'llama', hidden_size: 'big' }, 'f'),
    ).toThrow(/f: hidden_size: expected a number/);
    expect(() => modelShapeFromConfig('x', [], 'f')).toThrow(/f: expected a JSON object/);
  });
});
