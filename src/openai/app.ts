/**
 * The OpenAI surface as a Fastify app: routes, headers, keys, and refusals in OpenAI's form.
 *
 * Every answer carries `x-request-id`. Paths work with and without `/v1`, because clients disagree on
 * whether a base URL ends in it.
 */

import type { RequestListener, Server } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { PromptTokenizer } from '../text/index.js';
import { ApiError, type ApiProfile, modelNotFound, toApiError } from './api-error.js';
import type { Delivery, DeliveryReport } from './delivery.js';
import { Endpoints } from './endpoints.js';
import type { LiveModel, LiveService } from './live-model.js';
import { tokenizeBody } from './tokenize.js';

export interface OpenAiAppOptions {
  readonly service: LiveService;
  /** Default `openai`. */
  readonly profile?: ApiProfile;
  /** Requests must carry this key; absent: any key will do, or none. */
  readonly apiKey?: string;
  /** Largest body in bytes; default 32 MiB. */
  readonly bodyLimit?: number;
  /** Seeds the answers of requests that bring no seed; default 0. */
  readonly seed?: number;
  /** Begins every id; default the time of start. */
  readonly idPrefix?: string;
  /** Unix time in milliseconds; default the wall clock. */
  readonly nowMs?: () => number;
  /** Answered at `/version`; absent: there is none. */
  readonly version?: string;
  /** What listens; default a server of HTTP/1.1. */
  readonly serverFactory?: (handler: RequestListener) => Server;
  /** Origins of web pages that may call; default `*`: of all. */
  readonly allowedOrigins?: readonly string[];
  /** Told once per request, when it is over. */
  readonly onRequest?: (log: RequestLog) => void;
}

/** What there is to say about a request. */
export interface RequestLog {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Of a request that generated. */
  readonly delivery?: DeliveryReport;
  /** Why it was refused. */
  readonly refusal?: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** On the clock of `performance.now`. */
    receivedAtMs: number;
    /** Of a request that generates, from its submission on. */
    delivery: Delivery | null;
    refusal: string | null;
  }
}

const BODY_LIMIT = 32 * 2 ** 20;
/** The version of OpenAI's HTTP interface that is spoken. */
const OPENAI_VERSION = '2020-10-01';
/** Status in the log of a request whose client left, as nginx writes it. */
const CLIENT_GONE = 499;
/** What a page may read: ours, and those in which gRPC-Web tells how a call without messages ended. */
const EXPOSED_HEADERS =
  'x-request-id, openai-processing-ms, openai-version, retry-after, ' +
  'grpc-status, grpc-message, grpc-status-details-bin';
/** Seconds for which a browser need not ask again. */
const PREFLIGHT_MAX_AGE_S = 7200;

