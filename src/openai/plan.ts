/**
 * From a checked request to what is submitted: for each answer its text, its length and why it ends,
 * all fixed before the engine sees it.
 *
 * The answer of a request with a seed (or with temperature 0) depends on seed and prompt alone; of any
 * other, on the server's seed and the number of the request.
 */

import type { RequestSpec } from '../core/engine.js';
import { drawAnswerLength } from '../text/answer-length.js';
import { contentOfAnswer, hashNumbers, OutputText, type PreparedPrompt } from '../text/index.js';
import { contextLengthExceeded } from './api-error.js';
import type { GenerationRequest } from './generation.js';
import type { LiveModel } from './live-model.js';

export interface AnswerPlan {
  readonly spec: RequestSpec;
  readonly output: OutputText;
  /** Seeds what goes with the text (log probabilities). */
  readonly seed: number;
}

export interface PlanOptions {
  readonly model: LiveModel;
  readonly request: GenerationRequest;
  readonly prompt: PreparedPrompt;
  /** Which parameter holds the prompt: `messages`, `prompt`. */
  readonly param: string;
  /** Output tokens when the request names no limit; absent: as many as it wants to say. */
  readonly defaultMaxTokens?: number;
  /** Differs for each request of a server's life, and each prompt of a request. */
  readonly uniqueSeed: number;
}

/** The `n` answers to one prompt. @throws {ApiError} 400 when they do not fit the context window. */
export function planAnswers(options: PlanOptions): AnswerPlan[] {
  const { request, prompt, uniqueSeed } = options;
  const maxTokens = outputLimit(options);
  const isFixed = request.seed !== undefined || request.temperature === 0;
  const base = isFixed
    ? hashNumbers([request.seed ?? 0, ...prompt.segments.map(({ content }) => content % 2 ** 31)])
    : uniqueSeed;
  return Array.from({ length: request.n }, (_, i) =>
    planAnswer(options, hashNumbers([base | 0, Math.floor(base / 2 ** 32), i]), maxTokens),
  );
}

function planAnswer(options: PlanOptions, seed: number, maxTokens: number): AnswerPlan {
  const { model, request, prompt } = options;
  const wanted = request.ignoreEos ? Infinity : Math.max(drawAnswerLength(seed), request.minTokens);
  const output = new OutputText({
    tokenizer: model.tokenizer,
    seed,
    maxTokens: Math.min(wanted, maxTokens),
    finishReason: wanted <= maxTokens ? 'stop' : 'length',
    stop: request.stop,
    minTokens: request.minTokens,
    includeStop: request.includeStop,
  });
  const spec: RequestSpec = {
    promptTokens: prompt.numTokens,
    maxTokens: output.numTokens,
    finishReason: output.finishReason,
    priority: request.priority,
    prompt: prompt.segments,
    outputContent: contentOfAnswer(output.text()),
    ...(model.lora && { lora: model.lora.name }),
    ...(request.cacheSalt !== undefined && { cacheSalt: request.cacheSalt }),
  };
  return { spec, output, seed };
}

/** The most an answer may have: what was asked for, and fits. */
function outputLimit({ model, request, prompt, param, defaultMaxTokens }: PlanOptions): number {
  const { maxModelLen } = model;
  const room = maxModelLen - prompt.numTokens;
  const asked = request.maxTokens;
  if (room < Math.max(1, asked ?? 1)) {
    throw contextLengthExceeded({
      maxModelLen,
      promptTokens: prompt.numTokens,
      maxTokens: room < 1 ? undefined : asked,
      param,
    });
  }
  return Math.min(asked ?? defaultMaxTokens ?? room, room);
}
