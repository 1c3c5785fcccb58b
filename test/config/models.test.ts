import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listModels, loadModel } from '../../src/config/models.js';

describe('Models by name', () => {
  it('lists what was asked for first of all', () => {
    expect(listModels()).toEqual(
      expect.arrayContaining([
        'qwen/Qwen3-8B',
        'meta-llama/Llama-3.1-8B-Instruct',
        'facebook/opt-6.7b',
      ]),
    );
  });

  it.each(['Qwen/qwen3-8b', 'QWEN/QWEN3-8B', 'Qwen3-8B'])(
    'finds %s in any case and without its org',
    (word) => {
      expect(loadModel(word).name).toBe('qwen/Qwen3-8B');
    },
  );

  it('suggests the closest name', () => {
    expect(() => loadModel('qwen/Qwen3-8')).toThrow(/did you mean qwen\/Qwen3-8B\?/);
    expect(() => loadModel('no-such/thing-at-all')).toThrow(
      /--model: expected a name of list-models/,
    );
  });

  it('reads any config.json by path, and a folder that has one', () => {
    const folder = mkdtempSync(join(tmpdir(), 'model-'));
    const config = {
      model_type: 'llama',
      hidden_size: 64,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      intermediate_size: 128,
      vocab_size: 100,
      max_position_embeddings: 512,
    };
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
    expect(loadModel(folder)).toMatchObject({ numLayers: 2, headDim: 16, numKvHeads: 4 });
    expect(loadModel(join(folder, 'config.json')).numLayers).toBe(2);
    writeFileSync(join(folder, 'broken.json'), '{');
    expect(() => loadModel(join(folder, 'broken.json'))).toThrow(
      /broken\.json: expected a Hugging Face config\.json in JSON/,
    );
    expect(() => loadModel(join(folder, 'none.json'))).toThrow(/no such file/);
  });
});
