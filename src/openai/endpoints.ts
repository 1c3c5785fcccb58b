/**
 * The two endpoints that generate: from the body to the delivery of its answers.
 *
 * Everything that can be refused is refused before anything is submitted; what is submitted is
 * withdrawn when its client goes away.
 */

import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  hashNumbers,
  type PromptTokenizer,
  type RenderedPrompt,
  renderChat,
  renderCompletion,
  renderTokens,
  textOfPrompt,
  textOfTokens,
} from '../text/index.js';
import { answerBody, type Choice } from './answers.js';
import { ApiError, type ApiProfile, modelNotFound } from './api-error.js';
import { type ChatRequest, readChatRequest } from './chat-request.js';
import {
  type CompletionRequest,
  DEFAULT_COMPLETION_TOKENS,
  type Prompt,
  readCompletionRequest,
} from './completion-request.js';
import { type DeliveryReport, finishOf, WholeAnswer } from './delivery.js';
import { EventStream, onClientGone } from './event-stream.js';
import { type AnswerHead, type Endpoint, Frames } from './frames.js';
import type { GenerationRequest } from './generation.js';
import type { LiveModel, LiveService } from './live-model.js';
import { chatLogprob, completionLogprobs, tokenLogprob } from './logprobs.js';
import { type AnswerPlan, planAnswers } from './plan.js';
import { Outbox, StreamedAnswer } from './streamed-answer.js';

export interface EndpointOptions {
  readonly service: LiveService;
  readonly profile: ApiProfile;
  readonly prompts: PromptTokenizer;
  readonly seed: number;
  /** Begins every id this server gives, so that ids of two servers differ. */
  readonly idPrefix: string;
  /** Unix time in seconds. */
  readonly now: () => number;
}

/** A request ready to be answered: its prompts rendered, and how its answers look. */
interface Job {
  readonly endpoint: Endpoint;
  readonly request: GenerationRequest;
  readonly model: LiveModel;
  readonly prompts: readonly RenderedPrompt[];
  readonly param: string;
  readonly defaultMaxTokens?: number;
  /** Text before the answers to prompt i. */
  readonly echo?: (prompt: number) => string;
  /** Log probabilities of tokens `from` to `to` − 1, as a JSON value. */
  readonly logprobs?: (plan: AnswerPlan, from: number, to: number, offset: number) => object;
}

export class Endpoints {
  readonly #options: EndpointOptions;
  readonly #outbox = new Outbox();
  #numRequests = 0;

  constructor(options: EndpointOptions) {
    this.#options = options;
  }

