import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/cli/main.js';
import { cli } from './run-cli.js';

const PAGES = ['README.md', 'docs/openai.md', 'docs/operations.md', 'docs/from-the-original.md'];
const commandsOf = (page: string, command: string): string[] =>
  [...readFileSync(page, 'utf8').matchAll(/^npx llmservingsim (.*)$/gm)]
    .map(([, line]) => line!)
    .filter((line) => line.startsWith(command));

/** Runs a server command on free ports; resolves with its URL, and how it ends when stopped. */
async function serve(line: string) {
  let stop = () => {};
  let said = '';
  const code = run([...line.split(' '), '--port', '0', '--grpc-port', '0'], {
    out: (text) => {
      said += text;
    },
    err: (text) => {
      said += text;
    },
    errIsTerminal: false,
    onInterrupt: () => () => {},
    onStop: (ask) => {
      stop = ask;
    },
  });
  const early = code.then((value) => {
    throw new Error(`ended with ${value}: ${said}`);
  });
  early.catch(() => {});
  while (!said.includes('curl -N')) {
    await Promise.race([early, new Promise((resolve) => setTimeout(resolve, 5))]);
  }
  return { url: /OpenAI +(http\S+)\/v1/.exec(said)![1]!, code, stop: () => stop() };
}

describe.each(PAGES)('%s', (page) => {
  it.each(commandsOf(page, 'server'))('%s', async (line) => {
    const { url, code, stop } = await serve(line);
    const { data } = (await (await fetch(`${url}/v1/models`)).json()) as {
      data: { id: string }[];
    };
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: data[0]!.id,
        max_tokens: 2,
        messages: [{ role: 'user', content: 'hi' }],
      }),
    });
    expect(response.status).toBe(200);
    stop();
    expect(await code).toBe(0);
  });
});

describe('README.md', () => {
  let server: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    server = await serve('server --speed inf');
  });
  afterAll(() => server.stop());

  it.each(commandsOf('README.md', 'setup-perf'))('%s', async (line) => {
    expect((await cli(line)).code).toBe(0);
  });

  it.each(commandsOf('README.md', 'test-api'))('%s', async (line) => {
    const { code, out } = await cli(line.replace(/http\S+/, server.url));
    expect([code, out]).toEqual([0, expect.stringContaining(' 0 failed')]);
  });
});