export function createOpenAiApp(options: OpenAiAppOptions): FastifyInstance {
  const { service, profile = 'openai', nowMs = Date.now, onRequest } = options;
  const { allowedOrigins = ['*'] } = options;
  const idPrefix = options.idPrefix ?? nowMs().toString(36);
  const prompts = new PromptTokenizer();
  let numRequests = 0;
  const app = Fastify({
    logger: false,
    ...(options.serverFactory && { serverFactory: options.serverFactory }),
    bodyLimit: options.bodyLimit ?? BODY_LIMIT,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true },
    // What fails before a route is found: a path that is no path.
    frameworkErrors: (error, req, reply) => refuse(req, reply, error),
    genReqId: (req) => {
      const given = req.headers['x-request-id'];
      return typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given)
        ? given
        : `req_${idPrefix}${(numRequests++).toString(36)}`;
    },
  });
  app.removeContentTypeParser('text/plain');
  app.decorateRequest('receivedAtMs', 0);
  app.decorateRequest('delivery', null);
  app.decorateRequest('refusal', null);

  app.addHook('onRequest', (req, reply, done) => {
    req.receivedAtMs = performance.now();
    reply.header('x-request-id', req.id);
    reply.header('openai-version', OPENAI_VERSION);
    if (req.headers.origin !== undefined) allowOrigin(req.headers.origin, reply, allowedOrigins);
    if (req.method === 'OPTIONS') {
      reply.code(204).send();
      return;
    }
    done(keyError(req, options.apiKey));
  });
  const log = (req: FastifyRequest, status: number) =>
    onRequest?.({
      id: req.id,
      method: req.method,
      path: req.url,
      status,
      ...(req.delivery?.report && { delivery: req.delivery.report }),
      ...(req.refusal !== null && { refusal: req.refusal }),
    });
  if (onRequest) {
    app.addHook('onResponse', (req, reply, done) => {
      log(req, reply.statusCode);
      done();
    });
  }
  app.addHook('onClose', () => prompts.close());

  const refuse = (req: FastifyRequest, reply: FastifyReply, error: unknown) => {
    const refusal = toApiError(error);
    req.refusal = refusal.message;
    if (reply.sent) return reply.raw.destroy();
    if (refusal.retryAfterS !== undefined) {
      reply.header('retry-after', String(Math.ceil(refusal.retryAfterS)));
    }
    return reply.code(refusal.status).send(refusal.body(profile));
  };
  app.setErrorHandler((error, req, reply) => refuse(req, reply, error));
  app.setNotFoundHandler((req, reply) => {
    const allowed = ['GET', 'POST'].filter((method) =>
      app.findRoute({ method: method as 'GET', url: routeOf(req.url) }),
    );
    if (allowed.length > 0) reply.header('allow', allowed.join(', '));
    return refuse(req, reply, unknownRoute(req, allowed));
  });

  const endpoints = new Endpoints({
    service,
    profile,
    prompts,
    seed: options.seed ?? 0,
    idPrefix,
    now: () => Math.floor(nowMs() / 1_000),
  });
  const generate =
    (endpoint: 'chat' | 'completions') => async (req: FastifyRequest, reply: FastifyReply) => {
      const { reason } = await endpoints[endpoint](req, reply);
      // Where the client has left, no `onResponse` will come.
      if (reason === 'abort' && !reply.raw.writableEnded) log(req, CLIENT_GONE);
      return reply;
    };
  for (const base of ['/v1', '']) {
    app.post(`${base}/chat/completions`, generate('chat'));
    app.post(`${base}/completions`, generate('completions'));
    app.get(`${base}/models`, async () => ({
      object: 'list',
      data: service.models.map((model) => modelBody(model, profile)),
    }));
    app.get<{ Params: { '*': string } }>(`${base}/models/*`, async (req) => {
      const id = req.params['*'];
      const model = service.models.find((served) => served.id === id);
      if (!model) throw modelNotFound(id);
      return modelBody(model, profile);
    });
  }
  app.get('/health', async () => ({ status: 'ok' }));
  app.get('/status', async () => service.status());
  const { version } = options;
  if (version !== undefined) app.get('/version', async () => ({ version }));
  app.post('/tokenize', async (req) => tokenizeBody(req.body, service.models));
  if (service.metrics) {
    app.get('/metrics', async (_, reply) => {
      reply.type('text/plain; version=0.0.4; charset=utf-8');
      return service.metrics!();
    });
  }
  return app;
}

function modelBody({ id, created, lora, maxModelLen }: LiveModel, profile: ApiProfile): object {
  const body = { id, object: 'model', created, owned_by: 'llmservingsim' };
  return profile === 'vllm'
    ? {
        ...body,
        root: lora?.path ?? id,
        parent: lora?.parent ?? null,
        max_model_len: maxModelLen,
      }
    : { ...body, max_model_len: maxModelLen };
}

/** Paths with a model's name in them have one route. */
function routeOf(url: string): string {
  const path = url.split('?', 1)[0]!.replace(/(?<=.)\/$/, '');
  return path.replace(/^((\/v1)?\/models)\/.+$/, '$1/*');
}

function unknownRoute(req: FastifyRequest, allowed: readonly string[]): ApiError {
  const path = req.url.split('?', 1)[0]!;
  return allowed.length > 0
    ? new ApiError('wrongMethod', `${path} takes ${allowed.join(' and ')}, not ${req.method}.`, {
        code: 'method_not_supported',
      })
    : new ApiError('notFound', `There is nothing at ${req.method} ${path}.`);
}

/** Only what asks for work is guarded: health checks bring no key. */
function keyError(req: FastifyRequest, apiKey: string | undefined): ApiError | undefined {
  if (apiKey === undefined || req.url === '/health') return undefined;
  const given = req.headers.authorization?.replace(/^Bearer\s+/i, '');
  if (given === apiKey) return undefined;
  return given === undefined || given === ''
    ? new ApiError('unauthorized', "An API key is needed: 'authorization: Bearer KEY'.")
    : new ApiError('unauthorized', 'This API key is not right.', { code: 'invalid_api_key' });
}

function allowOrigin(origin: string, reply: FastifyReply, allowed: readonly string[]): void {
  const anyone = allowed.includes('*');
  // Caches must not hand one origin's answer to another.
  if (!anyone) reply.header('vary', 'origin');
  if (!anyone && !allowed.includes(origin)) return;
  reply.header('access-control-allow-origin', anyone ? '*' : origin);
  reply.header('access-control-allow-methods', 'GET, POST, OPTIONS');
  reply.header('access-control-allow-headers', '*, authorization, content-type');
  reply.header('access-control-expose-headers', EXPOSED_HEADERS);
  reply.header('access-control-max-age', String(PREFLIGHT_MAX_AGE_S));
}
