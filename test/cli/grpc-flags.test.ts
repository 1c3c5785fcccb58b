import { afterEach, describe, expect, it } from 'vitest';
import { SimulateService } from '../../gen/llmservingsim/v1/service_pb.js';
import { type RunningServer, startServer } from '../../src/cli/commands/server.js';
import { completeFlags } from '../../src/cli/live/server-flags.js';
import type { Flags } from '../../src/cli/simulate-flags.js';
import { collect, detailsOf, errorOf, grpcClient, smallScenario, until } from '../rpc/support.js';
import { cli } from './run-cli.js';

let running: RunningServer | undefined;
let client: ReturnType<typeof grpcClient> | undefined;
afterEach(async () => {
  client?.close();
  await running?.stop();
  running = client = undefined;
});

async function serve(flags: Flags) {
  const silent = {
    out() {},
    err() {},
    errIsTerminal: false,
    onInterrupt: () => () => {},
    onStop() {},
  };
  running = await startServer(completeFlags({ port: '0', speed: 'inf', ...flags }, {}), silent);
  return running;
}

/** What `Simulate` is refused with on a server with these flags. */
async function refusal(flags: Flags, request: object = {}) {
  // A port that is free now: 0 means no gRPC.
  const { createServer } = await import('node:net');
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  await serve({ grpcPort: String(port), ...flags });
  client = grpcClient(SimulateService, `127.0.0.1:${port}`);
  return errorOf(collect(client.simulate!({ scenario: smallScenario(), ...request })));
}

const RESOURCE_EXHAUSTED = 8;

describe('the limits of gRPC', () => {
  it.each([
    [{ grpcMaxRequestsPerRun: '19' }, {}, 'A simulation has at most 19 requests'],
    [{ grpcMaxEventsPerRun: '100' }, { detail: 'tokens' }, 'A simulation tells at most 100 events'],
    [{ grpcMaxEventsPerRun: '100' }, { record: true }, 'A simulation tells at most 100 events'],
  ])('are set by flags: %j', async (flags, request, message) => {
    const error = await refusal(flags, request);
    expect([error.code, detailsOf(error)]).toEqual([
      RESOURCE_EXHAUSTED,
      ['ErrorInfo', 'RetryInfo'],
    ]);
    expect(error.details).toContain(message);
  });

  it('hold for messages that are too long', async () => {
    const requests = Array.from({ length: 100 }, () => ({ promptTokens: 1, outputTokens: 1 }));
    const workload = { source: { case: 'requests', value: { requests } } };
    const error = await refusal(
      { grpcMaxReceiveMessageLength: '200' },
      { scenario: smallScenario({ workload }) },
    );
    expect(error.code).toBe(RESOURCE_EXHAUSTED);
  });

  it('hold for simulations at once', async () => {
    const paced = { clock: 'wall', speed: 0.1, detail: 'requests' };
    await refusal({ grpcMaxConcurrentRuns: '1', grpcMaxRequestsPerRun: '20' }, { detail: '?' });
    const first = client!.simulate!({ scenario: smallScenario(), ...paced });
    first.on('error', () => {});
    let begun = false;
    first.once('data', () => {
      begun = true;
    });
    await until(() => begun);
    const error = await errorOf(collect(client!.simulate!({ scenario: smallScenario() })));
    expect([error.code, detailsOf(error)]).toEqual([
      RESOURCE_EXHAUSTED,
      ['ErrorInfo', 'RetryInfo'],
    ]);
    first.cancel();
  });

  it('end connections that are too old', async () => {
    await refusal(
      { grpcMaxConnectionAgeMs: '20', grpcMaxConnectionAgeGraceMs: '20' },
      { detail: '?' },
    );
    const scenario = smallScenario();
    const call = client!.simulate!({ scenario, clock: 'wall', speed: 0.001, detail: 'requests' });
    expect((await errorOf(collect(call))).code).toBe(14);
  });

  it.each([
    ['--grpc-max-concurrent-runs 0', '--grpc-max-concurrent-runs: expected a whole number of at'],
    ['--grpc-keepalive-time-ms soon', '--grpc-keepalive-time-ms: expected a whole number'],
    ['--allowed-origins example.com', '--allowed-origins: expected *, or origins of scheme'],
    ['--allowed-origins [1', '--allowed-origins: expected *, or origins of scheme'],
  ])('refuse %s', async (flags, message) => {
    const { code, err } = await cli(`server --port 0 ${flags}`);
    expect([code, err.slice(7, 7 + message.length)]).toEqual([1, message]);
  });
});

describe('web pages of other origins', () => {
  const preflight = (url: string, origin: string) =>
    fetch(`${url}/llmservingsim.v1.StatusService/GetStatus`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'connect-protocol-version,content-type,authorization',
      },
    });
  const call = (url: string, origin: string) =>
    fetch(`${url}/llmservingsim.v1.StatusService/GetStatus`, {
      method: 'POST',
      headers: { origin, 'content-type': 'application/json' },
      body: '{}',
    });

  it('may all call, unless told otherwise', async () => {
    const { url } = await serve({ grpcPort: '0' });
    const asked = await preflight(url, 'http://a.example');
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-origin')).toBe('*');
    expect(asked.headers.get('access-control-allow-headers')).toMatch(/\*.*authorization/);
    const { headers } = await call(url, 'http://a.example');
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect(headers.get('access-control-expose-headers')).toContain('grpc-status-details-bin');
  });

  it.each(['["http://a.example","https://b.example:8443"]', 'http://a.example'])(
    'may call when they are among %s',
    async (allowedOrigins) => {
      const { url } = await serve({ grpcPort: '0', allowedOrigins });
      for (const ask of [preflight, call]) {
        const { headers } = await ask(url, 'http://a.example');
        expect(headers.get('access-control-allow-origin')).toBe('http://a.example');
        expect(headers.get('vary')).toBe('origin');
        const other = await ask(url, 'http://c.example');
        expect(other.headers.get('access-control-allow-origin')).toBeNull();
        expect(other.headers.get('vary')).toBe('origin');
      }
    },
  );
});
