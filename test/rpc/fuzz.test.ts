/** Bytes that are no messages, and callers that leave: the server answers the next call as before. */

import { connect } from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  SimulateRequestSchema,
  SimulateService,
  StatusService,
} from '../../gen/llmservingsim/v1/service_pb.js';
import { ManualClock } from '../../src/pipeline/clock.js';
import {
  collect,
  grpcClient,
  type Server,
  smallScenario,
  startServer,
  unary,
  until,
} from './support.js';

const NUM_CASES = Number(process.env.FUZZ_RUNS ?? 2000);
const AT_ONCE = 50;

/** Codes with which something that was sent wrongly, or is too much, is refused. */
const EXPECTED: readonly number[] = [
  grpc.status.OK,
  grpc.status.INVALID_ARGUMENT,
  grpc.status.NOT_FOUND,
  grpc.status.RESOURCE_EXHAUSTED,
  grpc.status.FAILED_PRECONDITION,
  grpc.status.DEADLINE_EXCEEDED,
];

describe('the gRPC server', () => {
  const clock = new ManualClock();
  let server: Server;
  beforeAll(async () => {
    server = await startServer({ clock });
  });
  afterAll(() => server.close());

  const raw = () => new grpc.Client(server.address, grpc.credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;

  /** Sends bytes as a request of a method, and tells the code. */
  function send(client: grpc.Client, path: string, bytes: Uint8Array): Promise<number> {
    return new Promise((resolve) => {
      const call = client.makeServerStreamRequest(path, same, same, Buffer.from(bytes), {
        deadline: Date.now() + 2000,
      });
      call.on('data', () => {});
      call.on('error', () => {});
      call.on('status', ({ code }) => resolve(code));
    });
  }

  const valid = toBinary(
    SimulateRequestSchema,
    create(SimulateRequestSchema, { scenario: smallScenario(), detail: 'tokens' }),
  );

  /** Anything at all; and a good request with some bytes changed, or cut. */
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .tuple(
        fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(valid.length),
      )
      .map(([changes, length]) => {
        const copy = valid.slice(0, length);
        for (const [at, value] of changes) copy[at] = value;
        return copy;
      }),
  );
  const paths = ['Simulate', 'Generate', 'EstimateStep', 'SimulateStream'].map(
    (name) => `/${SimulateService.typeName}/${name}`,
  );

  it(
    `refuses ${NUM_CASES} requests that make no sense, with codes that do`,
    async () => {
      const client = raw();
      const cases = fc.sample(fc.tuple(fc.constantFrom(...paths), bytes), {
        numRuns: NUM_CASES,
        seed: 20_240_601,
      });
      const codes = new Map<number, number>();
      for (let i = 0; i < cases.length; i += AT_ONCE) {
        const some = cases.slice(i, i + AT_ONCE).map(([path, data]) => send(client, path, data));
        for (const code of await Promise.all(some)) codes.set(code, (codes.get(code) ?? 0) + 1);
        clock.advance(1e9);
      }
      expect([...codes.keys()].filter((code) => !EXPECTED.includes(code))).toEqual([]);
      expect(codes.get(grpc.status.INVALID_ARGUMENT)).toBeGreaterThan(NUM_CASES / 4);
      client.close();
      await until(() => server.rpc.numRuns === 0);
      const status = grpcClient(StatusService, server.address);
      expect(await unary(status, 'getStatus', {})).toBeDefined();
      status.close();
    },
    60 * NUM_CASES,
  );

  it('outlives connections that speak no HTTP/2, and frames that are none', async () => {
    const session = connect(`http://${server.address}`);
    session.on('error', () => {});
    const ended = await new Promise((resolve) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': paths[0]!,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => {});
      stream.on('close', () => resolve(true));
      stream.resume();
      stream.end(Buffer.from([9, 9, 9, 9, 9, 9, 9]));
    });
    expect(ended).toBe(true);
    session.destroy();
    const client = grpcClient(SimulateService, server.address);
    expect(await collect(client.simulate!({ scenario: smallScenario() }))).toHaveLength(1);
    client.close();
  });

  it('leaks nothing when a thousand callers leave', async () => {
    const client = grpcClient(SimulateService, server.address);
    const { aborted, submitted } = server.cluster.counts;
    const scenario = smallScenario({ workload: { numPrompts: 1e5, requestRate: 10 } });
    for (let i = 0; i < 1000; i += AT_ONCE) {
      const calls = Array.from({ length: AT_ONCE }, (_, k) =>
        k % 10 === 9
          ? client.simulate!({ scenario, detail: 'tokens', clock: 'wall' })
          : client.generate!({ prompt: { case: 'promptTokens', value: 20 }, maxTokens: 100 }),
      );
      for (const call of calls) call.on('error', () => {});
      const expected = submitted + (i / AT_ONCE + 1) * AT_ONCE * 0.9;
      await until(() => server.cluster.counts.submitted === expected);
      clock.advance(15e6);
      for (const call of calls) call.cancel();
      await until(() => {
        clock.advance(0);
        return server.cluster.numUnfinished === 0 && server.rpc.numRuns === 0;
      });
    }
    expect(server.cluster.counts.aborted - aborted).toBe(900);
    const [instance] = server.cluster.snapshot();
    expect(instance).toMatchObject({ freeBlocks: 100, numRunning: 0, numWaiting: 0 });
    client.close();
  });
});
