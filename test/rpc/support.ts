/** A server on a port of its own, with a live cluster on a clock that the test holds. */

import { create, type DescService, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';
import { type Scenario, ScenarioSchema } from '../../gen/llmservingsim/v1/scenario_pb.js';
import { compose, instancesOf } from '../../src/cli/compose.js';
import { createEngine } from '../../src/core/cluster/cluster.js';
import { type Clock, ManualClock } from '../../src/pipeline/clock.js';
import { LiveCluster } from '../../src/pipeline/live-cluster.js';
import { createRpc, type Rpc, type RpcOptions } from '../../src/rpc/index.js';
import { builtInTokenizer, chatTemplateOf } from '../../src/text/index.js';
import { smallInstance } from '../support/instances.js';

export const composer = { compose, instancesOf };

export const manualClock = () => new ManualClock();

/** Ten milliseconds a step. */
export function liveCluster(clock: Clock): LiveCluster {
  return new LiveCluster({
    clock,
    createEngine: (tracer) =>
      createEngine({
        instances: [smallInstance({ stepMs: 10 })],
        router: 'round_robin',
        seed: 0,
        inputLatencyNs: 0,
        tracer,
      }),
  });
}

export interface Server {
  readonly rpc: Rpc;
  readonly address: string;
  readonly cluster: LiveCluster;
  close(): Promise<void>;
}

export async function startServer(
  options: Partial<RpcOptions> & { readonly clock?: Clock } = {},
): Promise<Server> {
  const { clock = manualClock(), ...more } = options;
  const cluster = liveCluster(clock);
  const rpc = createRpc({ composer, live: await liveTarget(cluster), ...more });
  const server = await rpc.startGrpc('127.0.0.1', 0);
  return {
    rpc,
    cluster,
    address: `127.0.0.1:${server.port}`,
    async close() {
      cluster.close();
      await server.close();
      await rpc.close();
    },
  };
}

export async function liveTarget(cluster: LiveCluster) {
  const tokenizer = await builtInTokenizer('cl100k_base');
  return {
    seed: 0,
    models: [
      {
        id: 'small',
        cluster,
        pools: [],
        tokenizer,
        template: chatTemplateOf('small'),
        maxModelLen: 256,
      },
    ],
  };
}

/** A grpc-js client of a service, message objects in and out. */
export function grpcClient(service: DescService, address: string): grpc.Client & Calls {
  const bytes = (desc: DescService['methods'][number]['input']) => (value: unknown) =>
    Buffer.from(toBinary(desc, create(desc, value as Message)));
  const definition = Object.fromEntries(
    service.methods.map(({ localName, name, methodKind, input, output }) => [
      localName,
      {
        path: `/${service.typeName}/${name}`,
        requestStream: methodKind === 'bidi_streaming',
        responseStream: methodKind !== 'unary',
        requestSerialize: bytes(input),
        requestDeserialize: (data: Buffer) => fromBinary(input, data),
        responseSerialize: bytes(output),
        // A Buffer would give Buffers for bytes.
        responseDeserialize: (data: Buffer) => fromBinary(output, new Uint8Array(data)),
      },
    ]),
  );
  const Client = grpc.makeGenericClientConstructor(definition, service.typeName);
  return new Client(address, grpc.credentials.createInsecure()) as unknown as grpc.Client & Calls;
}

// biome-ignore lint/suspicious/noExplicitAny: a generic client has untyped methods
type Calls = Record<string, any>;

/** A promise of a unary call's response, or its error. */
export const unary = (client: Calls, method: string, request: object): Promise<never> =>
  new Promise((resolve, reject) => {
    client[method]!(request, (error: Error | null, response: never) =>
      error ? reject(error) : resolve(response),
    );
  });

/** All messages of a stream. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const messages: T[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

/** The error a stream or a call ends with. */
export async function errorOf(action: Promise<unknown>): Promise<grpc.ServiceError> {
  try {
    await action;
  } catch (error) {
    return error as grpc.ServiceError;
  }
  throw new Error('it did not fail');
}

/** Type names of the details in the trailer. */
export function detailsOf(error: grpc.ServiceError): string[] {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  if (!bytes) return [];
  const status = fromBinary(StatusSchema, bytes as Buffer);
  return status.details.map(({ typeUrl }) => typeUrl.slice(typeUrl.lastIndexOf('.') + 1));
}

export const smallScenario = (more: object = {}): Scenario =>
  create(ScenarioSchema, {
    seed: 7,
    pools: [{ model: 'meta-llama/Llama-3.1-8B-Instruct', hardware: 'H100' }],
    workload: {
      numPrompts: 20,
      requestRate: 50,
      source: { case: 'random', value: { randomInputLen: 64, randomOutputLen: 10 } },
    },
    ...more,
  });

/** Until `holds`, in turns of the event loop; a test that hangs is a test that fails. */
export async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 5000; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error('it never came true');
}
