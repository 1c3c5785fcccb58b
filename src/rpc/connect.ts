/** The same handlers on the HTTP port: Connect and gRPC-Web, and gRPC where the port speaks HTTP/2. */

import type { DescService } from '@bufbuild/protobuf';
import type { ConnectRouter, HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { fastifyConnectPlugin } from '@connectrpc/connect-fastify';
import type { FastifyInstance } from 'fastify';
import type { AnyHandler, Call, Mounted } from './call.js';
import { toRpcError } from './errors.js';

export interface ConnectOptions {
  readonly mounted: readonly Mounted[];
  readonly maxMessageBytes: number;
}

export async function registerConnect(
  app: FastifyInstance,
  { mounted, maxMessageBytes }: ConnectOptions,
): Promise<void> {
  await app.register(fastifyConnectPlugin, {
    routes: (router: ConnectRouter) => {
      for (const one of mounted) router.service(one.service, implementationOf(one));
    },
    readMaxBytes: maxMessageBytes,
    // Streams of small messages: packing them costs more than it saves.
    acceptCompression: [],
    shutdownTimeoutMs: 1,
  });
}

function implementationOf({ service, handlers }: Mounted): Partial<ServiceImpl<DescService>> {
  return Object.fromEntries(
    service.methods.map(({ localName, methodKind }) => {
      const handler = handlers[localName]!;
      return [localName, methodKind === 'unary' ? unary(handler) : streaming(handler)];
    }),
  ) as unknown as Partial<ServiceImpl<DescService>>;
}

const callOf = ({ signal, requestHeader }: HandlerContext): Call => ({
  signal,
  header: (name) => requestHeader.get(name) ?? undefined,
});

const unary = (handler: AnyHandler) => async (request: unknown, context: HandlerContext) => {
  try {
    return await handler(request, callOf(context));
  } catch (error) {
    throw toRpcError(error);
  }
};

const streaming = (handler: AnyHandler) =>
  async function* (request: unknown, context: HandlerContext) {
    try {
      yield* handler(request, callOf(context)) as AsyncIterable<unknown>;
    } catch (error) {
      throw toRpcError(error);
    }
  };
