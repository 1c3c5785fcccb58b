/**
 * A web page that calls the server through Connect-Web, and sends home what it found. Its origin is not
 * the server's, so every call crosses origins and asks first.
 */

import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-web';
import { ErrorInfoSchema } from '../../../gen/google/rpc/error_details_pb.js';
import { SimulateService, StatusService } from '../../../gen/llmservingsim/v1/service_pb.js';

/** URLs of a server that lets this page in, and of one that does not; set when the page is bundled. */
declare const OPEN_SERVER: string;
declare const CLOSED_SERVER: string;

const NUM_TOKENS = 12;
const generateRequest = {
  prompt: { case: 'promptTokens' as const, value: 20 },
  maxTokens: NUM_TOKENS,
  ignoreEos: true,
};

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
}

async function refusalOf(action: () => Promise<unknown>): Promise<ConnectError> {
  try {
    await action();
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error('not so: it is refused');
}

/** Each finding is a sentence. */
async function check(transport: Transport): Promise<string[]> {
  const status = createClient(StatusService, transport);
  const simulator = createClient(SimulateService, transport);
  const state = await status.getStatus({});
  expect(state.status?.instances.length === 1, 'GetStatus tells of one instance');

  const messages: { numTokens: number; reason: string | undefined }[] = [];
  for await (const { numTokens, finish } of simulator.generate(generateRequest)) {
    messages.push({ numTokens, reason: finish?.finishReason });
  }
  const tokens = messages.reduce((sum, { numTokens }) => sum + numTokens, 0);
  expect(tokens === NUM_TOKENS, `Generate gives ${NUM_TOKENS} tokens, not ${tokens}`);
  expect(messages.length > 1, 'Generate streams');
  expect(messages.at(-1)?.reason === 'length', 'the last message says how it ended');

  const long = { ...generateRequest, maxTokens: 1000 };
  const abort = new AbortController();
  const left = await refusalOf(async () => {
    for await (const _ of simulator.generate(long, { signal: abort.signal })) abort.abort();
  });
  expect(left.code === Code.Canceled, 'a stream that is left is cancelled');

  const pool = { model: 'nobody/knows', hardware: 'H100' };
  const unary = await refusalOf(() => simulator.estimateStep({ pool, numDecodes: 1 }));
  const streamed = await refusalOf(async () => {
    for await (const _ of simulator.simulate({ scenario: { pools: [pool] } })) break;
  });
  for (const { code, findDetails } of [unary, streamed].map((error) => ({
    code: error.code,
    findDetails: error.findDetails(ErrorInfoSchema),
  }))) {
    expect(code === Code.NotFound, `a refusal has its code, not ${Code[code]}`);
    expect(findDetails[0]?.reason === 'model_not_found', 'a refusal has its details');
  }
  return [`${messages.length} messages, ${tokens} tokens, 3 refusals`];
}

async function run(): Promise<string[]> {
  const findings: string[] = [];
  for (const [name, create] of [
    ['Connect', createConnectTransport],
    ['gRPC-Web', createGrpcWebTransport],
  ] as const) {
    const told = await check(create({ baseUrl: OPEN_SERVER }));
    findings.push(...told.map((finding) => `${name}: ${finding}`));
    const closed = createClient(StatusService, create({ baseUrl: CLOSED_SERVER }));
    const shut = await refusalOf(() => closed.getStatus({}));
    expect(/fetch/i.test(shut.message), `the browser keeps the page out: ${shut.message}`);
    findings.push(`${name}: kept out of the other server`);
  }
  return findings;
}

const report = (result: object) =>
  fetch('/result', { method: 'POST', body: JSON.stringify(result) });
run().then(
  (findings) => report({ ok: true, findings }),
  (error: Error) => report({ ok: false, findings: [error.stack ?? error.message] }),
);
