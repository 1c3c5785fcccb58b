import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunningServer, startServer } from '../../src/cli/commands/server.js';
import type { Io } from '../../src/cli/io.js';
import { completeFlags } from '../../src/cli/live/server-flags.js';
import type { Flags } from '../../src/cli/simulate-flags.js';
import { cli } from './run-cli.js';

let said = '';
let signal: () => void = () => {};
let running: RunningServer | undefined;
afterEach(async () => {
  await running?.stop();
  running = undefined;
});

/** A server on a port of its own, as fast as possible unless told otherwise. */
async function serve(flags: Flags = {}, env: Record<string, string> = {}): Promise<RunningServer> {
  said = '';
  const tell = (text: string) => {
    said += text;
  };
  const io: Io = {
    out: tell,
    err: tell,
    errIsTerminal: false,
    onInterrupt: () => () => {},
    onStop: (stop) => {
      signal = stop;
    },
  };
  running = await startServer(
    completeFlags({ port: '0', grpcPort: '0', speed: 'inf', ...flags }, env),
    io,
  );
  return running;
}

const openai = ({ url }: RunningServer) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
const messages = [{ role: 'user' as const, content: 'Tell me something.' }];
const model = 'meta-llama/Llama-3.1-8B-Instruct';
interface Status {
  readonly completed_requests: number;
  readonly running_requests: number;
  readonly aborted_requests: number;
  readonly memory_usage: { readonly used: number };
}
const statusOf = async ({ url }: RunningServer) =>
  (await (await fetch(`${url}/status`)).json()) as Status;
