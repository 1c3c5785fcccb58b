/**
 * What `test-api` asks of an OpenAI-compatible server, one function a check. A check returns what it
 * saw, in a few words, or throws a `CheckFailure`; `undefined` means that it does not apply here.
 */

import { type ApiClient, type Body, expect, type Reply } from './client.js';

/** What earlier checks have found out. */
export interface Target {
  readonly client: ApiClient;
  /** The model to ask; filled in by the list of models when the user named none. */
  model: string;
  maxModelLen: number | undefined;
}

export interface Check {
  readonly name: string;
  /** Without it nothing after it makes sense. */
  readonly essential?: true;
  run(target: Target): Promise<string | undefined>;
}

const CHAT = '/v1/chat/completions';
const COMPLETIONS = '/v1/completions';
const MAX_TOKENS = 16;
const NUM_CONCURRENT = 10;

const chatBody = ({ model }: Target, more: object = {}) => ({
  model,
  messages: [{ role: 'user', content: 'Say something.' }],
  max_tokens: MAX_TOKENS,
  ...more,
});

export const CHECKS: readonly Check[] = [
  { name: 'health', essential: true, run: health },
  { name: 'models', essential: true, run: models },
  { name: 'one model by its id', run: oneModel },
  { name: 'status', run: status },
  { name: 'chat', run: chat },
  { name: 'completions', run: completions },
  { name: 'streaming: frames in order', run: streaming },
  { name: 'streaming: usage at the end', run: streamedUsage },
  { name: 'errors: unknown model', run: (t) => refusal(t, 404, chatBody(t, { model: 'no-such' })) },
  { name: 'errors: temperature 9', run: (t) => refusal(t, 400, chatBody(t, { temperature: 9 })) },
  { name: 'errors: max_tokens 0', run: (t) => refusal(t, 400, chatBody(t, { max_tokens: 0 })) },
  { name: 'errors: bad JSON', run: badJson },
  { name: 'errors: prompt over the window', run: overWindow },
  { name: 'errors: unknown route', run: unknownRoute },
  { name: 'a client that leaves', run: leaving },
  { name: `${NUM_CONCURRENT} at once`, run: concurrent },
];

async function health({ client }: Target): Promise<string> {
  const { status } = await client.get('/health');
  expect(status === 200, `expected 200, got ${status}`);
  return '200';
}

async function models(target: Target): Promise<string> {
  const { status, json } = await target.client.get('/v1/models');
  expect(status === 200, `expected 200, got ${status}`);
  expect(json?.object === 'list' && Array.isArray(json.data), 'expected a list with data');
  expect(json.data.length > 0, 'expected at least one model, got none');
  const found = json.data.find((model: Body) => model.id === target.model) ?? json.data[0];
  if (target.model === '') target.model = String(found.id);
  target.maxModelLen = found.max_model_len;
  return json.data.map((model: Body) => model.id).join(', ');
}

async function oneModel({ client, model }: Target): Promise<string> {
  const { status, json } = await client.get(`/v1/models/${encodeURIComponent(model)}`);
  expect(status === 200, `expected 200, got ${status}`);
  expect(json?.id === model, `expected id ${model}, got ${json?.id}`);
  return `owned by ${json.owned_by}`;
}

async function status({ client }: Target): Promise<string | undefined> {
  const { status, json } = await client.get('/status');
  if (status === 404) return undefined;
  expect(status === 200, `expected 200, got ${status}`);
  for (const field of ['pending_requests', 'inflight_batches', 'completed_requests']) {
    expect(Number.isInteger(json?.[field]), `expected a count in ${field}, got ${json?.[field]}`);
  }
  const { total, used, available } = json.memory_usage ?? {};
  expect(total === used + available, 'expected memory_usage.total = used + available');
  return `${json.completed_requests} answered, ${(total / 2 ** 30).toFixed(1)} GiB for KV`;
}

async function chat(target: Target): Promise<string> {
  const reply = await target.client.post(CHAT, chatBody(target));
  const choice = choiceOf(reply, 'chat.completion');
  expect(typeof choice.message?.content === 'string', 'expected text in message.content');
  expect(choice.message.role === 'assistant', `expected role assistant`);
  return usageOf(reply.json);
}

async function completions(target: Target): Promise<string> {
  const { model, client } = target;
  const body = { model, prompt: 'Once upon a time', max_tokens: MAX_TOKENS };
  const reply = await client.post(COMPLETIONS, body);
  const choice = choiceOf(reply, 'text_completion');
  expect(typeof choice.text === 'string', 'expected text in choices[0].text');
  return usageOf(reply.json);
}

function choiceOf({ status, json, text }: Reply, object: string): Body {
  expect(status === 200, `expected 200, got ${status}: ${text.slice(0, 200)}`);
  expect(json?.object === object, `expected object ${object}, got ${json?.object}`);
  const choice = json.choices?.[0];
  expect(choice !== undefined, 'expected one choice, got none');
  const reason = choice.finish_reason;
  expect(['stop', 'length'].includes(reason), `expected stop or length as reason, got ${reason}`);
  return choice;
}

