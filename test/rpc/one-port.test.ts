import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { portOf, portServer } from '../../src/rpc/one-port.js';

describe('a port for everything', () => {
  it('closes at once though a connection has said nothing yet', async () => {
    const server = portServer((_req, res) => res.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const socket = connect(portOf(server), '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    // The server has to have seen it.
    await fetch(`http://127.0.0.1:${portOf(server)}/`).then((res) => res.text());
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await ended;
    expect(server.listening).toBe(false);
  });
});
