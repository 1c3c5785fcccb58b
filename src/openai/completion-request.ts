/** The body of `POST /v1/completions`, checked and reduced to what the simulation needs. */

import { ApiError } from './api-error.js';
import { Fields, invalidType, invalidValue } from './fields.js';
import { type GenerationRequest, readGeneration } from './generation.js';

/** A prompt is text or token ids; an endpoint takes one or a list of either. */
export type Prompt = string | readonly number[];

export interface CompletionRequest extends GenerationRequest {
  readonly prompts: readonly Prompt[];
  /** The prompt stands before the answer in the text. */
  readonly echo: boolean;
  /** How many alternatives per token to tell the probability of; absent: none, not even the token's. */
  readonly logprobs: number | undefined;
}

/** Output tokens when `max_tokens` is absent, as in the real endpoint. */
export const DEFAULT_COMPLETION_TOKENS = 16;

/** @throws {ApiError} 400 with the path of the parameter at fault. */
export function readCompletionRequest(json: unknown): CompletionRequest {
  const body = new Fields(json);
  const generation = readGeneration(body);
  const bestOf = body.integer('best_of', { min: 0, max: 20 });
  if (bestOf !== undefined && bestOf < generation.n) {
    throw invalidValue('best_of', `at least n, ${generation.n}`, bestOf);
  }
  if (bestOf !== undefined && bestOf > 1 && generation.stream) {
    throw new ApiError('invalid', "'best_of' above 1 cannot be streamed.", {
      param: 'best_of',
      code: 'invalid_value',
    });
  }
  body.string('suffix');
  return {
    ...generation,
    prompts: readPrompts(body),
    echo: body.boolean('echo') ?? false,
    logprobs: body.integer('logprobs', { min: 0, max: 5 }),
  };
}

function readPrompts(body: Fields): readonly Prompt[] {
  const value = body.required('prompt', body.raw('prompt'));
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) throw invalidType('prompt', 'a string or a list', value);
  body.list('prompt', { min: 1, max: 2048 });
  if (typeof value[0] === 'number') return [tokenIds(value, 'prompt')];
  return value.map((prompt, i) => {
    if (typeof prompt === 'string') return prompt;
    const path = `prompt[${i}]`;
    if (!Array.isArray(prompt)) throw invalidType(path, 'a string or a list of tokens', prompt);
    return tokenIds(prompt, path);
  });
}

function tokenIds(list: readonly unknown[], path: string): readonly number[] {
  if (list.length === 0) throw invalidValue(path, 'at least one token', list);
  for (const [i, token] of list.entries()) {
    if (!Number.isInteger(token)) throw invalidType(`${path}[${i}]`, 'a token id', token);
    if ((token as number) < 0) throw invalidValue(`${path}[${i}]`, 'a token id', token);
  }
  return list as readonly number[];
}
