/**
 * Refusals of the OpenAI surface: one table from what went wrong to status, type and code.
 *
 * Two profiles say it in two ways. `openai`: type `invalid_request_error`, a word as code. `vllm`: the
 * type names the status, the code is its number. Both carry all four keys; SDKs read them.
 */

import { ConfigError } from '../core/errors.js';

export type ApiProfile = 'openai' | 'vllm';
export const API_PROFILES = ['openai', 'vllm'] as const satisfies readonly ApiProfile[];

/** Reasons to refuse, by the code of the `openai` profile (`null` where OpenAI has none). */
const KINDS = {
  invalid: { status: 400, type: 'invalid_request_error' },
  unauthorized: { status: 401, type: 'invalid_request_error' },
  notFound: { status: 404, type: 'invalid_request_error' },
  wrongMethod: { status: 405, type: 'invalid_request_error' },
  tooLarge: { status: 413, type: 'invalid_request_error' },
  mediaType: { status: 415, type: 'invalid_request_error' },
  rateLimited: { status: 429, type: 'requests' },
  internal: { status: 500, type: 'server_error' },
  overloaded: { status: 503, type: 'server_error' },
} as const;

const VLLM_TYPES: Readonly<Record<number, string>> = {
  400: 'BadRequestError',
  401: 'AuthenticationError',
  404: 'NotFoundError',
  405: 'MethodNotAllowedError',
  413: 'RequestEntityTooLargeError',
  415: 'UnsupportedMediaTypeError',
  429: 'TooManyRequestsError',
  500: 'InternalServerError',
  503: 'ServiceUnavailableError',
};

export interface ApiErrorDetails {
  /** Path of the parameter at fault: `messages[0].role`. */
  readonly param?: string;
  /** The `openai` profile's code: `model_not_found`, `context_length_exceeded`, ... */
  readonly code?: string;
  /** Seconds after which trying again makes sense. */
  readonly retryAfterS?: number;
  readonly cause?: unknown;
}

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly param: string | undefined;
  readonly code: string | undefined;
  readonly retryAfterS: number | undefined;

  constructor(
    readonly kind: keyof typeof KINDS,
    message: string,
    details: ApiErrorDetails = {},
  ) {
    super(message, { cause: details.cause });
    this.param = details.param;
    this.code = details.code;
    this.retryAfterS = details.retryAfterS;
  }

  get status(): number {
    return KINDS[this.kind].status;
  }

  /** The body, as an object: `{error: {message, type, param, code}}`. */
  body(profile: ApiProfile): { readonly error: Readonly<Record<string, unknown>> } {
    const { message, status } = this;
    const param = this.param ?? null;
    return profile === 'vllm'
      ? { error: { message, type: VLLM_TYPES[status], param, code: status } }
      : { error: { message, type: KINDS[this.kind].type, param, code: this.code ?? null } };
  }
}

export const modelNotFound = (model: string): ApiError =>
  new ApiError('notFound', `The model \`${model}\` does not exist.`, {
    param: 'model',
    code: 'model_not_found',
  });

/** Clients recognise this refusal by its first words and by its code. */
export function contextLengthExceeded(lengths: {
  readonly maxModelLen: number;
  readonly promptTokens: number;
  readonly maxTokens: number | undefined;
  readonly param: string;
}): ApiError {
  const { maxModelLen, promptTokens, maxTokens, param } = lengths;
  const asked =
    maxTokens === undefined
      ? `your prompt has ${promptTokens} and leaves no room for an answer`
      : `you asked for ${promptTokens + maxTokens} (${promptTokens} in the prompt, ${maxTokens} in the answer)`;
  return new ApiError(
    'invalid',
    `This model's maximum context length is ${maxModelLen} tokens, but ${asked}. Shorten one of them.`,
    { param, code: 'context_length_exceeded' },
  );
}

/** What to tell a client about anything thrown while its request was handled. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof ConfigError) {
    return new ApiError('invalid', error.message, { param: error.path, cause: error });
  }
  const { code, statusCode, message } = error as {
    code?: string;
    statusCode?: number;
    message?: string;
  };
  const cause = { cause: error };
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ApiError('tooLarge', 'The request body is larger than this server takes.', cause);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new ApiError(
        'mediaType',
        "This endpoint takes JSON: send the header 'content-type: application/json'.",
        cause,
      );
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return new ApiError('invalid', 'The request body is empty; a JSON object is needed.', cause);
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ApiError('invalid', message ?? 'Bad request.', cause);
  }
  return new ApiError('internal', 'The server had an error while handling the request.', cause);
}
