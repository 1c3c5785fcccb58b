/**
 * One clear-text port for everything: HTTP/1.1, and HTTP/2 for native gRPC.
 *
 * An HTTP/2 connection begins with `PRI * HTTP/2.0`; three bytes tell. Both servers hand their requests
 * to the same app, so every route answers on both. TLS needs no such trick: ALPN says it there.
 */

import { createServer, type RequestListener, type Server } from 'node:http';
import {
  createServer as createHttp2Server,
  createSecureServer,
  type ServerHttp2Session,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';

const PREFACE = Buffer.from('PRI');
/** A connection that says nothing for this long is closed. */
const SILENCE_MS = 60_000;

/** For Fastify's `serverFactory`: looks like an HTTP server, and is one for HTTP/1.1. */
export function portServer(listener: RequestListener): Server {
  const http1 = createServer(listener);
  const http2 = createHttp2Server(listener as never);
  const sessions = new Set<ServerHttp2Session>();
  http2.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  http2.on('sessionError', () => {});
  const handOver = http1.listeners('connection') as ((socket: Socket) => void)[];
  http1.removeAllListeners('connection');
  // Connections that have said nothing yet belong to neither server.
  const silent = new Set<Socket>();
  http1.on('connection', (socket: Socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
    sniff(socket, (isHttp2) => {
      silent.delete(socket);
      if (isHttp2) http2.emit('connection', socket);
      else for (const accept of handOver) accept.call(http1, socket);
    });
  });
  const closeAll = http1.closeAllConnections.bind(http1);
  http1.closeAllConnections = () => {
    for (const socket of silent) socket.destroy();
    for (const session of sessions) session.destroy();
    closeAll();
  };
  const closeIdle = http1.closeIdleConnections.bind(http1);
  // An HTTP/2 session is never idle by itself: it is told to finish.
  http1.closeIdleConnections = () => {
    for (const socket of silent) socket.destroy();
    for (const session of sessions) session.close();
    closeIdle();
  };
  return http1;
}

/** The same over TLS, where the client says in the handshake what it speaks. */
export const secureServer =
  (tls: { readonly cert: Buffer; readonly key: Buffer }) =>
  (listener: RequestListener): Server => {
    const server = createSecureServer({ ...tls, allowHTTP1: true }, listener as never);
    const sessions = new Set<ServerHttp2Session>();
    const sockets = new Set<Socket>();
    server.on('session', (session) => {
      sessions.add(session);
      session.once('close', () => sessions.delete(session));
    });
    server.on('sessionError', () => {});
    server.on('secureConnection', (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    return Object.assign(server as unknown as Server, {
      closeAllConnections: () => {
        for (const socket of sockets) socket.destroy();
      },
      closeIdleConnections: () => {
        for (const session of sessions) session.close();
      },
    });
  };

function sniff(socket: Socket, decide: (isHttp2: boolean) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const onError = () => socket.destroy();
  socket.once('error', onError);
  socket.setTimeout(SILENCE_MS, onError);
  const onReadable = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, PREFACE.length);
    const matches = seen.subarray(0, length).equals(PREFACE.subarray(0, length));
    if (matches && length < PREFACE.length) return;
    socket.removeListener('readable', onReadable);
    socket.removeListener('error', onError);
    socket.setTimeout(0, onError);
    socket.unshift(seen);
    decide(matches);
    // HTTP/2 takes what was read from the socket itself.
    if (!matches) socket.resume();
  };
  socket.on('readable', onReadable);
}

export const portOf = (server: Server): number => (server.address() as AddressInfo).port;
