/**
 * The least of a client that `test-api` needs: plain requests, and the frames of a stream as they were
 * sent. It does not use an SDK: what an SDK forgives is what is to be checked.
 */

/** A check has found what it must not find. The message says what was expected and what came. */
export class CheckFailure extends Error {}

/** @throws {CheckFailure} unless `condition` holds. */
export function expect(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new CheckFailure(otherwise);
}

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  /** The body as JSON; `undefined` when it is none. */
  readonly json: Body | undefined;
}

/** A JSON object of unknown content, read field by field. */
// biome-ignore lint/suspicious/noExplicitAny: what a foreign server sends may be anything
export type Body = any;

export interface Stream {
  readonly status: number;
  readonly contentType: string;
  /** The `data:` of each frame, in order, `[DONE]` included. */
  readonly frames: readonly string[];
}

const TIMEOUT_MS = 60_000;

export class ApiClient {
  /** Without `/v1`. */
  readonly base: string;
  readonly #headers: Record<string, string>;

  constructor(url: string, apiKey: string | undefined) {
    this.base = url.replace(/\/+$/, '').replace(/\/v1$/, '');
    this.#headers = { authorization: `Bearer ${apiKey ?? 'none'}` };
  }

  async get(path: string): Promise<Reply> {
    return replyOf(await this.#send(path, { method: 'GET' }));
  }

  post(path: string, body: unknown): Promise<Reply> {
    return this.postText(path, JSON.stringify(body));
  }

  async postText(path: string, body: string, contentType = 'application/json'): Promise<Reply> {
    return replyOf(await this.#post(path, body, contentType));
  }

  /** Reads a stream to its end. */
  async stream(path: string, body: object): Promise<Stream> {
    const response = await this.#post(path, JSON.stringify(body), 'application/json');
    return { ...headOf(response), frames: framesOf(await response.text()) };
  }

  /** Begins a stream and leaves after its first bytes. */
  async leave(path: string, body: object): Promise<void> {
    const abort = new AbortController();
    const response = await this.#post(path, JSON.stringify(body), 'application/json', abort.signal);
    await response.body?.getReader().read();
    abort.abort();
  }

  #post(path: string, body: string, contentType: string, signal?: AbortSignal) {
    const headers = { 'content-type': contentType };
    return this.#send(path, { method: 'POST', body, headers, ...(signal && { signal }) });
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    const headers = { ...this.#headers, ...(init.headers as Record<string, string> | undefined) };
    const signal = init.signal ?? AbortSignal.timeout(TIMEOUT_MS);
    try {
      return await fetch(this.base + path, { ...init, headers, signal });
    } catch (error) {
      throw new CheckFailure(`no answer from ${this.base}: ${reasonOf(error)}`);
    }
  }
}

/** `fetch` hides why it failed in the cause. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
  if (cause?.code === 'ECONNREFUSED') return 'nothing listens there';
  return cause?.message || message;
}

const headOf = (response: Response) => ({
  status: response.status,
  contentType: response.headers.get('content-type') ?? '',
});

async function replyOf(response: Response): Promise<Reply> {
  const text = await response.text();
  let json: Body | undefined;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { ...headOf(response), text, json };
}

const framesOf = (text: string): string[] =>
  text
    .split(/\r?\n\r?\n/)
    .map((frame) => frame.trim())
    .filter((frame) => frame.startsWith('data:'))
    .map((frame) => frame.slice(5).trim());
