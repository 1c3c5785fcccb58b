/** ShareGPT conversations: the first turn is asked, the second says how long the answer is. */

import { ConfigError } from '../../core/errors.js';
import { type Dataset, isUsable, pathOf, type Sample, shuffled } from './dataset.js';
import { parseJson, type Row, readText } from './files.js';

export const sharegpt: Dataset = {
  name: 'sharegpt',
  about: 'ShareGPT conversations (JSON), lengths of their answers',
  load(options) {
    const path = pathOf(options, 'a ShareGPT file (JSON)');
    const list = parseJson(readText(path), path);
    if (!Array.isArray(list)) throw new ConfigError(path, 'a list of conversations', list);
    const turns = list.map((entry: Row, i) => turnsOf(entry, `${path}: [${i}].conversations`));
    const usable = turns.filter((texts) => texts.length >= 2);
    const order = options.shuffle ? shuffled(usable, options.seed, 'sharegpt') : usable;
    const samples: Sample[] = [];
    for (const [prompt, answer] of order) {
      if (samples.length >= options.numPrompts) break;
      const promptTokens = options.tokenizer.count(prompt!);
      const maxTokens = options.outputLen ?? options.tokenizer.count(answer!);
      if (isUsable(promptTokens, maxTokens, options.outputLen !== undefined)) {
        samples.push({ prompt: prompt!, promptTokens, maxTokens });
      }
    }
    return samples;
  },
};

/** Texts of a conversation; roles are spelled `from` or `role` and not looked at. */
function turnsOf(entry: Row, where: string): string[] {
  const turns = entry?.conversations ?? entry?.conversation;
  if (!Array.isArray(turns)) throw new ConfigError(where, 'a list of turns', turns);
  return turns.map((turn: Row, i) => {
    const text = turn?.value ?? turn?.content;
    if (typeof text === 'string') return text;
    throw new ConfigError(`${where}[${i}].value`, 'a text', text);
  });
}
