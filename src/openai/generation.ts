/**
 * What both endpoints ask of a model: the parameters of generation, checked.
 *
 * Those that a simulation can honour are kept; the others (temperature, penalties, ...) are checked as
 * a real server checks them and have no effect on synthesised text. Unknown fields are accepted.
 */

import { ApiError } from './api-error.js';
import { type Fields, invalidType, invalidValue } from './fields.js';

export interface GenerationRequest {
  readonly model: string;
  readonly stream: boolean;
  /** A last chunk with usage, after all choices. */
  readonly includeUsage: boolean;
  /** Usage on every chunk, too (vLLM's extension). */
  readonly continuousUsage: boolean;
  /** At most this many output tokens; absent: the endpoint's default. */
  readonly maxTokens: number | undefined;
  readonly minTokens: number;
  /** Generate exactly `maxTokens`. */
  readonly ignoreEos: boolean;
  /** Answers per prompt. */
  readonly n: number;
  readonly stop: readonly string[];
  readonly includeStop: boolean;
  readonly seed: number | undefined;
  readonly temperature: number | undefined;
  readonly priority: number;
  readonly cacheSalt: string | undefined;
}

const DECIMALS = {
  temperature: { min: 0, max: 2 },
  top_p: { min: 0, max: 1 },
  presence_penalty: { min: -2, max: 2 },
  frequency_penalty: { min: -2, max: 2 },
  min_p: { min: 0, max: 1 },
  repetition_penalty: { min: 0 },
  length_penalty: {},
} as const;

const INT64 = 2 ** 63;

export function readGeneration(body: Fields): GenerationRequest {
  for (const [name, bounds] of Object.entries(DECIMALS)) body.number(name, bounds);
  checkAcceptedOnly(body);
  const stream = body.boolean('stream') ?? false;
  const options = body.object('stream_options');
  if (options && !stream) {
    throw new ApiError('invalid', "'stream_options' is only allowed when 'stream' is true.", {
      param: 'stream_options',
      code: 'invalid_value',
    });
  }
  options?.boolean('include_obfuscation');
  const maxTokens = body.integer('max_completion_tokens', { min: 1 });
  const maxTokensOld = body.integer('max_tokens', { min: 1 });
  const limit = maxTokens ?? maxTokensOld;
  const minTokens = body.integer('min_tokens', { min: 0 }) ?? 0;
  if (limit !== undefined && minTokens > limit) {
    throw invalidValue('min_tokens', `at most max_tokens, ${limit}`, minTokens);
  }
  return {
    model: body.required('model', body.string('model')),
    stream,
    includeUsage: options?.boolean('include_usage') ?? false,
    continuousUsage: options?.boolean('continuous_usage_stats') ?? false,
    maxTokens: limit,
    minTokens,
    ignoreEos: body.boolean('ignore_eos') ?? false,
    n: body.integer('n', { min: 1, max: 128 }) ?? 1,
    stop: readStop(body),
    includeStop: body.boolean('include_stop_str_in_output') ?? false,
    seed: body.integer('seed', { min: -INT64, max: INT64 }),
    temperature: body.number('temperature'),
    priority: body.integer('priority') ?? 0,
    cacheSalt: body.string('cache_salt'),
  };
}

function readStop(body: Fields): readonly string[] {
  const value = body.raw('stop');
  if (value === undefined) return [];
  if (typeof value === 'string') return value === '' ? [] : [value];
  const stops = body.list('stop', { max: 4 })!;
  return stops.map((stop, i) => {
    if (typeof stop !== 'string') throw invalidType(`stop[${i}]`, 'a string', stop);
    return stop;
  });
}

/** Fields without effect here, whose values are checked all the same. */
function checkAcceptedOnly(body: Fields): void {
  body.integer('top_k', { min: -1 });
  body.list('stop_token_ids');
  body.string('user');
  body.string('safety_identifier', 64);
  body.boolean('store');
  body.boolean('skip_special_tokens');
  body.oneOf('service_tier', ['auto', 'default', 'flex', 'scale', 'priority']);
  const metadata = body.object('metadata');
  if (metadata && Object.keys(body.raw('metadata') as object).length > 16) {
    throw invalidValue('metadata', 'at most 16 pairs', 'more');
  }
  if (body.object('logit_bias')) {
    for (const [token, bias] of Object.entries(body.raw('logit_bias') as object)) {
      const path = `logit_bias.${token}`;
      if (typeof bias !== 'number') throw invalidType(path, 'a number', bias);
      if (Math.abs(bias) > 100) throw invalidValue(path, 'a value from -100 to 100', bias);
    }
  }
}
