/** BurstGPT: lengths of real requests to GPT-4, with made-up prompts of those lengths. */

import { ConfigError } from '../../core/errors.js';
import { Rng } from '../../core/rng.js';
import { synthesise } from '../../text/index.js';
import { type Dataset, pathOf, type Sample } from './dataset.js';
import { readCsv } from './files.js';

export const burstgpt: Dataset = {
  name: 'burstgpt',
  about: 'lengths of BurstGPT (CSV), GPT-4 rows that were answered',
  exactLengths: true,
  load(options) {
    const path = pathOf(options, 'a BurstGPT file (CSV)');
    const rows = readCsv(path)
      .map((row, i) => ({
        model: row.Model,
        input: count(row['Request tokens'], `${path}:${i + 2}: Request tokens`),
        output: count(row['Response tokens'], `${path}:${i + 2}: Response tokens`),
      }))
      .filter(({ model, output, input }) => model === 'GPT-4' && output > 0 && input > 0);
    if (rows.length === 0) throw new ConfigError(path, 'answered rows of GPT-4', '0 rows');
    const { seed, numPrompts, tokenizer } = options;
    const chance = new Rng(seed).stream('burstgpt');
    // Without replacement as long as there are enough rows.
    for (let i = 0; i < Math.min(numPrompts, rows.length); i++) {
      const j = chance.integer(i, rows.length - 1);
      [rows[i], rows[j]] = [rows[j]!, rows[i]!];
    }
    return Array.from({ length: numPrompts }, (_, i): Sample => {
      const { input, output } =
        numPrompts <= rows.length ? rows[i]! : rows[chance.integer(0, rows.length - 1)]!;
      const { text } = synthesise(input, seed * 1e6 + i, tokenizer);
      return { prompt: text, promptTokens: input, maxTokens: options.outputLen ?? output };
    });
  },
};

function count(value: unknown, where: string): number {
  const number = Number(value);
  if (value !== '' && Number.isSafeInteger(number) && number >= 0) return number;
  throw new ConfigError(where, 'a whole number', value);
}
