import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from '../cli/run-cli.js';
import { completions, type Handler, startDouble } from '../support/protocol-doubles.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'failures-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const SMALL = '--model m --random-input-len 8 --random-output-len 4 --disable-tqdm';
const bench = (url: string, line: string) => cli(`bench --base-url ${url} ${SMALL} ${line}`);

const CHUNK = 'data: {"choices":[{"index":0,"text":"a","finish_reason":null}]}\n\n';
const refuse =
  (status: number, message: string): Handler =>
  (_, res) => {
    res.writeHead(status, { 'retry-after': '0', 'content-type': 'application/json' });
    res.end(JSON.stringify({ error: { message } }));
  };

/** Each way to go wrong once, and the class it is counted in. */
const WAYS: readonly (readonly [kind: string, handle: Handler])[] = [
  // The first, on a connection of its own: on a kept one it would be nobody's failure, and sent again.
  ['reset', (_, res) => void res.socket!.resetAndDestroy()],
  ['http_429', refuse(429, 'slow down')],
  ['http_404', refuse(404, 'The model `m` does not exist.')],
  ['http_500', refuse(500, 'out of memory')],
  [
    'cut',
    (_, res) => {
      res.write(CHUNK);
      setTimeout(() => res.destroy(), 5);
    },
  ],
  ['malformed', (_, res) => void res.end('data: {oops\n\n')],
  ['error_frame', (_, res) => void res.end(`${CHUNK}data: {"error":{"message":"died"}}\n\n`)],
  ['empty', (_, res) => void res.end('data: [DONE]\n\n')],
  ['timeout', (_, res) => void res.write(CHUNK)],
];

describe('what goes wrong', () => {
  it('is a counted class with an example, in the table, the result and the page', async () => {
    let next = 0;
    const server = await startDouble((req, res, body) =>
      (WAYS[next++]?.[1] ?? completions)(req, res, body),
    );
    const html = join(folder, 'page.html');
    const files = `--save-result ${join(folder, 'r.json')} --html ${html}`;
    const { code, out } = await bench(
      server.url,
      `--num-prompts ${WAYS.length + 2} --max-concurrency 1 --request-timeout-sec 0.3 ${files}`,
    );
    await server.close();
    expect(code).toBe(0);
    expect(out).toContain('Successful requests:                     2 ');
    const { client } = JSON.parse(readFileSync(join(folder, 'r.json'), 'utf8'));
    const page = readFileSync(html, 'utf8');
    for (const [kind] of WAYS) {
      expect(client.failures).toContainEqual({ kind, count: 1, example: expect.any(String) });
      expect(out).toContain(`Failed (${kind}): 1. For example: `);
      expect(page).toContain(`Failed (${kind}): 1. For example: `);
    }
  });

  it('tries again after 429 when asked to, and says how often', async () => {
    let next = 0;
    const server = await startDouble((req, res, body) =>
      (next++ % 2 === 0 ? refuse(429, 'slow down') : completions)(req, res, body),
    );
    const { out } = await bench(
      server.url,
      '--num-prompts 3 --max-concurrency 1 --max-retries 2 --json',
    );
    await server.close();
    const result = JSON.parse(out);
    expect([result.completed, result.failed, result.client.num_retries]).toEqual([3, 0, 3]);
  });

  it('knows servers that are not there, by port and by name', async () => {
    const gone = await startDouble(() => {});
    await gone.close();
    const refused = await bench(gone.url, '--num-prompts 2');
    expect(refused.code).toBe(1);
    expect(refused.out).toMatch(/Failed \(refused\): 2\. For example: .*check --base-url/);
    const nowhere = await bench('http://nowhere.invalid', '--num-prompts 1');
    expect(nowhere.out).toContain('Failed (unknown_host): 1.');
  });

  it('knows certificates it does not trust, and plain servers behind https', async () => {
    const pem = (name: string) => readFileSync(`test/rpc/localhost-${name}.pem`);
    const secure = createServer({ key: pem('key'), cert: pem('cert') }, async (req, res) => {
      for await (const _ of req);
      await completions(req, res, {});
    });
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    const url = `https://localhost:${(secure.address() as AddressInfo).port}`;
    const { out } = await bench(url, '--num-prompts 2');
    expect(out).toMatch(/Failed \(tls\): 2\. For example: .*--insecure/);
    const { code } = await bench(url, '--num-prompts 2 --insecure');
    expect(code).toBe(0);
    secure.closeAllConnections();
    secure.close();
    const plain = await startDouble(completions);
    const wrong = await bench(plain.url.replace('http:', 'https:'), '--num-prompts 1');
    expect(wrong.out).toContain('Failed (tls): 1.');
    await plain.close();
  });
});

describe('keys', () => {
  const KEYS = ['sk-very-secret', 'hush-hush', 'pass-word', 'in-the-query'];
  const auth = Buffer.from('me:pass-word').toString('base64');

  it('are in no output and no file, not even where a server repeats them', async () => {
    let next = 0;
    // A server that says everything it was sent: in errors and in answers.
    const parrot: Handler = (req, res) => {
      const heard = JSON.stringify([req.headers, req.url]).replaceAll('"', "'");
      if (next++ % 2 === 0) return refuse(400, heard)(req, res, {});
      const text = JSON.stringify({ choices: [{ text: heard, finish_reason: 'stop' }] });
      res.end(`data: ${text}\n\ndata: [DONE]\n\n`);
    };
    const server = await startDouble(parrot);
    const place = (name: string) => join(folder, `keys-${name}`);
    const files = [
      `--save-result ${place('result.json')} --save-detailed --html ${place('page.html')}`,
      `--save-requests ${place('rows.jsonl')} --record ${place('recording.jsonl')}`,
    ].join(' ');
    const said: string[] = [];
    for (const [url, flags] of [
      [server.url, ['--api-key', 'sk-very-secret', '--header', 'x-token=hush-hush']],
      [server.url, ['--header', 'authorization=Bearer sk-very-secret']],
      [server.url.replace('//', '//me:pass-word@'), []],
      [`${server.url}?key=in-the-query`, []],
    ] as const) {
      const line = `bench --base-url ${url} ${SMALL} --num-prompts 4 --max-concurrency 1 ${files}`;
      const { out, err } = await cli([...line.split(' '), ...flags]);
      expect(out).toContain('Successful requests:                     2 ');
      const written = readdirSync(folder).filter((name) => name.startsWith('keys-'));
      expect(written).toHaveLength(4);
      said.push(out, err, ...written.map((name) => readFileSync(join(folder, name), 'utf8')));
    }
    await server.close();
    for (const key of [...KEYS, auth]) {
      expect(said.filter((text) => text.includes(key))).toEqual([]);
    }
    expect(server.headers.some(({ authorization }) => authorization === `Basic ${auth}`)).toBe(
      true,
    );
  });

  it('are not repeated by a refusal of the flag', async () => {
    const { code, err } = await cli(['bench', '--model', 'm', '--header', 'sk-very-secret']);
    expect(code).toBe(1);
    expect(err).toContain('--header: expected KEY=VALUE');
    expect(err).not.toContain('secret');
  });
});
