/**
 * Conversations to play: read from a list of `{id, messages}`, or generated from a description
 * (`filetype: generate_conversations`) and text files. A user asks, an assistant answers, in turn.
 */

import { dirname, resolve } from 'node:path';
import { ConfigError } from '../../core/errors.js';
import { Rng } from '../../core/rng.js';
import type { Tokenizer } from '../../text/index.js';
import { parseJson, type Row, readText } from '../datasets/files.js';
import { distribution } from './distributions.js';

export interface ChatTurn {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

export interface Conversation {
  readonly id: string;
  readonly messages: readonly ChatTurn[];
}

/** @throws {ConfigError} naming conversation and field */
export function readConversations(
  path: string,
  seed: number,
  tokenizer: Tokenizer,
): Conversation[] {
  const file = parseJson(readText(path, '--input-file'), path);
  if (Array.isArray(file))
    return file.map((entry, i) => conversationOf(entry, `${path}: [${i}]`, i));
  const description = (file ?? {}) as Row;
  if (description.filetype !== 'generate_conversations') {
    throw new ConfigError(
      path,
      'a list of conversations, or filetype generate_conversations',
      description.filetype,
    );
  }
  return generate(description, path, seed, tokenizer);
}

function conversationOf(entry: unknown, where: string, index: number): Conversation {
  const { id, messages } = (entry ?? {}) as Row;
  if (!Array.isArray(messages)) throw new ConfigError(`${where}.messages`, 'a list', messages);
  const turns = messages.map((message: Row, i): ChatTurn => {
    const role = i % 2 === 0 ? 'user' : 'assistant';
    if (message?.role !== role) {
      throw new ConfigError(`${where}.messages[${i}].role`, role, message?.role);
    }
    if (typeof message.content !== 'string') {
      throw new ConfigError(`${where}.messages[${i}].content`, 'a text', message.content);
    }
    return { role, content: message.content };
  });
  if (turns.length === 0) throw new ConfigError(`${where}.messages`, 'at least one message', '[]');
  return { id: id === undefined ? `CONV_ID_${index}` : String(id), messages: turns };
}

/** How the generator begins each user's turn, so that no two are alike. */
const leadIn = (id: string, turn: number) => `This is turn ${turn / 2 + 1} of ${id}. `;
const TASK = 'Please rewrite and extend the text that follows. ';

function generate(file: Row, path: string, seed: number, tokenizer: Tokenizer): Conversation[] {
  const rng = new Rng(seed);
  const input = (file.prompt_input ?? {}) as Row;
  const output = (file.prompt_output ?? {}) as Row;
  const draw = (from: Row, field: string, otherwise?: object) =>
    distribution(from[field] ?? otherwise, `${path}: ${field}`, rng.stream(field));
  const none = { distribution: 'constant', value: 0 };
  const numTurns = draw(input, 'num_turns');
  const commonLength = draw(input, 'common_prefix_num_tokens', none);
  const prefixLength = draw(input, 'prefix_num_tokens', none);
  const userLength = draw(input, 'num_tokens');
  const answerLength = draw(output, 'num_tokens');
  const count = Number(file.num_conversations);
  if (!(Number.isSafeInteger(count) && count > 0)) {
    throw new ConfigError(`${path}: num_conversations`, 'a whole number', file.num_conversations);
  }
  const text = new TextRoll(file, path, tokenizer);
  const common = text.take(commonLength());
  return Array.from({ length: count }, (_, i) => {
    const id = `CONV_ID_${i}`;
    const turns = Math.max(2, 2 * Math.ceil(numTurns() / 2));
    const messages: ChatTurn[] = [];
    for (let turn = 0; turn < turns; turn += 2) {
      const opening = turn === 0 ? `${common}${text.take(prefixLength())}` : '';
      const begin = `${leadIn(id, turn)}${opening}${TASK}`;
      const missing = Math.max(1, userLength() - tokenizer.count(leadIn(id, turn) + TASK));
      messages.push({ role: 'user', content: begin + text.take(missing) });
      messages.push({ role: 'assistant', content: text.take(Math.max(1, answerLength())) });
    }
    return { id, messages };
  });
}

/** Texts of a few files, dealt out by tokens, round and round. */
class TextRoll {
  readonly #pieces: readonly (readonly [piece: string, numTokens: number])[];
  #next = 0;

  constructor(file: Row, path: string, tokenizer: Tokenizer) {
    const files = file.text_files;
    if (!Array.isArray(files) || files.length === 0) {
      throw new ConfigError(`${path}: text_files`, 'a list of text files', files);
    }
    const words = files.flatMap(
      (name) =>
        readText(resolve(dirname(path), String(name)), `${path}: text_files`).match(/\S+\s*/g) ??
        [],
    );
    if (words.length === 0) throw new ConfigError(`${path}: text_files`, 'text', 'empty files');
    this.#pieces = words.map((word) => [`${word.trim()} `, tokenizer.count(` ${word.trim()}`)]);
  }

  /** Words of about `numTokens` tokens. */
  take(numTokens: number): string {
    let text = '';
    for (let left = numTokens; left > 0; ) {
      const [piece, count] = this.#pieces[this.#next++ % this.#pieces.length]!;
      text += piece;
      left -= Math.max(1, count);
    }
    return text;
  }
}
