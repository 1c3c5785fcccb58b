/** A server for the tests of one `describe`, and a client of one of its services: begun and ended with them. */

import type { DescService } from '@bufbuild/protobuf';
import { afterAll, beforeAll } from 'vitest';
import { grpcClient, type Server, startServer } from './support.js';

export interface Served {
  readonly server: Server;
  readonly client: ReturnType<typeof grpcClient>;
}

export function served(
  service: DescService,
  options: Parameters<typeof startServer>[0] = {},
): Served {
  let server: Server;
  let client: Served['client'];
  beforeAll(async () => {
    server = await startServer(options);
    client = grpcClient(service, server.address);
  });
  afterAll(async () => {
    client.close();
    await server.close();
  });
  return {
    get server() {
      return server;
    },
    get client() {
      return client;
    },
  };
}
