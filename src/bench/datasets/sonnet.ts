/** Lines of a poem: prompts of one length that share their first lines, as vLLM's `sonnet`. */

import { ConfigError } from '../../core/errors.js';
import { Rng } from '../../core/rng.js';
import { type Dataset, pathOf, type Sample } from './dataset.js';
import { readText } from './files.js';

const ASK = 'Pick as many lines as you can from these poem lines:\n';
const DEFAULTS = { inputLen: 550, outputLen: 150, prefixLen: 200 };

export const sonnet: Dataset = {
  name: 'sonnet',
  about: 'lines of a poem (text), with a shared prefix',
  exactLengths: true,
  load(options) {
    const path = pathOf(options, 'a text file with a verse on each line');
    const { tokenizer, seed, numPrompts } = options;
    const inputLen = options.inputLen ?? DEFAULTS.inputLen;
    const prefixLen = options.prefixLen ?? DEFAULTS.prefixLen;
    const lines = readText(path)
      .split(/\r?\n/)
      .filter((line) => line.trim() !== '')
      .map((line) => `${line}\n`);
    if (lines.length === 0) throw new ConfigError(path, 'lines of text', 'an empty file');
    const mean = lines.reduce((sum, line) => sum + tokenizer.count(line), 0) / lines.length;
    const offset = tokenizer.count(ASK);
    if (inputLen <= offset) {
      throw new ConfigError('--sonnet-input-len', `more than ${offset} tokens`, inputLen);
    }
    if (prefixLen > inputLen) {
      throw new ConfigError('--sonnet-prefix-len', 'at most --sonnet-input-len', prefixLen);
    }
    const numLines = Math.max(1, Math.round((inputLen - offset) / mean));
    const numPrefix = Math.max(0, Math.round((prefixLen - offset) / mean));
    const prefix = Array.from({ length: numPrefix }, (_, i) => lines[i % lines.length]!);
    const chance = new Rng(seed).stream('sonnet');
    const samples: Sample[] = [];
    while (samples.length < numPrompts) {
      const drawnLines = Array.from(
        { length: Math.max(0, numLines - numPrefix) },
        () => lines[chance.integer(0, lines.length - 1)]!,
      );
      const text = [...prefix, ...drawnLines];
      // A draw of long lines gives back what is too much.
      while (text.length > 1 && tokenizer.count(ASK + text.join('')) > inputLen) text.pop();
      const prompt = ASK + text.join('');
      samples.push({
        prompt,
        promptTokens: tokenizer.count(prompt),
        maxTokens: options.outputLen ?? DEFAULTS.outputLen,
      });
    }
    return samples;
  },
};
