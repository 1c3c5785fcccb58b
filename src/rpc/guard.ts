/** What happens around every call, whatever the door: the key is checked, and the call is logged. */

import { createHash, timingSafeEqual } from 'node:crypto';
import { Code, type ConnectError } from '@connectrpc/connect';
import type { AnyHandler, Call, Mounted } from './call.js';
import { refuse, toRpcError } from './errors.js';
import type { CallLog } from './ports.js';

export interface GuardOptions {
  readonly apiKey: string | undefined;
  readonly onCall: ((call: CallLog) => void) | undefined;
}

export function guarded({ service, handlers }: Mounted, options: GuardOptions): Mounted {
  const guardedHandlers = service.methods.map(({ localName, name, methodKind }) => {
    const method = `${service.typeName}/${name}`;
    const handler = handlers[localName]!;
    const guard = methodKind === 'unary' ? guardUnary : guardStream;
    return [localName, guard(method, handler, options)] as const;
  });
  return { service, handlers: Object.fromEntries(guardedHandlers) };
}

const guardUnary =
  (method: string, handler: AnyHandler, options: GuardOptions): AnyHandler =>
  async (request, call) => {
    const log = new Log(method, options);
    try {
      checkKey(call, options.apiKey);
      const response = await (handler(request, call) as Promise<unknown>);
      log.ok();
      return response;
    } catch (error) {
      throw log.failed(error);
    }
  };

const guardStream = (method: string, handler: AnyHandler, options: GuardOptions): AnyHandler =>
  async function* (request, call) {
    const log = new Log(method, options);
    try {
      checkKey(call, options.apiKey);
      yield* handler(request, call) as AsyncIterable<unknown>;
      log.ok();
    } catch (error) {
      throw log.failed(error);
    } finally {
      log.left();
    }
  };

class Log {
  readonly #startedAt = performance.now();
  #told = false;

  constructor(
    private readonly method: string,
    private readonly options: GuardOptions,
  ) {}

  ok(): void {
    this.#tell('ok');
  }

  failed(reason: unknown): ConnectError {
    const error = toRpcError(reason);
    // What the caller is not told stands in the log.
    const bug =
      error.code === Code.Internal ? (error.cause as Error | undefined)?.stack : undefined;
    this.#tell(Code[error.code]!, bug ?? error.rawMessage);
    return error;
  }

  /** The reader went away between two messages. */
  left(): void {
    this.#tell(Code[Code.Canceled]!);
  }

  #tell(code: string, message?: string): void {
    if (this.#told) return;
    this.#told = true;
    const durationMs = performance.now() - this.#startedAt;
    const { method } = this;
    this.options.onCall?.({ method, code, durationMs, ...(message !== undefined && { message }) });
  }
}

/** @throws {ConnectError} UNAUTHENTICATED */
function checkKey(call: Call, apiKey: string | undefined): void {
  if (apiKey === undefined) return;
  const bearer = /^Bearer\s+(.+)$/i.exec(call.header('authorization') ?? '')?.[1];
  const given = bearer ?? call.header('x-api-key');
  if (given !== undefined && sameText(given, apiKey)) return;
  throw refuse({
    code: Code.Unauthenticated,
    reason: 'invalid_api_key',
    message:
      given === undefined
        ? 'No API key: send the metadata `authorization: Bearer KEY`.'
        : 'Incorrect API key.',
  });
}

/** In a time that does not tell how much of it is right. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
