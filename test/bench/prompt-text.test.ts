import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { promptOf } from '../../src/bench/prompt-text.js';
import type { RunningServer } from '../../src/cli/commands/server.js';
import { type Tokenizer, tokenizerFor } from '../../src/text/index.js';
import { cli } from '../cli/run-cli.js';
import { startTestServer } from './server.js';

const MODEL = 'meta-llama/Llama-3.1-8B-Instruct';

describe('promptOf', () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    ({ tokenizer } = await tokenizerFor(MODEL));
  });

  const prompt = (lengths: readonly number[], numSpecial: number, index = 0) => {
    const promptTokens = lengths.reduce((a, b) => a + b);
    const segments = lengths.map((length, i) => ({ content: i === 0 ? 0 : index + 1, length }));
    const spec = { promptTokens, maxTokens: 1, prompt: segments };
    return promptOf(spec, { seed: 0, index, tokenizer, numSpecial });
  };

  it('leaves room for the tokens a server puts before it', () => {
    expect(tokenizer.count(prompt([40], 0))).toBe(40);
    expect(tokenizer.count(prompt([40], 1))).toBe(39);
  });

  it('shares the text of a shared stretch all the same', () => {
    const [a, b] = [prompt([30, 10], 1, 0), prompt([30, 10], 1, 1)];
    expect(tokenizer.count(a)).toBe(39);
    const shared = prompt([30], 1);
    expect([a.startsWith(shared), b.startsWith(shared), a === b]).toEqual([true, true, false]);
  });

  it('asks something even where the load says one token', () => {
    expect(prompt([1], 1)).not.toBe('');
  });
});

describe('prompts at a server that puts a token before them', () => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startTestServer({ model: MODEL, speed: 'inf' });
  });
  afterAll(() => server.stop());

  it('are as long as they were asked for', async () => {
    const load = '--num-prompts 5 --random-input-len 20 --random-output-len 2 --json';
    const { out } = await cli(`bench --base-url ${server.url} ${load}`);
    expect(JSON.parse(out).total_input_tokens).toBe(100);
  });
});
