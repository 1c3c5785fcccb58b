/**
 * `POST /tokenize`, as vLLM has it: the ids of a prompt's tokens. Special tokens are not among them: the
 * nearest vocabulary counts them, but does not know the model's ids. A chat's count is in `usage`.
 */

import { ApiError, modelNotFound } from './api-error.js';
import { Fields } from './fields.js';
import type { LiveModel } from './live-model.js';

/** Above it, counting would hold up everybody's streams. */
const MAX_CHARS = 65_536;

/** @throws {ApiError} 400, or 404 for a model that is not served. */
export function tokenizeBody(json: unknown, models: readonly LiveModel[]): object {
  const body = new Fields(json);
  const name = body.string('model');
  const model = name === undefined ? models[0]! : models.find(({ id }) => id === name);
  if (!model) throw modelNotFound(name!);
  if (body.raw('messages') !== undefined) {
    throw new ApiError(
      'invalid',
      "Only a 'prompt' is tokenised here; a chat's count is in 'usage'.",
      {
        param: 'messages',
        code: 'unsupported_value',
      },
    );
  }
  const prompt = body.required('prompt', body.string('prompt', MAX_CHARS));
  const tokens = model.tokenizer.encode(prompt);
  return { count: tokens.length, max_model_len: model.maxModelLen, tokens, token_strs: null };
}
