/**
 * One HTTP exchange over kept-alive connections, with the times that matter.
 *
 * node:http rather than fetch: a chunk reaches the handler in the same turn in which it was read, so
 * the stamp is the time of arrival. Every open request has a connection of its own; none waits for one.
 */

import { Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps, Agent as TlsAgent } from 'node:https';
import { type Failure, failureOf } from './failures.js';
import type { ThreadMonitor } from './thread-monitor.js';

export interface Exchange {
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body?: string | Uint8Array;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with each piece of a 200 answer and the time it arrived. */
  onData(bytes: Buffer, atMs: number): void;
}

/** How an exchange ended; times by `performance.now`. */
export interface Exchanged {
  readonly sentMs: number;
  readonly headersMs?: number;
  readonly endedMs: number;
  readonly status: number;
  readonly retryAfterS?: number;
  readonly reused: boolean;
  /** Of an answer that was not 200. */
  readonly errorBody: string;
  readonly reason: string;
  readonly failure?: Failure;
}

const LONGEST_ERROR_BODY = 16_384;
const KEEP_ALIVE_MS = 60_000;

export class HttpClient {
  readonly #http = new Agent({
    keepAlive: true,
    keepAliveMsecs: KEEP_ALIVE_MS,
    maxSockets: Infinity,
    maxFreeSockets: 65_536,
  });
  readonly #https: TlsAgent;

  readonly #monitor: ThreadMonitor | undefined;

  constructor({ insecure = false, monitor }: { insecure?: boolean; monitor?: ThreadMonitor } = {}) {
    this.#monitor = monitor;
    this.#https = new TlsAgent({
      keepAlive: true,
      keepAliveMsecs: KEEP_ALIVE_MS,
      maxSockets: Infinity,
      maxFreeSockets: 65_536,
      rejectUnauthorized: !insecure,
    });
  }

  /** Never rejects: what went wrong is in the outcome. */
  exchange(exchange: Exchange): Promise<Exchanged> {
    return new Promise((resolve) => {
      new Flight(exchange, resolve, this.#monitor).start(
        exchange.url.protocol === 'https:' ? this.#https : this.#http,
      );
    });
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

interface Place {
  readonly protocol: string;
  readonly hostname: string;
  readonly port: string;
  readonly path: string;
}

const places = new WeakMap<URL, Place>();

/** What a request needs of its address, taken apart once: a load sends all its requests to one. */
function placeOf(url: URL): Place {
  const known = places.get(url);
  if (known) return known;
  const { protocol, hostname, port, pathname, search } = url;
  const place = {
    protocol,
    hostname: hostname.replace(/^\[|\]$/g, ''),
    port,
    path: pathname + search,
  };
  places.set(url, place);
  return place;
}

class Flight {
  #req: ClientRequest | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sentMs = 0;
  #headersMs: number | undefined;
  #res: IncomingMessage | undefined;
  #errorBody = '';
  #settled = false;
  readonly #onAbort = () => this.#stop({ kind: 'interrupted', message: 'stopped by the user' });

  constructor(
    private readonly exchange: Exchange,
    private readonly resolve: (done: Exchanged) => void,
    private readonly monitor: ThreadMonitor | undefined,
  ) {}

  start(agent: Agent): void {
    const { url, method, headers, body, timeoutMs, signal } = this.exchange;
    const open = url.protocol === 'https:' ? requestHttps : requestHttp;
    this.#sentMs = performance.now();
    try {
      this.#req = open({ ...placeOf(url), method, agent, headers: withLength(headers, body) });
    } catch (error) {
      this.#settle(failureOf(error));
      return;
    }
    const req = this.#req;
    req.on('response', (res) => this.#onResponse(res));
    req.on('error', (error) => this.#settle(failureOf(error)));
    if (signal?.aborted) {
      this.#onAbort();
      return;
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#timer = setTimeout(() => {
      this.#stop({ kind: 'timeout', message: `no complete answer in ${timeoutMs / 1e3} s` });
    }, timeoutMs);
    if (this.monitor?.leaving()) this.#lookAtSend(req, this.monitor);
    this.#sentMs = performance.now();
    req.end(body);
  }

  #lookAtSend(req: ClientRequest, monitor: ThreadMonitor): void {
    req.once('finish', () => {
      // A new encrypted connection takes the other side's time, too.
      if (!req.reusedSocket && this.exchange.url.protocol === 'https:') return;
      monitor.left(performance.now() - this.#sentMs, req.reusedSocket);
    });
  }

  #onResponse(res: IncomingMessage): void {
    this.#res = res;
    this.#headersMs = performance.now();
    const { onData } = this.exchange;
    const { monitor } = this;
    if (res.statusCode === 200) {
      res.on('data', (bytes: Buffer) => {
        const atMs = performance.now();
        monitor?.arrived(atMs);
        onData(bytes, atMs);
      });
    } else {
      res.on('data', (bytes: Buffer) => {
        if (this.#errorBody.length < LONGEST_ERROR_BODY) this.#errorBody += bytes.toString('utf8');
      });
    }
    res.on('end', () => this.#settle());
    res.on('error', (error) => {
      this.#settle({ kind: 'cut', message: `the answer broke off: ${error.message}` });
    });
  }

  #stop(failure: Failure): void {
    this.#settle(failure);
    this.#req?.destroy();
  }

  #settle(failure?: Failure): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.exchange.signal?.removeEventListener('abort', this.#onAbort);
    const status = this.#res?.statusCode ?? 0;
    // Headers are taken apart when they are asked for, which an answer that is all right need not pay.
    const retryAfter = status === 200 ? Number.NaN : Number(this.#res?.headers['retry-after']);
    this.resolve({
      sentMs: this.#sentMs,
      ...(this.#headersMs !== undefined && { headersMs: this.#headersMs }),
      endedMs: performance.now(),
      status,
      ...(retryAfter >= 0 && { retryAfterS: retryAfter }),
      reused: this.#req?.reusedSocket ?? false,
      errorBody: this.#errorBody,
      reason: this.#res?.statusMessage ?? '',
      ...(failure && { failure }),
    });
  }
}

function withLength(
  headers: Exchange['headers'],
  body: string | Uint8Array | undefined,
): Record<string, string | number> {
  if (body === undefined) return { ...headers };
  return { ...headers, 'content-length': Buffer.byteLength(body) };
}
