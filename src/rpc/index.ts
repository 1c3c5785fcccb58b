/**
 * gRPC and Connect: the services once, behind two doors.
 *
 *   createRpc(ports) ── handlers ──┬── startGrpc: grpc-js, the fast one
 *                                  └── registerConnect: Connect and gRPC-Web on the HTTP port
 */

import type { FastifyInstance } from 'fastify';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.js';
import { ServerReflection as ServerReflectionAlpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.js';
import { Health } from '../../gen/health/v1/health_pb.js';
import { SimulateService, StatusService } from '../../gen/llmservingsim/v1/service_pb.js';
import { type Handlers, type Mounted, mount } from './call.js';
import { registerConnect } from './connect.js';
import { type GrpcServer, type GrpcServerOptions, startGrpcServer } from './grpc-server.js';
import { guarded } from './guard.js';
import { Runs } from './limits.js';
import { DEFAULT_LIMITS, type RpcOptions } from './ports.js';
import { estimateStep } from './services/estimate.js';
import { Generation } from './services/generate.js';
import { healthHandlers, ServingState } from './services/health.js';
import { reflectionHandlers, Schema } from './services/reflection.js';
import { simulateStream } from './services/session.js';
import { simulate } from './services/simulate.js';
import { statusHandlers } from './services/status.js';

export type { GrpcServer, Keepalive } from './grpc-server.js';
export { portServer, secureServer } from './one-port.js';
export type {
  CallLog,
  Composer,
  Limits,
  LiveTarget,
  RpcOptions,
  ServedModel,
} from './ports.js';
export { DEFAULT_LIMITS } from './ports.js';

export interface Rpc {
  /** Connect and gRPC-Web as routes of an HTTP app; before it listens. */
  registerConnect(app: FastifyInstance): Promise<void>;
  /** Native gRPC. @throws an error with the `code` of `listen` when the port cannot be had. */
  startGrpc(
    host: string,
    port: number,
    options?: Pick<GrpcServerOptions, 'tls' | 'keepalive'>,
  ): Promise<GrpcServer>;
  /** Health says NOT_SERVING from now on. */
  drain(): void;
  /** Simulations under way. */
  readonly numRuns: number;
  close(): Promise<void>;
}

export function createRpc(options: RpcOptions): Rpc {
  const { live, composer, apiKey, onCall } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const runs = new Runs(limits);
  const run = { composer, limits, runs };
  const generation = new Generation(live);
  const simulateHandlers: Handlers<typeof SimulateService> = {
    simulate: (request, call) => simulate(run, request, call),
    simulateStream: (requests, call) => simulateStream(run, requests, call),
    generate: (request, call) => generation.generate(request, call),
    estimateStep: (request) => estimateStep(request, { composer, allowFiles: limits.allowFiles }),
  };
  const services = [
    mount(SimulateService, simulateHandlers),
    mount(StatusService, statusHandlers(live)),
  ].map((service) => guarded(service, { apiKey, onCall }));
  const state = new ServingState(services.map(({ service }) => service.typeName));
  const schema = reflectionHandlers(
    new Schema([SimulateService, StatusService, Health, ServerReflection, ServerReflectionAlpha]),
  );
  const mounted: Mounted[] = [
    ...services,
    mount(Health, healthHandlers(state)),
    mount(ServerReflection, schema),
    // The same fields under another name.
    mount(ServerReflectionAlpha, schema as unknown as Handlers<typeof ServerReflectionAlpha>),
  ];
  const { maxMessageBytes } = limits;
  return {
    registerConnect: (app) => registerConnect(app, { mounted, maxMessageBytes }),
    startGrpc: (host, port, more) =>
      startGrpcServer(host, port, { mounted, maxMessageBytes, ...more }),
    drain: () => state.drain(),
    get numRuns() {
      return runs.numRunning;
    },
    close: () => generation.close(),
  };
}
