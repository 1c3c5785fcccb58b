/**
 * `llmservingsim server`: the engine on the wall clock behind an OpenAI endpoint and gRPC.
 *
 * It listens and makes no traffic of its own. SIGINT and SIGTERM drain it: nothing new is taken, what
 * runs is finished; a second signal ends it at once.
 */

import type { FastifyInstance } from 'fastify';
import { ConfigError } from '../../core/errors.js';
import { createOpenAiApp } from '../../openai/index.js';
import { portServer, secureServer } from '../../rpc/index.js';
import type { DefineCommand } from '../command.js';
import { composePools } from '../compose.js';
import { FAILED, type Io, OK } from '../io.js';
import { ClusterService } from '../live/live-service.js';
import { type RpcServer, startRpc } from '../live/rpc.js';
import {
  addServerFlags,
  completeFlags,
  type ServerOptions,
  serverOptions,
} from '../live/server-flags.js';
import { ServerLog } from '../live/server-log.js';
import { addPoolFlags, type Flags, requestFromFlags } from '../simulate-flags.js';
import { baseOf, namingOf } from '../simulate-run.js';
import { packageVersion } from '../version.js';

/** How long a draining server waits for what still runs. */
const DRAIN_MS = 30_000;

export const defineServer: DefineCommand = (command, io, exit) => {
  addPoolFlags(command);
  addServerFlags(command);
  command.action(async (given: Flags) => {
    const flags = completeFlags(given, process.env);
    const server = await startServer(flags, io);
    exit(await server.untilStopped());
  });
};

export interface RunningServer {
  /** As bound: a port of 0 has become a real one. */
  readonly url: string;
  readonly grpcPort: number | undefined;
  readonly service: ClusterService;
  /** Resolves when a signal has ended it. */
  untilStopped(): Promise<number>;
  stop(): Promise<void>;
}

/** @throws {ConfigError} for flags that cannot be, and for a port that is taken. */
export async function startServer(flags: Flags, io: Io): Promise<RunningServer> {
  const options = serverOptions(flags);
  const log = new ServerLog({ json: options.logJson, verbose: options.verbose, write: io.err });
  const base = await baseOf(flags);
  const request = requestFromFlags(flags, base?.request);
  const { pools, router, seed } = await composePools(request, namingOf(flags, base).pool);
  const service = await ClusterService.create({
    ...options,
    pools,
    router,
    seed,
    onLag: (lag) =>
      log.warn(
        `tokens leave ${lag.toFixed(0)} ms late: this machine is too busy, latencies are no longer the model's`,
      ),
  });
  service.rest$.subscribe((answered) => log.info(`idle: nothing left to do, ${answered}`));
  const app = createOpenAiApp({
    serverFactory: options.tls ? secureServer(options.tls) : portServer,
    service,
    profile: options.profile,
    seed,
    version: packageVersion(),
    allowedOrigins: options.allowedOrigins,
    ...(options.apiKey !== undefined && { apiKey: options.apiKey }),
    onRequest: (line) => log.request(line),
  });
  const rpc = await startRpc({ service, app, options, seed, log });
  const url = await listen(app, options).catch(async (error: unknown) => {
    // What listens already would keep the process alive behind its error.
    await rpc.close();
    service.close();
    throw error;
  });
  setImmediate(() => service.warmUp());
  for (const warning of service.warnings) log.warn(warning);
  for (const note of service.notes) log.debug(note);
  if (!options.logJson) io.out(greeting(url, rpc, options, service));
  return new Running(url, app, rpc, service, io, log);
}

async function listen(app: FastifyInstance, { host, port, tls }: ServerOptions): Promise<string> {
  try {
    await app.listen({ host, port, backlog: 4096 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = LISTEN_ERRORS[code ?? ''];
    if (!why) throw error;
    throw new ConfigError(
      code === 'EADDRINUSE' || code === 'EACCES' ? '--port' : '--host',
      why,
      code === 'EADDRINUSE' || code === 'EACCES' ? port : host,
      'Choose another with --port (or LLMSERVINGSIM_PORT), or stop what listens there.',
    );
  }
  const address = app.server.address();
  const bound = typeof address === 'object' && address ? address.port : port;
  return `${tls ? 'https' : 'http'}://${host === '0.0.0.0' || host === '::' ? 'localhost' : host}:${bound}`;
}

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'a free port',
  EACCES: 'a port this user may listen on',
  EADDRNOTAVAIL: 'an address of this machine',
  ENOTFOUND: 'an address of this machine',
};

function greeting(
  url: string,
  rpc: RpcServer,
  options: ServerOptions,
  service: ClusterService,
): string {
  const [first] = service.served;
  const { deployment, numGpus, spec } = first!.pools[0]!;
  const model = service.models[0]!.id;
  const gpus = numGpus > 1 ? `${numGpus} × ${deployment.gpu.name}` : deployment.gpu.name;
  const replicas = spec.numInstances > 1 ? `, ${spec.numInstances} instances` : '';
  const times = options.given
    ? `given times: ${options.given.ttftMs} ms to the first token, ${options.given.itlMs} ms for each further one`
    : options.speed === 1
      ? 'in real time'
      : options.speed === Infinity
        ? 'as fast as possible'
        : `at ${options.speed} × real time`;
  const key = options.apiKey === undefined ? '' : ` -H 'authorization: Bearer ${'$'}KEY'`;
  return [
    `Simulating ${service.models.map(({ id }) => id).join(', ')} on ${gpus}${replicas}, ${times}.`,
    '',
    `  OpenAI  ${url}/v1`,
    rpc.port === undefined ? '' : `  gRPC    ${new URL(url).hostname}:${rpc.port}`,
    '',
    `  curl -N ${url}/v1/chat/completions -H 'content-type: application/json'${key} \\`,
    `    -d '{"model":"${model}","stream":true,"messages":[{"role":"user","content":"hi"}]}'`,
    ...(rpc.port === undefined
      ? []
      : [`  npx tsx examples/grpc-client.ts ${new URL(url).hostname}:${rpc.port}`]),
    '',
    '',
  ]
    .filter((line, i, lines) => line !== '' || lines[i - 1] !== '')
    .join('\n');
}

class Running implements RunningServer {
  #stopping: Promise<void> | undefined;

  constructor(
    readonly url: string,
    private readonly app: FastifyInstance,
    private readonly rpc: RpcServer,
    readonly service: ClusterService,
    private readonly io: Io,
    private readonly log: ServerLog,
  ) {}

  get grpcPort(): number | undefined {
    return this.rpc.port;
  }

  untilStopped(): Promise<number> {
    return new Promise((resolve) => {
      let signals = 0;
      const stop = () => {
        signals++;
        if (signals > 1) resolve(FAILED);
        else
          this.#drain().then(
            () => resolve(OK),
            () => resolve(FAILED),
          );
      };
      this.io.onStop(stop);
    });
  }

  async #drain(): Promise<void> {
    const { service } = this;
    service.drain();
    this.rpc.drain();
    if (service.numUnfinished > 0) {
      this.log.info(`stopping: waiting for ${service.numUnfinished} requests (again: at once)`);
      await Promise.race([service.drained(), new Promise((r) => setTimeout(r, DRAIN_MS).unref())]);
    }
    await this.stop();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#close();
    return this.#stopping;
  }

  async #close(): Promise<void> {
    this.service.drain();
    this.service.close();
    await this.rpc.close();
    this.app.server.closeAllConnections();
    await this.app.close();
  }
}
