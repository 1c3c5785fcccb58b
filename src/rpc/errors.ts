/**
 * Refusals of the RPC surface: one table from what went wrong to code and details.
 *
 *   a field that is wrong        INVALID_ARGUMENT     BadRequest naming it
 *   an unknown model or GPU      NOT_FOUND            BadRequest naming it
 *   no or a wrong key            UNAUTHENTICATED
 *   a file where none is taken   PERMISSION_DENIED
 *   no live cluster              FAILED_PRECONDITION
 *   a limit                      RESOURCE_EXHAUSTED   RetryInfo
 *   draining                     UNAVAILABLE          RetryInfo
 *   a bug                        INTERNAL             nothing of its inside
 *
 * Each carries an ErrorInfo whose reason is the word the OpenAI surface uses as code.
 */

import { Code, ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.js';
import { ConfigError } from '../core/errors.js';

const DOMAIN = 'llmservingsim';

export interface Refusal {
  readonly code: Code;
  readonly reason: string;
  readonly message: string;
  /** Path of the field at fault in the request. */
  readonly field?: string;
  readonly retryAfterS?: number;
  readonly cause?: unknown;
}

export function refuse(refusal: Refusal): ConnectError {
  const { code, reason, message, field, retryAfterS, cause } = refusal;
  const error = new ConnectError(message, code, undefined, undefined, cause);
  error.details.push({ desc: ErrorInfoSchema, value: { reason, domain: DOMAIN } });
  if (field !== undefined) {
    const fieldViolations = [{ field, description: message }];
    error.details.push({ desc: BadRequestSchema, value: { fieldViolations } });
  }
  if (retryAfterS !== undefined) {
    const retryDelay = {
      seconds: BigInt(Math.floor(retryAfterS)),
      nanos: Math.round((retryAfterS % 1) * 1e9),
    };
    error.details.push({ desc: RetryInfoSchema, value: { retryDelay } });
  }
  return error;
}

export const invalidField = (field: string, expected: string, got: unknown): ConnectError =>
  toRpcError(new ConfigError(field, expected, got));

export const modelNotFound = (model: string, field = 'model'): ConnectError =>
  refuse({
    code: Code.NotFound,
    reason: 'model_not_found',
    message: `The model \`${model}\` does not exist.`,
    field,
  });

/** What to tell a client about anything thrown while its call was handled. */
export function toRpcError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof ConfigError) {
    return refuse({
      code: Code.InvalidArgument,
      reason: 'invalid_value',
      message: error.message,
      field: error.path,
      cause: error,
    });
  }
  const { name } = (error ?? {}) as { name?: unknown };
  if (name === 'AbortError') return new ConnectError('The call was cancelled.', Code.Canceled);
  if (name === 'TimeoutError') {
    return new ConnectError('The deadline has passed.', Code.DeadlineExceeded);
  }
  return refuse({
    code: Code.Internal,
    reason: 'internal_error',
    message: 'The server had an error while handling the call.',
    cause: error,
  });
}