  chat(req: FastifyRequest, reply: FastifyReply): Promise<DeliveryReport> {
    const request = readChatRequest(req.body);
    const model = this.#model(request);
    const prompts = [renderChat(request.messages, model.template, request.tools)];
    const logprobs = chatLogprobs(request);
    return this.#answer(req, reply, {
      endpoint: 'chat',
      request,
      model,
      prompts,
      param: 'messages',
      ...(logprobs && { logprobs }),
    });
  }

  completions(req: FastifyRequest, reply: FastifyReply): Promise<DeliveryReport> {
    const request = readCompletionRequest(req.body);
    const model = this.#model(request);
    const render = (prompt: Prompt) =>
      typeof prompt === 'string' ? renderCompletion(prompt, model.template) : renderTokens(prompt);
    const logprobs = logprobLists(request);
    return this.#answer(req, reply, {
      endpoint: 'completion',
      request,
      model,
      prompts: request.prompts.map(render),
      param: 'prompt',
      ...(!request.ignoreEos && { defaultMaxTokens: DEFAULT_COMPLETION_TOKENS }),
      ...(request.echo && { echo: (i: number) => textOf(request.prompts[i]!, model) }),
      ...(logprobs && { logprobs }),
    });
  }

  #model({ model }: GenerationRequest): LiveModel {
    const { service } = this.#options;
    const found = service.models.find(({ id }) => id === model);
    if (!found) throw modelNotFound(model);
    const refusal = service.refusal?.();
    if (refusal) {
      const { message, retryAfterS = 1 } = refusal;
      throw new ApiError('overloaded', message, { code: 'overloaded', retryAfterS });
    }
    return found;
  }

  async #answer(req: FastifyRequest, reply: FastifyReply, job: Job): Promise<DeliveryReport> {
    const serial = this.#numRequests++;
    const { model, request, param } = job;
    const plans: AnswerPlan[][] = [];
    for (const [i, rendered] of job.prompts.entries()) {
      const prepared = this.#options.prompts.prepare(rendered, model.tokenizer);
      const prompt = prepared instanceof Promise ? await prepared : prepared;
      const uniqueSeed = hashNumbers([this.#options.seed | 0, serial, i]);
      const { defaultMaxTokens } = job;
      const limits = defaultMaxTokens === undefined ? {} : { defaultMaxTokens };
      const answers = planAnswers({ model, request, prompt, param, uniqueSeed, ...limits });
      if (model.onPrompt) {
        const text = textOfPrompt(rendered, model.tokenizer);
        for (const { spec } of answers) model.onPrompt(spec, text);
      }
      plans.push(answers);
    }
    const head: AnswerHead = {
      endpoint: job.endpoint,
      profile: this.#options.profile,
      id: `${job.endpoint === 'chat' ? 'chatcmpl' : 'cmpl'}-${this.#options.idPrefix}${serial.toString(36)}`,
      created: this.#options.now(),
      model: model.id,
    };
    const delivery = request.stream
      ? this.#streamed(req, reply, job, head)
      : whole(reply, job, head);
    // The hook that logs runs as soon as the last byte is out, before `done` is heard of.
    req.delivery = delivery;
    if (reply.raw.destroyed) delivery.cancel();
    else onClientGone(reply.raw, () => delivery.cancel());
    const waitedMs = performance.now() - req.receivedAtMs;
    if (!reply.raw.destroyed)
      for (const answers of plans) delivery.submit(model, answers, waitedMs);
    const report = await delivery.done;
    if (report.reason === 'abort' && !reply.sent) reply.hijack();
    return report;
  }

  #streamed(req: FastifyRequest, reply: FastifyReply, job: Job, head: AnswerHead): StreamedAnswer {
    const { request, echo, logprobs } = job;
    return new StreamedAnswer({
      frames: new Frames({
        ...head,
        includeUsage: request.includeUsage,
        continuousUsage: request.continuousUsage,
      }),
      outbox: this.#outbox,
      open: () => {
        reply.hijack();
        return new EventStream(req.raw, reply.raw, headersOf(reply));
      },
      errorBody: (error) => error.body(this.#options.profile),
      ...(echo && { echo: (index: number) => echo(Math.floor(index / request.n)) }),
      ...(logprobs && {
        logprobs: (...args: Parameters<typeof logprobs>) => JSON.stringify(logprobs(...args)),
      }),
    });
  }
}

function whole(reply: FastifyReply, job: Job, head: AnswerHead): WholeAnswer {
  const { request, echo, logprobs } = job;
  return new WholeAnswer((plans, usage) => {
    const choices = plans.map((plan, index): Choice => {
      const prompt = echo?.(Math.floor(index / request.n)) ?? '';
      const { output } = plan;
      return {
        text: prompt + output.text(),
        finish: finishOf(plan),
        logprobs: logprobs?.(plan, 0, output.numTokens, prompt.length) ?? null,
      };
    });
    reply.header('content-type', 'application/json; charset=utf-8');
    reply.send(answerBody(head, choices, usage));
  });
}

/** The headers that hooks have set, for a reply that goes past Fastify. */
function headersOf(reply: FastifyReply): Record<string, string> {
  const headers = Object.entries(reply.getHeaders());
  return Object.fromEntries(headers.map(([name, value]) => [name, String(value)]));
}

function chatLogprobs({ logprobs, topLogprobs }: ChatRequest): Job['logprobs'] {
  if (!logprobs) return undefined;
  return ({ output, seed }, from, to) => {
    const content: object[] = [];
    for (let i = from; i < to; i++) {
      const entry = tokenLogprob(output, seed, i, topLogprobs);
      if (entry.token !== '') content.push(chatLogprob(entry));
    }
    return { content, refusal: null };
  };
}

function logprobLists({ logprobs }: CompletionRequest): Job['logprobs'] {
  if (logprobs === undefined) return undefined;
  return ({ output, seed }, from, to, offset) => {
    const tokens = Array.from({ length: to - from }, (_, i) =>
      tokenLogprob(output, seed, from + i, logprobs),
    );
    return completionLogprobs(tokens, offset);
  };
}

const textOf = (prompt: Prompt, { tokenizer }: LiveModel): string =>
  typeof prompt === 'string' ? prompt : textOfTokens(prompt, tokenizer);
