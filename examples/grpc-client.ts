/**
 * A client of the gRPC services: submits a workload, prints its tokens with the simulated times at
 * which they leave, then the report.
 *
 *   npx tsx examples/grpc-client.ts [address]        default: localhost:50051
 */

import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import type { Event } from '../gen/llmservingsim/v1/event_pb.js';
import type { Report } from '../gen/llmservingsim/v1/report_pb.js';
import { SimulateService, StatusService } from '../gen/llmservingsim/v1/service_pb.js';

const address = process.argv[2] ?? 'localhost:50051';
const transport = createGrpcTransport({ baseUrl: `http://${address}` });
const simulations = createClient(SimulateService, transport);
const status = createClient(StatusService, transport);

/** Three requests, a quarter of a second apart. */
const requests = [
  { requestId: 'first', arrivalMs: 0, promptTokens: 900, outputTokens: 6 },
  { requestId: 'second', arrivalMs: 250, promptTokens: 4000, outputTokens: 3 },
  { requestId: 'third', arrivalMs: 500, promptTokens: 20, outputTokens: 8 },
];

const at = (ms: number): string => `${ms.toFixed(2).padStart(9)} ms`;

function describe({ kind }: Event): string | undefined {
  switch (kind.case) {
    case 'requestArrive':
      return `${kind.value.requestId} arrives: ${kind.value.promptTokens} prompt tokens`;
    case 'tokens':
      return `token${kind.value.requestIds.length > 1 ? 's' : ''} of ${kind.value.requestIds.join(', ')}`;
    case 'requestFinish': {
      const { requestId, finishReason, ttftMs = 0, e2eMs = 0 } = kind.value;
      return `${requestId} ends (${finishReason}): TTFT ${ttftMs.toFixed(2)} ms, E2E ${e2eMs.toFixed(2)} ms`;
    }
    default:
      return undefined;
  }
}

function print(report: Report): void {
  const { completed, duration, outputThroughput, ttft, tpot } = report;
  console.log(`\n${completed} requests in ${duration.toFixed(3)} simulated seconds`);
  console.log(`  output  ${outputThroughput.toFixed(1)} tokens/s`);
  console.log(`  TTFT    ${ttft?.meanMs.toFixed(2)} ms (mean), ${ttft?.p99Ms.toFixed(2)} ms (p99)`);
  console.log(`  TPOT    ${tpot?.meanMs.toFixed(2)} ms (mean)`);
}

try {
  const { models } = await status.listModels({});
  console.log(`${address} knows ${models.length} models.\n`);
  const messages = simulations.simulate({
    scenario: {
      pools: [{ model: 'meta-llama/Llama-3.1-8B-Instruct', hardware: 'H100' }],
      workload: { source: { case: 'requests', value: { requests } } },
    },
    detail: 'tokens',
  });
  for await (const { content } of messages) {
    if (content.case === 'report') print(content.value);
    if (content.case !== 'events') continue;
    for (const event of content.value.events) {
      const text = describe(event);
      if (text) console.log(`${at(event.atMs)}  ${text}`);
    }
  }
} catch (error) {
  const { code, rawMessage } = ConnectError.from(error);
  console.error(
    code === Code.Unavailable
      ? `Nobody answers at ${address}. Start a server: npx llmservingsim server --grpc-port ${address.split(':').pop()}`
      : `${Code[code]}: ${rawMessage}`,
  );
  process.exitCode = 1;
}
