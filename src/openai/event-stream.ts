/**
 * A response that is written frame by frame, as cheaply as Node can: each write is one string that is
 * its own HTTP chunk, put on the socket in one system call.
 *
 * `res.write` would send length, data and line end separately on the next tick. Writing to the socket
 * is right only where the reply is chunked and owns the socket: a HEAD or HTTP/1.0 request, or a
 * pipelined one that waits for its turn, goes through `res.write`.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Bytes in the socket's queue above which a reader counts as slow. */
const SLOW_READER_BYTES = 65_536;

export class EventStream {
  readonly #res: ServerResponse;
  readonly #mayBeRaw: boolean;
  /** Once the reply owns it, it does until the end. */
  #socket: Socket | undefined;

  /** Sends status and headers; the first write should follow in the same turn. */
  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    headers: Readonly<Record<string, string>>,
  ) {
    this.#res = res;
    const { socket } = res;
    socket?.cork();
    res.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
      ...headers,
    });
    res.flushHeaders();
    this.#mayBeRaw = req.method !== 'HEAD' && res.chunkedEncoding;
    if (socket) process.nextTick(() => socket.uncork());
  }

  /** Whether the reader is slow: hold back, and write more at once after `onDrain`. */
  get blocked(): boolean {
    const socket = this.#socket ?? this.#res.socket;
    return socket !== null && socket.writableLength > SLOW_READER_BYTES;
  }

  write(frames: string): void {
    if (frames === '') return;
    this.#socket ??= this.#ownSocket();
    if (!this.#socket) {
      if (!this.#res.destroyed) this.#res.write(frames);
      return;
    }
    const length = Buffer.byteLength(frames);
    const encoding = length === frames.length ? 'latin1' : 'utf8';
    this.#socket.write(`${length.toString(16)}\r\n${frames}\r\n`, encoding);
  }

  #ownSocket(): Socket | undefined {
    // `outputSize` counts what a pipelined reply keeps back until the socket is its own.
    const waits = (this.#res as unknown as { outputSize: number }).outputSize > 0;
    return this.#mayBeRaw && !waits ? (this.#res.socket ?? undefined) : undefined;
  }

  /** Writes the last frames and ends the reply; the connection stays for the next request. */
  end(frames: string): void {
    this.#res.end(frames);
  }

  /** Cuts the connection, as a crashed server would. */
  destroy(): void {
    this.#res.destroy();
  }

  /** Calls `then` once, when a slow reader has caught up. */
  onDrain(then: () => void): void {
    this.#res.socket?.once('drain', then);
  }
}

/** Calls `gone` when the client leaves before the answer is complete. */
export function onClientGone(res: ServerResponse, gone: () => void): void {
  res.once('close', () => {
    if (!res.writableFinished) gone();
  });
}
