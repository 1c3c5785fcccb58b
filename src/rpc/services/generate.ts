/**
 * `Generate`: one request on the live cluster.
 *
 * The engine's tokens are added up until the caller's connection takes them: a slow reader gets fewer,
 * larger messages and costs no memory. A caller who goes away unsubscribes, and that frees its KV.
 */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import type {
  GenerateRequest,
  GenerateResponseSchema,
} from '../../../gen/llmservingsim/v1/service_pb.js';
import type { RequestSpec } from '../../core/engine.js';
import type { RequestOutcome } from '../../core/trace/tracer.js';
import { msFromNs } from '../../core/units.js';
import type { LiveCluster } from '../../pipeline/live-cluster.js';
import { drawAnswerLength } from '../../text/answer-length.js';
import {
  contentOfAnswer,
  hashNumbers,
  OutputText,
  PromptTokenizer,
  renderCompletion,
} from '../../text/index.js';
import { type Call, untilAborted } from '../call.js';
import { invalidField, modelNotFound, refuse } from '../errors.js';
import { finishMessage } from '../messages/events.js';
import type { LiveTarget, ServedModel } from '../ports.js';

/** Tokens in a message: with their text far below the 4 MiB that clients take by default. */
const MAX_TOKENS = 16_384;

type Response = MessageInitShape<typeof GenerateResponseSchema>;

export class Generation {
  readonly #prompts = new PromptTokenizer();
  #serial = 0;

  constructor(private readonly live: LiveTarget | undefined) {}

  async *generate(request: GenerateRequest, { signal }: Call): AsyncGenerator<Response> {
    const model = this.#model(request.model);
    const prompt = await this.#prompt(request, model);
    signal.throwIfAborted();
    this.#refuseWhenBusy();
    const { spec, output } = this.#plan(request, model, prompt);
    if (request.prompt.case === 'text') model.onPrompt?.(spec, request.prompt.value);
    let shown = 0;
    for await (const { at, numTokens, outcome } of released(model.cluster, spec, signal)) {
      for (let left = numTokens; ; ) {
        const count = Math.min(left, MAX_TOKENS);
        const text = output.text(shown, shown + count);
        shown += count;
        left -= count;
        yield {
          atMs: msFromNs(at),
          numTokens: count,
          text,
          ...(outcome && left === 0 && { finish: outcome }),
        };
        if (left === 0) break;
      }
    }
  }

  close(): Promise<void> {
    return this.#prompts.close();
  }

  #model(name: string): ServedModel {
    if (!this.live) {
      throw refuse({
        code: Code.FailedPrecondition,
        reason: 'nothing_served',
        message: 'This server only simulates: it has no live cluster.',
      });
    }
    const { models } = this.live;
    const model = name === '' ? models[0] : models.find(({ id }) => id === name);
    if (!model) throw modelNotFound(name);
    return model;
  }

  #refuseWhenBusy(): void {
    const refusal = this.live?.refusal?.();
    if (!refusal) return;
    const { message, retryAfterS = 1 } = refusal;
    throw refuse({ code: Code.Unavailable, reason: 'server_busy', message, retryAfterS });
  }

  async #prompt({ prompt }: GenerateRequest, model: ServedModel): Promise<Prompt> {
    switch (prompt.case) {
      case 'text':
        if (prompt.value === '') throw invalidField('text', 'a prompt', '');
        return this.#prompts.prepare(
          renderCompletion(prompt.value, model.template),
          model.tokenizer,
        );
      case 'promptTokens':
        if (prompt.value < 1) throw invalidField('prompt_tokens', 'at least 1', prompt.value);
        return { numTokens: prompt.value };
      default:
        throw invalidField('prompt', 'text or prompt_tokens', undefined);
    }
  }

  #plan(request: GenerateRequest, model: ServedModel, prompt: Prompt) {
    const { maxTokens, ignoreEos, priority } = request;
    const room = model.maxModelLen - prompt.numTokens;
    if (room < Math.max(1, maxTokens)) throw tooLong(model, prompt.numTokens, request);
    const seed = hashNumbers([this.live!.seed | 0, this.#serial++]);
    const limit = maxTokens || room;
    if (ignoreEos && maxTokens === 0) {
      throw invalidField('max_tokens', 'a number of tokens when ignore_eos is set', 0);
    }
    const wanted = ignoreEos ? Infinity : drawAnswerLength(seed);
    const output = new OutputText({
      tokenizer: model.tokenizer,
      seed,
      maxTokens: Math.min(wanted, limit),
      finishReason: wanted <= limit ? 'stop' : 'length',
    });
    const spec: RequestSpec = {
      promptTokens: prompt.numTokens,
      maxTokens: output.numTokens,
      finishReason: output.finishReason,
      priority,
      outputContent: contentOfAnswer(output.text()),
      ...(prompt.segments && { prompt: prompt.segments }),
      ...(model.lora && { lora: model.lora.name }),
    };
    return { spec, output };
  }
}

interface Prompt {
  readonly numTokens: number;
  readonly segments?: RequestSpec['prompt'];
}

function tooLong({ maxModelLen }: ServedModel, promptTokens: number, request: GenerateRequest) {
  const asked = promptTokens + request.maxTokens;
  return refuse({
    code: Code.InvalidArgument,
    reason: 'context_length_exceeded',
    message: `This model's maximum context length is ${maxModelLen} tokens, but you asked for ${asked} (${promptTokens} in the prompt, ${request.maxTokens} in the answer).`,
    field: promptTokens >= maxModelLen ? (request.prompt.case ?? 'prompt') : 'max_tokens',
  });
}

interface News {
  readonly at: number;
  readonly numTokens: number;
  readonly outcome: ReturnType<typeof finishMessage> | undefined;
}

/** What one request is told, pulled: what came since the last pull is one piece of news. */
async function* released(
  cluster: LiveCluster,
  spec: RequestSpec,
  signal: AbortSignal,
): AsyncGenerator<News> {
  let numTokens = 0;
  let at = 0;
  let outcome: ReturnType<typeof finishMessage> | undefined;
  let failure: unknown;
  let wake = () => {};
  const aborted = untilAborted(signal);
  const subscription = cluster.request$(spec).subscribe({
    next: (event) => {
      at = event.at;
      if (event.kind === 'tokens') numTokens += event.numTokens;
      else outcome = finishMessage(event.outcome satisfies RequestOutcome);
      wake();
    },
    error: (reason) => {
      failure = refuse({
        code: Code.Unavailable,
        reason: 'shutting_down',
        message: (reason as Error).message,
        retryAfterS: 1,
      });
      wake();
    },
  });
  try {
    while (!outcome) {
      if (numTokens === 0 && !failure) {
        const told = new Promise<void>((resolve) => {
          wake = resolve;
        });
        await Promise.race([told, aborted]);
        // The end of a request comes with its last token: one message for both.
      }
      if (failure) throw failure;
      signal.throwIfAborted();
      const news: News = { at, numTokens, outcome };
      numTokens = 0;
      yield news;
      if (news.outcome) return;
    }
    yield { at, numTokens, outcome };
  } finally {
    aborted.cancel();
    subscription.unsubscribe();
  }
}
