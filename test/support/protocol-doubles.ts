/**
 * Small servers that speak the protocols of LLM servers as their documentation shows them: what a
 * client must send, and frames as they come. `tokens` are answered one a frame, `gapMs` apart.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface DoubleServer {
  readonly url: string;
  /** Bodies received, parsed where they are JSON. */
  readonly bodies: (Record<string, unknown> | string)[];
  readonly headers: IncomingMessage['headers'][];
  close(): Promise<void>;
}

export type Handler = (
  req: IncomingMessage,
  res: ServerResponse,
  body: Record<string, unknown> | string,
) => void | Promise<void>;

export async function startDouble(handle: Handler): Promise<DoubleServer> {
  const bodies: DoubleServer['bodies'] = [];
  const headers: DoubleServer['headers'] = [];
  const server = createServer(async (req, res) => {
    const parts: Buffer[] = [];
    for await (const part of req) parts.push(part as Buffer);
    const text = Buffer.concat(parts).toString('latin1');
    const isJson = /json/.test(req.headers['content-type'] ?? '');
    const body = isJson ? (JSON.parse(text) as Record<string, unknown>) : text;
    bodies.push(body);
    headers.push(req.headers);
    await handle(req, res, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies,
    headers,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

const GAP_MS = 5;
export const TOKENS = ['Hello', ' wide', ' wörld', '!'];

/** Writes pieces `GAP_MS` apart, as server-sent events. */
async function stream(res: ServerResponse, pieces: readonly string[]): Promise<void> {
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const piece of pieces) {
    res.write(piece);
    await new Promise((resolve) => setTimeout(resolve, GAP_MS));
  }
  res.end();
}

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const DONE = 'data: [DONE]\n\n';
const USAGE = { prompt_tokens: 7, completion_tokens: 4, total_tokens: 11 };

/** vLLM's completions: finish reason in the last token's chunk, usage in a chunk of its own. */
export const completions: Handler = (_, res, body) => {
  const last = TOKENS.length - 1;
  const chunks = TOKENS.map((text, i) =>
    data({
      object: 'text_completion',
      choices: [{ index: 0, text, finish_reason: i === last ? 'length' : null }],
    }),
  );
  const asked = (body as { stream_options?: { include_usage?: boolean } }).stream_options;
  const usage = asked?.include_usage ? [data({ choices: [], usage: USAGE })] : [];
  return stream(res, [...chunks, ...usage, DONE]);
};

/** OpenAI's chat: a chunk with the role, then text, then a chunk with the finish reason. */
export const chat: Handler = (_, res) => {
  const chunk = (delta: object, finish: string | null = null) =>
    data({
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, finish_reason: finish }],
    });
  return stream(res, [
    chunk({ role: 'assistant', content: '' }),
    ...TOKENS.map((content) => chunk({ content })),
    chunk({}, 'stop'),
    data({ choices: [], usage: USAGE }),
    DONE,
  ]);
};

/** vLLM's transcription: chat-like deltas for a multipart form. */
export const transcription: Handler = (_, res) =>
  stream(res, [
    ...TOKENS.map((content) =>
      data({ object: 'transcription.chunk', choices: [{ delta: { content } }] }),
    ),
    data({ choices: [], usage: USAGE }),
    DONE,
  ]);

/** TGI: no space after `data:`, pings as comments, the whole text in the last event. */
export const tgi: Handler = (_, res) =>
  stream(res, [
    ': ping\n\n',
    ...TOKENS.map((text, i) => {
      const isLast = i === TOKENS.length - 1;
      return `data:${JSON.stringify({
        index: i + 1,
        token: { id: i, text, logprob: -0.1, special: false },
        generated_text: isLast ? TOKENS.join('') : null,
        details: isLast ? { finish_reason: 'length', generated_tokens: 4, seed: 1 } : null,
      })}\n\n`;
    }),
  ]);

/** Triton's ensemble: the connection's end is the end. */
export const triton: Handler = (_, res) =>
  stream(
    res,
    TOKENS.map((text) => data({ model_name: 'ensemble', model_version: '1', text_output: text })),
  );

/** DeepSpeed-MII: the whole answer at once. */
export const mii: Handler = (_, res) => {
  res.writeHead(200, { 'content-type': 'application/json' });
  res.end(
    JSON.stringify({ choices: [{ index: 0, text: TOKENS.join(''), finish_reason: 'stop' }] }),
  );
};