const until = async (condition: () => boolean | Promise<boolean>) => {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe('llmservingsim server', () => {
  it('serves adapters under names of their own', async () => {
    const record = join(mkdtempSync(join(tmpdir(), 'lora-')), 'recording.jsonl');
    const flags = { enableLora: true, loraModules: ['sql=adapters/sql'], apiProfile: 'vllm' };
    const server = await serve({ ...flags, record });
    const listed = (await (await fetch(`${server.url}/v1/models`)).json()) as { data: object[] };
    expect(listed.data.slice(1)).toMatchObject([
      { id: 'sql', root: 'adapters/sql', parent: model },
    ]);
    const answer = await openai(server).chat.completions.create({ model: 'sql', messages });
    expect(answer.model).toBe('sql');
    await server.stop();
    const [line] = readFileSync(record, 'utf8').split('\n');
    expect(JSON.parse(line!)).toMatchObject({ lora: 'sql' });
    rmSync(dirname(record), { recursive: true });
    await expect(serve({ loraModules: ['sql=x'] })).rejects.toThrow('--lora-modules: expected an');
    await expect(serve({ loraModules: ['sql'] })).rejects.toThrow('expected name=path');
  });

  it('answers the official SDK, streamed and not, with the same text', async () => {
    const client = openai(await serve());
    const ask = { model, messages, max_tokens: 30, seed: 7 };
    const whole = await client.chat.completions.create(ask);
    const streamed = await client.chat.completions
      .stream({ ...ask, stream: true, stream_options: { include_usage: true } })
      .finalChatCompletion();
    expect(streamed.choices[0]!.message.content).toBe(whole.choices[0]!.message.content);
    expect(streamed.usage!.completion_tokens).toBe(whole.usage!.completion_tokens);
  });

  it('answers ten clients with a hundred requests each, all of them', async () => {
    const server = await serve();
    const oneClient = async (_: unknown, c: number) => {
      const client = openai(server);
      let good = 0;
      for (let i = 0; i < 100; i++) {
        const ask = { model, messages, max_tokens: 1 + ((c + i) % 12), ignore_eos: true };
        if (i % 2 === 0) {
          const { usage } = await client.chat.completions.create(ask);
          if (usage!.completion_tokens === ask.max_tokens) good++;
        } else {
          const stream = await client.chat.completions.create({ ...ask, stream: true });
          let tokens = 0;
          for await (const { choices } of stream) if (choices[0]?.delta.content) tokens++;
          if (tokens === ask.max_tokens) good++;
        }
      }
      return good;
    };
    const good = await Promise.all(Array.from({ length: 10 }, oneClient));
    expect(good).toEqual(Array(10).fill(100));
    const status = await statusOf(server);
    expect(status).toMatchObject({ completed_requests: 1000, running_requests: 0 });
    expect(status.memory_usage.used).toBe(0);
  }, 60_000);

  it('frees the KV of a client that leaves in the middle', async () => {
    const server = await serve({ speed: '1' });
    const ask = { model, messages, max_tokens: 4000, ignore_eos: true, stream: true } as const;
    const stream = await openai(server).chat.completions.create(ask);
    for await (const { choices } of stream) if (choices[0]?.delta.content) break;
    await until(async () => (await statusOf(server)).aborted_requests === 1);
    const { memory_usage, running_requests, completed_requests } = await statusOf(server);
    expect([memory_usage.used, running_requests, completed_requests]).toEqual([0, 0, 0]);
    await until(() => /POST \/v1\/chat\/completions 499 .* abort/.test(said));
  });

  it('logs each answer with its tokens and simulated times, once', async () => {
    const server = await serve({ timeToFirstToken: '200', interTokenLatency: '20' });
    const client = openai(server);
    const ask = { model, messages, max_tokens: 11, ignore_eos: true };
    await client.chat.completions.create(ask);
    for await (const _ of await client.chat.completions.create({ ...ask, stream: true }));
    const line =
      /POST \/v1\/chat\/completions 200 {2}\d+ tokens in, 11 out {2}TTFT 200 ms, E2E 400 ms {2}length/g;
    await until(() => (said.match(line)?.length ?? 0) === 2);
    expect(said.match(/POST/g)).toHaveLength(2);
  });

  it('says why it refused', async () => {
    const server = await serve();
    await expect(
      openai(server).chat.completions.create({ model: 'no-such', messages }),
    ).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
    await until(() => said.includes('404  refused: The model `no-such` does not exist.'));
  });

  it('says once that it is idle, when nothing has come for a second', async () => {
    const server = await serve();
    const client = openai(server);
    const ask = { model, messages, max_tokens: 2, ignore_eos: true };
    for (let i = 0; i < 3; i++) await client.chat.completions.create(ask);
    await until(() => said.includes('idle'));
    expect(said.match(/idle: .*/g)).toEqual([
      'idle: nothing left to do, 3 requests and 6 tokens answered so far',
    ]);
  });

  it('drains on a signal: what runs ends, nothing new is taken', async () => {
    const server = await serve({ speed: '1', timeToFirstToken: '50', interTokenLatency: '10' });
    const ended = server.untilStopped();
    const client = openai(server);
    const ask = { model, messages, max_tokens: 20, ignore_eos: true } as const;
    const stream = await client.chat.completions.create({ ...ask, stream: true });
    let tokens = 0;
    for await (const { choices } of stream) {
      if (!choices[0]?.delta.content) continue;
      if (++tokens > 1) continue;
      signal();
      await expect(client.chat.completions.create(ask)).rejects.toMatchObject({ status: 503 });
    }
    expect(tokens).toBe(20);
    expect(await ended).toBe(0);
    await expect(fetch(server.url)).rejects.toThrow();
  });

  it('takes the names and the environment of the original', async () => {
    const server = await serve(
      {
        port: undefined,
        modelName: 'facebook/opt-6.7b',
        hardware: 'T4',
        npuNum: '1',
        npuMem: '16',
      },
      { LLMSERVINGSIM_PORT: '0', LLMSERVINGSIM_HOST: 'localhost', LLMSERVINGSIM_MODEL: 'unused' },
    );
    const { data } = await openai(server).models.list();
    expect(data.map(({ id, owned_by }) => [id, owned_by])).toEqual([
      ['facebook/opt-6.7b', 'llmservingsim'],
    ]);
    expect(said).toMatch(/opt-6.7b on T4/);
  });

  it('tells its version, and the tokens of a prompt as usage counts them', async () => {
    const model = 'qwen/Qwen3-8B';
    const server = await serve({ model });
    const { version } = (await (await fetch(`${server.url}/version`)).json()) as {
      version: string;
    };
    expect(version).toMatch(/^\d+\.\d+\.\d+/);
    const tokenize = async (body: object) => {
      const response = await fetch(`${server.url}/tokenize`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return [response.status, await response.json()] as [number, { count: number }];
    };
    const prompt = 'Once upon a time, there was a token.';
    const ask = { model, prompt, max_tokens: 1 };
    const { usage } = await openai(server).completions.create(ask);
    const [status, { count }] = await tokenize({ model, prompt });
    expect([status, count]).toEqual([200, usage!.prompt_tokens]);
    expect((await tokenize({ model, messages }))[0]).toBe(400);
    expect((await tokenize({ model: 'no-such', prompt }))[0]).toBe(404);
  });

  it('counts for Prometheus under the names of vLLM', async () => {
    const server = await serve({ timeToFirstToken: '200', interTokenLatency: '20' });
    const ask = { model, messages, max_tokens: 11, ignore_eos: true };
    await openai(server).chat.completions.create(ask);
    const response = await fetch(`${server.url}/metrics`);
    const text = await response.text();
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const valueAt = (line: string) => Number(text.split(`\n${line} `)[1]?.split('\n')[0]);
    const labels = `{model_name="${model}"}`;
    expect(valueAt(`vllm:generation_tokens_total${labels}`)).toBe(11);
    expect(valueAt(`vllm:time_to_first_token_seconds_sum${labels}`)).toBe(0.2);
    expect(valueAt(`vllm:e2e_request_latency_seconds_sum${labels}`)).toBe(0.4);
    expect(valueAt(`vllm:request_time_per_output_token_seconds_sum${labels}`)).toBeCloseTo(0.02, 9);
    const bucket = (le: string) =>
      valueAt(`vllm:time_to_first_token_seconds_bucket{model_name="${model}",le="${le}"}`);
    expect([bucket('0.1'), bucket('0.25'), bucket('+Inf')]).toEqual([0, 1, 1]);
    expect(valueAt(`vllm:num_requests_running{model_name="${model}",engine="0"}`)).toBe(0);
  });

  it('speculates: several tokens a chunk, counted under the names of vLLM', async () => {
    const speculativeConfig = JSON.stringify({
      method: 'eagle',
      num_speculative_tokens: 3,
      acceptance: 1,
    });
    const server = await serve({ speculativeConfig });
    const ask = { model, messages, max_tokens: 17, ignore_eos: true };
    const stream = await openai(server).chat.completions.create({ ...ask, stream: true });
    let chunks = 0;
    for await (const { choices } of stream) if (choices[0]?.delta.content) chunks++;
    // The first token alone, then four a step.
    expect(chunks).toBe(5);
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const valueAt = (name: string, more = '') =>
      Number(
        text
          .split(`\nvllm:spec_decode_${name}_total{model_name="${model}"${more}} `)[1]
          ?.split('\n')[0],
      );
    expect(valueAt('num_drafts')).toBe(4);
    expect(valueAt('num_draft_tokens')).toBe(12);
    expect(valueAt('num_accepted_tokens')).toBe(12);
    expect(valueAt('num_accepted_tokens_per_pos', ',position="2"')).toBe(4);
  });

  it('shows how to call it', async () => {
    const { url } = await serve();
    expect(said).toContain(`curl -N ${url}/v1/chat/completions`);
  });

  it('passes its own test-api, and test-api says where it does not', async () => {
    const { url } = await serve();
    const good = await cli(['test-api', `${url}/v1/`]);
    expect([good.code, good.out.split('\n').at(-2)]).toEqual([0, '16 passed, 0 failed']);
    await running!.stop();
    const bad = await cli(['test-api', url, '--json']);
    expect([bad.code, JSON.parse(bad.out).failed]).toEqual([1, 1]);
  });
});

describe('a port that is taken', () => {
  it('is named with its flag', async () => {
    const taken = net.createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as net.AddressInfo;
    const { code, err } = await cli(`server --port ${port} --grpc-port 0`);
    expect([code, err.split('\n')[0]]).toEqual([
      1,
      `error: --port: expected a free port, got ${port}`,
    ]);
    taken.close();
  });
});
