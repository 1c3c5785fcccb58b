/**
 * Mounts the gRPC services beside the OpenAI endpoint: native gRPC on a port of its own, Connect and
 * gRPC-Web on the HTTP port.
 */

import type { FastifyInstance } from 'fastify';
import { ConfigError } from '../../core/errors.js';
import { createRpc, type Rpc } from '../../rpc/index.js';
import { compose, instancesOf } from '../compose.js';
import type { ClusterService } from './live-service.js';
import type { ServerOptions } from './server-flags.js';
import type { ServerLog } from './server-log.js';

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

export interface RpcServer {
  /** Port of native gRPC; absent: none. */
  readonly port: number | undefined;
  /** Health says NOT_SERVING from now on. */
  drain(): void;
  close(): Promise<void>;
}

export interface RpcOptions {
  readonly service: ClusterService;
  readonly app: FastifyInstance;
  readonly options: ServerOptions;
  readonly seed: number;
  readonly log: ServerLog;
}

/** @throws {ConfigError} when a port that was asked for is taken; a taken default port is a warning. */
export async function startRpc({
  service,
  app,
  options,
  seed,
  log,
}: RpcOptions): Promise<RpcServer> {
  const rpc = createRpc({
    composer: { compose, instancesOf },
    live: { models: service.servedModels, seed, refusal: () => service.refusal() },
    // Whoever reaches this machine over the network has no business with its files.
    limits: { ...options.grpc.limits, allowFiles: LOOPBACK.test(options.host) },
    apiKey: options.apiKey,
    onCall: ({ method, code, durationMs, message }) =>
      log.info(
        `gRPC ${method} ${code}  ${Math.round(durationMs)} ms${message ? `  ${message}` : ''}`,
      ),
  });
  await rpc.registerConnect(app);
  const native = options.grpcPort === 0 ? undefined : await listen(rpc, options, log);
  return {
    port: native?.port,
    drain: () => rpc.drain(),
    async close() {
      await native?.close();
      await rpc.close();
    },
  };
}

async function listen(
  rpc: Rpc,
  { host, grpcPort, grpcPortGiven, tls, grpc: { keepalive } }: ServerOptions,
  log: ServerLog,
) {
  try {
    return await rpc.startGrpc(host, grpcPort, { tls, keepalive });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    const hint = 'Choose another with --grpc-port, or stop what listens there; 0 means no gRPC.';
    if (grpcPortGiven) throw new ConfigError('--grpc-port', 'a free port', grpcPort, hint);
    log.warn(`port ${grpcPort} is taken: no gRPC. ${hint}`);
    return undefined;
  }
}
