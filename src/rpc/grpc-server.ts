/**
 * Native gRPC: the handlers on a grpc-js server.
 *
 * The generated descriptors are all that is needed: an adapter over `DescService.methods` gives grpc-js
 * its (de)serialisers. A stream is pulled: the next message is asked for when HTTP/2 has room, so a
 * reader that stops reading stops whoever produces. A caller who goes away, or whose deadline passes,
 * aborts the handler at once.
 */

import { create, type DescMethod, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import * as grpc from '@grpc/grpc-js';
import type { AnyHandler, Call, Mounted } from './call.js';
import { toRpcError } from './errors.js';
import { statusMetadata } from './status-details.js';

export interface GrpcServerOptions {
  readonly mounted: readonly Mounted[];
  readonly maxMessageBytes: number;
  /** Certificate and key in PEM; absent: clear text. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  readonly keepalive?: Keepalive | undefined;
}

export interface Keepalive {
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  /** After this a connection is asked to reconnect, and ended a grace later. */
  readonly maxConnectionAgeMs?: number;
  readonly maxConnectionAgeGraceMs?: number;
}

export interface GrpcServer {
  readonly port: number;
  /** Lets calls under way finish for `graceMs`, then ends every connection. */
  close(graceMs?: number): Promise<void>;
}

// What goes wrong is told by whoever holds the server, once and in words of ours.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

/** @throws an error with the `code` of `listen` when the port cannot be had. */
export async function startGrpcServer(
  host: string,
  port: number,
  options: GrpcServerOptions,
): Promise<GrpcServer> {
  const { mounted, maxMessageBytes, tls, keepalive = {} } = options;
  const server = new grpc.Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': keepalive.intervalMs ?? 60_000,
    'grpc.keepalive_timeout_ms': keepalive.timeoutMs ?? 20_000,
    ...(keepalive.maxConnectionAgeMs !== undefined && {
      'grpc.max_connection_age_ms': keepalive.maxConnectionAgeMs,
      'grpc.max_connection_age_grace_ms': keepalive.maxConnectionAgeGraceMs ?? 10_000,
    }),
  });
  for (const { service, handlers } of mounted) {
    const implementation = Object.fromEntries(
      service.methods.map((method) => [
        method.localName,
        implementationOf(method, handlers[method.localName]!),
      ]),
    );
    server.addService(
      Object.fromEntries(service.methods.map((method) => [method.localName, definitionOf(method)])),
      implementation,
    );
  }
  const credentials = tls
    ? grpc.ServerCredentials.createSsl(null, [{ private_key: tls.key, cert_chain: tls.cert }])
    : grpc.ServerCredentials.createInsecure();
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, boundPort) => {
      if (error) reject(listenError(error));
      else resolve(boundPort);
    });
  });
  return {
    port: bound,
    close: (graceMs = 0) =>
      new Promise((resolve) => {
        const force = setTimeout(() => server.forceShutdown(), graceMs);
        server.tryShutdown(() => {
          clearTimeout(force);
          // Idle connections outlive a polite shutdown.
          server.forceShutdown();
          resolve();
        });
      }),
  };
}

/** grpc-js hides the cause in its message. */
function listenError(cause: Error): Error {
  const code = /E[A-Z]{4,}/.exec(cause.message)?.[0];
  return Object.assign(new Error(cause.message, { cause }), code && { code });
}

/** What did not parse: told by the handler, with a code of its own. */
class Malformed {
  constructor(readonly reason: unknown) {}
}

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function definitionOf(method: DescMethod): grpc.MethodDefinition<unknown, unknown> {
  const { methodKind, input, output, parent, name } = method;
  return {
    path: `/${parent.typeName}/${name}`,
    requestStream: methodKind === 'client_streaming' || methodKind === 'bidi_streaming',
    responseStream: methodKind === 'server_streaming' || methodKind === 'bidi_streaming',
    requestSerialize: (value) => bufferOf(toBinary(input, value as Message)),
    requestDeserialize: (bytes) => {
      try {
        return fromBinary(input, bytes);
      } catch (reason) {
        return new Malformed(reason);
      }
    },
    responseSerialize: (value) => bufferOf(toBinary(output, create(output, value as Message))),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  };
}

function implementationOf({ methodKind }: DescMethod, handler: AnyHandler): grpc.UntypedHandleCall {
  switch (methodKind) {
    case 'unary':
      return ((call, callback) => {
        const { context, done } = contextOf(call);
        Promise.resolve()
          .then(() => handler(parsed(call.request), context) as Promise<unknown>)
          .then(
            (response) => callback(null, response),
            (error) => callback(statusOf(error, context)),
          )
          .finally(done);
      }) satisfies grpc.handleUnaryCall<unknown, unknown>;
    case 'server_streaming':
      return ((call) => {
        void respond(call, (context) => handler(parsed(call.request), context));
      }) as grpc.handleServerStreamingCall<unknown, unknown>;
    default:
      return ((call) => {
        void respond(call, (context) => handler(received(call), context));
      }) satisfies grpc.handleBidiStreamingCall<unknown, unknown>;
  }
}

type AnyCall =
  | grpc.ServerUnaryCall<unknown, unknown>
  | grpc.ServerWritableStream<unknown, unknown>
  | grpc.ServerDuplexStream<unknown, unknown>;

function contextOf(call: AnyCall): { context: Call; done: () => void } {
  const events: NodeJS.EventEmitter = call;
  const controller = new AbortController();
  const abort = () => controller.abort(new ConnectError('The call was cancelled.', Code.Canceled));
  if (call.cancelled) abort();
  else events.once('cancelled', abort);
  const context: Call = {
    signal: controller.signal,
    header: (name) => call.metadata.get(name)[0]?.toString(),
  };
  return { context, done: () => events.removeListener('cancelled', abort) };
}

function parsed(request: unknown): unknown {
  if (!(request instanceof Malformed)) return request;
  throw new ConnectError(
    `The request is not a message of its type: ${(request.reason as Error).message}`,
    Code.InvalidArgument,
  );
}

async function* received(call: grpc.ServerDuplexStream<unknown, unknown>): AsyncGenerator {
  // The end of the requests is not the end of the call.
  for await (const request of call.iterator({ destroyOnReturn: false })) yield parsed(request);
}

async function respond(
  call: grpc.ServerWritableStream<unknown, unknown> | grpc.ServerDuplexStream<unknown, unknown>,
  open: (context: Call) => unknown,
): Promise<void> {
  const { context, done } = contextOf(call);
  const { signal } = context;
  try {
    for await (const message of open(context) as AsyncIterable<unknown>) {
      if (signal.aborted) return;
      if (!call.write(message)) await drained(call, signal);
      if (signal.aborted) return;
    }
    call.end();
  } catch (error) {
    if (!signal.aborted) call.emit('error', statusOf(error, context));
  } finally {
    done();
  }
}

/** Until there is room again, or nobody to read. */
function drained(call: NodeJS.EventEmitter, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      call.removeListener('drain', over);
      call.removeListener('close', over);
      signal.removeEventListener('abort', over);
      resolve();
    };
    call.once('drain', over);
    call.once('close', over);
    signal.addEventListener('abort', over, { once: true });
  });
}

function statusOf(reason: unknown, { signal }: Call): grpc.ServiceError {
  const error = signal.aborted && reason === signal.reason ? signal.reason : toRpcError(reason);
  const { code, rawMessage } = error as ConnectError;
  return Object.assign(new Error(rawMessage), {
    code: code as number,
    details: rawMessage,
    metadata: statusMetadata(error as ConnectError),
  });
}
