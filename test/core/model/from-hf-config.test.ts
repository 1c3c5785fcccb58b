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
    expect(m.quantization).toBe('fp8');
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
