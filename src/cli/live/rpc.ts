/** Mounts the gRPC services beside the OpenAI endpoint. */

import type { FastifyInstance } from 'fastify';
import type { ClusterService } from './live-service.js';
import type { ServerOptions } from './server-flags.js';
import type { ServerLog } from './server-log.js';

export interface RpcServer {
  /** Port of native gRPC; absent: none. */
  readonly port: number | undefined;
  close(): Promise<void>;
}

export interface RpcOptions {
  readonly service: ClusterService;
  readonly app: FastifyInstance;
  readonly options: ServerOptions;
  readonly log: ServerLog;
}

export async function startRpc(_options: RpcOptions): Promise<RpcServer | undefined> {
  return undefined;
}