function usageOf({ usage }: Body): string {
  const { prompt_tokens: input, completion_tokens: output, total_tokens: total } = usage ?? {};
  expect(input > 0 && output > 0, 'expected token counts in usage');
  expect(total === input + output, `expected ${input} + ${output} tokens in all, got ${total}`);
  expect(output <= MAX_TOKENS, `expected at most ${MAX_TOKENS} output tokens, got ${output}`);
  return `${input} tokens in, ${output} out`;
}

/** Role, then text, then why it ended, then the mark; one id throughout. */
async function streaming(target: Target): Promise<string> {
  const chunks = await chunksOf(target, chatBody(target, { stream: true }));
  expect(new Set(chunks.map(({ id }) => id)).size === 1, 'expected one id on all chunks');
  const choices = chunks.map(({ choices }) => choices?.[0]);
  expect(
    choices.every((choice) => choice !== undefined),
    'a chunk without a choice, though no usage was asked for',
  );
  expect(choices[0].delta?.role === 'assistant', 'expected the role in the first chunk');
  const ends = choices.flatMap((choice, i) => (choice.finish_reason ? [i] : []));
  expect(ends.length === 1, `expected one finish_reason, got ${ends.length}`);
  expect(ends[0] === choices.length - 1, 'expected finish_reason in the last chunk');
  const numTexts = choices.filter((choice) => choice.delta?.content).length;
  expect(numTexts > 0, 'expected chunks with text, got none');
  return `${numTexts} chunks with text, ${choices.at(-1).finish_reason}`;
}

async function streamedUsage(target: Target): Promise<string> {
  const more = { stream: true, stream_options: { include_usage: true } };
  const last = (await chunksOf(target, chatBody(target, more))).at(-1);
  expect(last.choices?.length === 0, 'expected no choices in the chunk with usage');
  return usageOf(last);
}

async function chunksOf({ client }: Target, body: object): Promise<Body[]> {
  const { status, contentType, frames } = await client.stream(CHAT, body);
  expect(status === 200, `expected 200, got ${status}`);
  const isStream = contentType.startsWith('text/event-stream');
  expect(isStream, `expected text/event-stream, got ${contentType}`);
  expect(frames.at(-1) === '[DONE]', 'expected data: [DONE] at the end');
  return frames.slice(0, -1).map((frame) => {
    try {
      return JSON.parse(frame);
    } catch {
      return expect(false, `expected JSON in each frame, got ${frame.slice(0, 80)}`);
    }
  });
}

async function refusal({ client }: Target, status: number, body: object): Promise<string> {
  return refused(await client.post(CHAT, body), status);
}

function refused({ status, json }: Reply, expected: number): string {
  expect(status === expected, `expected ${expected}, got ${status}`);
  const { message } = json?.error ?? {};
  expect(typeof message === 'string' && message !== '', 'expected a message in error.message');
  return `${status}: ${message.length > 60 ? `${message.slice(0, 60)}...` : message}`;
}

async function badJson({ client }: Target): Promise<string> {
  return refused(await client.postText(CHAT, '{"model":'), 400);
}

async function overWindow(target: Target): Promise<string | undefined> {
  const { maxModelLen } = target;
  if (maxModelLen === undefined) return undefined;
  return refusal(target, 400, chatBody(target, { max_tokens: maxModelLen }));
}

async function unknownRoute({ client }: Target): Promise<string> {
  const { status } = await client.get('/v1/no-such-route');
  expect(status === 404, `expected 404, got ${status}`);
  return '404';
}

/** The client goes after the first token: nothing of its request may be left. */
async function leaving(target: Target): Promise<string | undefined> {
  const { client } = target;
  await client.leave(CHAT, chatBody(target, { stream: true, max_tokens: 1000, ignore_eos: true }));
  const { status, json } = await client.get('/status');
  if (status === 404) return undefined;
  for (let i = 0, running = json.running_requests; running > 0; i++) {
    expect(i < 20, `its request still runs (running_requests is ${running})`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    running = (await client.get('/status')).json.running_requests;
  }
  return 'its request is gone';
}

async function concurrent(target: Target): Promise<string> {
  const ask = (_: unknown, i: number) =>
    i % 2 === 0
      ? target.client.post(CHAT, chatBody(target)).then(({ status }) => status)
      : target.client
          .stream(CHAT, chatBody(target, { stream: true }))
          .then(({ status, frames }) => (frames.at(-1) === '[DONE]' ? status : 0));
  const statuses = await Promise.all(Array.from({ length: NUM_CONCURRENT }, ask));
  const good = statuses.filter((status) => status === 200).length;
  expect(good === NUM_CONCURRENT, `expected ${NUM_CONCURRENT} answers, got ${good}`);
  return `all answered`;
}
