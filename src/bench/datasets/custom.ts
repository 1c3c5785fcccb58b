/**
 * A file of one's own, JSON Lines: `{"prompt": text}`, with `output_tokens`, `image_files` or `audio`
 * beside it; or a list of `{role, content}` messages, sent as it is to a chat.
 */

import { ConfigError } from '../../core/errors.js';
import type { Message } from '../request.js';
import { type Dataset, type DatasetOptions, pathOf, type Sample, shuffled } from './dataset.js';
import { type Row, readJsonl } from './files.js';
import { audioFile, imagePart } from './media.js';

const DEFAULT_OUTPUT_LEN = 256;

export const custom: Dataset = {
  name: 'custom',
  about: 'own prompts (JSON Lines: prompt, or a list of messages)',
  load(options) {
    const path = pathOf(options, 'a JSON Lines file');
    const rows = readJsonl(path);
    if (rows.length === 0) throw new ConfigError(path, 'at least one row', 'an empty file');
    const order = options.shuffle ? shuffled(rows, options.seed, 'custom') : rows;
    return order.map(({ row, line }) => sampleOf(row, options, path, line));
  },
};

function sampleOf(row: unknown, options: DatasetOptions, path: string, line: number): Sample {
  const where = `${path}:${line}`;
  const { tokenizer } = options;
  if (Array.isArray(row)) return ofMessages(row, options, where);
  if (row === null || typeof row !== 'object') {
    throw new ConfigError(where, 'an object with prompt, or a list of messages', row);
  }
  const { prompt, messages, output_tokens, image_files, audio } = row as Row;
  if (prompt === undefined && Array.isArray(messages)) return ofMessages(messages, options, where);
  if (typeof prompt !== 'string' && audio === undefined) {
    throw new ConfigError(`${where}: prompt`, 'a text', prompt);
  }
  const text = typeof prompt === 'string' ? prompt : '';
  const images = image_files === undefined ? [] : [image_files].flat();
  return {
    prompt: text,
    promptTokens: tokenizer.count(text),
    maxTokens: outputLen(options, output_tokens, where),
    ...(images.length > 0 && { media: images.map((image) => imagePart(String(image), path)) }),
    ...(audio !== undefined && { audio: audioFile(String(audio), path) }),
  };
}

function ofMessages(messages: readonly unknown[], options: DatasetOptions, where: string): Sample {
  for (const [i, message] of messages.entries()) {
    const { role, content } = (message ?? {}) as Partial<Message>;
    if (typeof role !== 'string' || content === undefined) {
      throw new ConfigError(`${where}: [${i}]`, 'a message with role and content', message);
    }
  }
  const list = messages as readonly Message[];
  const text = list
    .map(({ content }) => (typeof content === 'string' ? content : JSON.stringify(content)))
    .join('\n');
  return {
    prompt: list,
    promptTokens: options.tokenizer.count(text),
    maxTokens: outputLen(options, undefined, where),
  };
}

/** −1 takes the row's own. */
function outputLen(options: DatasetOptions, own: unknown, where: string): number {
  const given = options.outputLen ?? DEFAULT_OUTPUT_LEN;
  if (given !== -1) return given;
  if (Number.isSafeInteger(own) && (own as number) > 0) return own as number;
  throw new ConfigError(`${where}: output_tokens`, 'a whole number above 0', own);
}
