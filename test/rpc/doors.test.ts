import { readFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code, type ConnectError, createClient, type Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.js';
import { ServerReflection as Alpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.js';
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../gen/health/v1/health_pb.js';
import {
  type SimulateResponse,
  SimulateService,
  StatusService,
} from '../../gen/llmservingsim/v1/service_pb.js';
import { ManualClock } from '../../src/pipeline/clock.js';
import { portServer, secureServer } from '../../src/rpc/index.js';
import {
  collect,
  grpcClient,
  type Server,
  smallScenario,
  startServer,
  unary,
  until,
} from './support.js';

/** Every way to call: the port of gRPC, and the one port that speaks everything. */
const DOORS: readonly [name: string, open: (grpc: string, http: string) => Transport][] = [
  ['gRPC', (grpc) => createGrpcTransport({ baseUrl: grpc })],
  ['gRPC on the HTTP port', (_, http) => createGrpcTransport({ baseUrl: http })],
  ['Connect', (_, http) => createConnectTransport({ baseUrl: http, httpVersion: '1.1' })],
  [
    'Connect in JSON',
    (_, http) =>
      createConnectTransport({ baseUrl: http, httpVersion: '1.1', useBinaryFormat: false }),
  ],
  ['Connect over HTTP/2', (_, http) => createConnectTransport({ baseUrl: http, httpVersion: '2' })],
  ['gRPC-Web', (_, http) => createGrpcWebTransport({ baseUrl: http, httpVersion: '1.1' })],
];

describe.each(DOORS)('%s', (name, open) => {
  const clock = new ManualClock();
  let server: Server;
  let app: FastifyInstance;
  let transport: Transport;
  beforeAll(async () => {
    server = await startServer({ clock });
    app = Fastify({ serverFactory: portServer as never });
    await server.rpc.registerConnect(app);
    const http = await app.listen({ host: '127.0.0.1', port: 0 });
    transport = open(`http://${server.address}`, http);
  });
  afterAll(async () => {
    await server.close();
    app.server.closeAllConnections();
    await app.close();
  });

  it.each([
    ['the report', {}],
    ['requests', { detail: 'requests' }],
    ['steps', { detail: 'steps', maxEventsPerMessage: 7 }],
    ['tokens', { detail: 'tokens' }],
    ['tokens by number', { detail: 'tokens', tokensByNumber: true }],
    ['a recording', { record: true }],
    ['wall time', { detail: 'requests', clock: 'wall', speed: 1000 }],
  ])('simulates, with the messages that grpc-js gets: %s', async (what, more) => {
    const client = createClient(SimulateService, transport);
    const request = { scenario: smallScenario(), ...more };
    const direct = grpcClient(SimulateService, server.address);
    // How events fall into messages is the clock's affair on the wall.
    const told = (messages: SimulateResponse[]): unknown[] =>
      what === 'wall time'
        ? messages.flatMap(({ content }): unknown[] =>
            content.case === 'events' ? content.value.events : [content.value],
          )
        : messages;
    expect(told(await collect(client.simulate(request)))).toEqual(
      told(await collect(direct.simulate!(request))),
    );
    direct.close();
  });

  it('answers as grpc-js is answered', async () => {
    const client = createClient(StatusService, transport);
    const simulator = createClient(SimulateService, transport);
    const direct = grpcClient(StatusService, server.address);
    const directSimulator = grpcClient(SimulateService, server.address);
    const pool = { model: 'qwen/Qwen3-8B', hardware: 'H100' };
    const step = { pool, numDecodes: 3, decodeContext: 100 };
    expect(await client.getStatus({})).toEqual(await unary(direct, 'getStatus', {}));
    expect(await client.listModels({})).toEqual(await unary(direct, 'listModels', {}));
    expect(await client.listHardware({})).toEqual(await unary(direct, 'listHardware', {}));
    expect(await simulator.estimateStep(step)).toEqual(
      await unary(directSimulator, 'estimateStep', step),
    );
    const first = async <T>(stream: AsyncIterable<T>) => {
      for await (const message of stream) return message;
      return undefined;
    };
    const watching = direct.watchStatus!({});
    watching.on('error', () => {});
    expect(await first(client.watchStatus({}))).toEqual(await first(watching));
    watching.cancel();
    direct.close();
    directSimulator.close();
  });

  it('estimates a step, and tells its parts', async () => {
    const client = createClient(SimulateService, transport);
    const { durationMs, operators } = await client.estimateStep({
      pool: { model: 'meta-llama/Llama-3.1-8B-Instruct', hardware: 'H100' },
      numDecodes: 32,
      decodeContext: 1024,
    });
    const sum = operators.reduce((total, operator) => total + operator.durationMs, 0);
    expect(sum).toBeCloseTo(durationMs, 2);
    expect(durationMs).toBeGreaterThan(16.06e9 / 3.35e12 / 1e-3);
  });

  it('carries refusals with their details', async () => {
    const client = createClient(SimulateService, transport);
    const refusal = await client
      .estimateStep({ pool: { model: 'x/y', hardware: 'H100' }, numDecodes: 1, decodeContext: 1 })
      .then(
        () => undefined,
        (error: ConnectError) => error,
      );
    expect(refusal?.code).toBe(Code.NotFound);
    expect(refusal?.rawMessage).toMatch(/^pool\.model: expected/);
    expect(refusal?.findDetails(ErrorInfoSchema)[0]?.reason).toBe('model_not_found');
  });

  it('frees the KV of a caller who goes away', async () => {
    const client = createClient(SimulateService, transport);
    const abort = new AbortController();
    const stream = collect(
      client.generate(
        { prompt: { case: 'promptTokens', value: 8 }, maxTokens: 100 },
        { signal: abort.signal },
      ),
    ).catch((error: ConnectError) => error.code);
    await until(() => server.cluster.numUnfinished === 1);
    abort.abort();
    await until(() => {
      clock.advance(0);
      return server.cluster.counts.aborted === 1;
    });
    expect(await stream).toBe(Code.Canceled);
    expect(server.cluster.snapshot()[0]!.freeBlocks).toBe(100);
  });

  it('tells the status', async () => {
    const { status } = await createClient(StatusService, transport).getStatus({});
    expect(status?.instances).toHaveLength(1);
  });

  it('answers for its health', async () => {
    const health = createClient(Health, transport);
    expect((await health.check({})).status).toBe(Status.SERVING);
    const service = 'llmservingsim.v1.SimulateService';
    expect((await health.check({ service })).status).toBe(Status.SERVING);
    await expect(health.check({ service: 'nobody' })).rejects.toMatchObject({
      code: Code.NotFound,
    });
  });

  it.runIf(name.startsWith('gRPC') && name !== 'gRPC-Web')('tells its schema', async () => {
    for (const service of [ServerReflection, Alpha]) {
      const client = createClient(service as typeof ServerReflection, transport);
      const answers = await collect(
        client.serverReflectionInfo(
          (async function* () {
            yield { messageRequest: { case: 'listServices' as const, value: '*' } };
            const value = 'llmservingsim.v1.SimulateService';
            yield { messageRequest: { case: 'fileContainingSymbol' as const, value } };
            yield { messageRequest: { case: 'fileContainingSymbol' as const, value: 'nobody' } };
          })(),
        ),
      );
      const [list, file, nobody] = answers.map(({ messageResponse }) => messageResponse);
      expect(list).toMatchObject({ case: 'listServicesResponse' });
      expect(nobody).toMatchObject({ case: 'errorResponse', value: { errorCode: 5 } });
      const files = file?.case === 'fileDescriptorResponse' ? file.value.fileDescriptorProto : [];
      const names = files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
      expect(names[0]).toBe('llmservingsim/v1/service.proto');
      expect(names).toContain('llmservingsim/v1/event.proto');
    }
  });
});

describe('a server that drains', () => {
  it('says so to those who watch its health, and ends its connections', async () => {
    const server = await startServer();
    const transport = createGrpcTransport({ baseUrl: `http://${server.address}` });
    const seen: Status[] = [];
    const watching = (async () => {
      for await (const { status } of createClient(Health, transport).watch({})) seen.push(status);
    })().catch(() => {});
    await until(() => seen.length === 1);
    server.rpc.drain();
    await until(() => seen.length === 2);
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
    await server.close();
    await watching;
  });
});

describe('a server with a key', () => {
  it('takes calls that carry it, and no others', async () => {
    const server = await startServer({ apiKey: 'sesame' });
    const client = createClient(
      StatusService,
      createGrpcTransport({ baseUrl: `http://${server.address}` }),
    );
    const code = (headers: Record<string, string>) =>
      client.listHardware({}, { headers }).then(
        () => 'ok',
        (error: ConnectError) => Code[error.code],
      );
    expect(await code({})).toBe('Unauthenticated');
    expect(await code({ authorization: 'Bearer simsalabim' })).toBe('Unauthenticated');
    expect(await code({ authorization: 'Bearer sesame' })).toBe('ok');
    expect(await code({ 'x-api-key': 'sesame' })).toBe('ok');
    await server.close();
  });
});

const speculating = (speculativeConfig: object) => ({
  pools: [{ model: 'a', hardware: 'H100', options: { speculativeConfig } }],
});

describe('a server that reads no files', () => {
  it.each([
    [{ pools: [{ model: '/etc/passwd', hardware: 'H100' }] }, 'scenario.pools[0].model'],
    [{ pools: [{ model: 'a', hardware: './x.json' }] }, 'scenario.pools[0].hardware'],
    [speculating({ model: '/x.json' }), 'scenario.pools[0].options.speculative_config.model'],
    [
      speculating({ acceptanceFile: 'x' }),
      'scenario.pools[0].options.speculative_config.acceptance_file',
    ],
    [
      { pools: [{ model: 'a', hardware: 'H100', perfTable: 't.csv' }] },
      'scenario.pools[0].perf_table',
    ],
    [
      { workload: { source: { case: 'trace', value: { path: '/etc/passwd' } } } },
      'scenario.workload.trace.path',
    ],
  ])('refuses %j', async (scenario, field) => {
    const server = await startServer({ limits: { allowFiles: false } });
    const client = createClient(
      SimulateService,
      createGrpcTransport({ baseUrl: `http://${server.address}` }),
    );
    const refusal = await collect(client.simulate({ scenario: smallScenario(scenario) })).catch(
      (error: ConnectError) => error,
    );
    expect(refusal).toMatchObject({ code: Code.PermissionDenied });
    expect((refusal as ConnectError).rawMessage).toContain(field);
    await server.close();
  });
});

describe('a server with a certificate', () => {
  it('speaks gRPC over TLS, and everything on one port', async () => {
    // Signed by itself, for localhost, for tests and nothing else.
    const [cert, key] = ['cert', 'key'].map((part) =>
      readFileSync(new URL(`localhost-${part}.pem`, import.meta.url)),
    ) as [Buffer, Buffer];
    const server = await startServer();
    const tls = await server.rpc.startGrpc('127.0.0.1', 0, { tls: { cert, key } });
    const transport = createGrpcTransport({
      baseUrl: `https://localhost:${tls.port}`,
      nodeOptions: { ca: cert },
    });
    const { hardware } = await createClient(StatusService, transport).listHardware({});
    expect(hardware.length).toBeGreaterThan(20);
    await tls.close();
    const app = Fastify({ serverFactory: secureServer({ cert, key }) as never });
    await server.rpc.registerConnect(app);
    const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
    for (const httpVersion of ['1.1', '2'] as const) {
      const both = createConnectTransport({
        baseUrl: `https://localhost:${port}`,
        httpVersion,
        nodeOptions: { ca: cert },
      });
      const answer = await createClient(StatusService, both).listHardware({});
      expect(answer.hardware).toEqual(hardware);
    }
    app.server.closeAllConnections();
    await app.close();
    await server.close();
  });
});
