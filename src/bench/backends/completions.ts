/** The completions protocol of OpenAI and vLLM, which most servers speak; the backends differ in a few words. */

import type { Answer, BenchRequest } from '../request.js';
import {
  type Backend,
  type BodySettings,
  type FrameKind,
  type JsonObject,
  parseFrame,
  promptText,
  readError,
  readUsage,
} from './backend.js';

export const DONE = '[DONE]';

/** A backend that speaks completions. */
export function completionsBackend(own: Pick<Backend, 'name' | 'about' | 'port'>): Backend {
  return {
    ...own,
    path: '/v1/completions',
    ending: /(completions|profile)$/,
    streams: true,
    openAiCompatible: true,
    prompts: 'text',
    body: completionBody,
    read: readCompletion,
  };
}

function completionBody(request: BenchRequest, settings: BodySettings) {
  const { prompt } = request;
  const isTokens = typeof prompt !== 'string' && typeof prompt[0] === 'number';
  return {
    fields: {
      model: request.model ?? settings.model,
      prompt: isTokens ? prompt : promptText(request),
      max_tokens: request.maxTokens,
      ...(settings.logprobs !== undefined && { logprobs: settings.logprobs }),
      stream: true,
      stream_options: { include_usage: true },
      ...(settings.ignoreEos && { ignore_eos: true }),
      ...settings.sampling,
    },
  };
}

function readCompletion(data: string, answer: Answer): FrameKind {
  return readChoices(data, answer, (choice) => choice.text);
}

/** A chunk with choices, whose text stands where `textOf` finds it. */
export function readChoices(
  data: string,
  answer: Answer,
  textOf: (choice: JsonObject) => unknown,
): FrameKind {
  if (data === DONE) {
    answer.finished = true;
    return 'none';
  }
  const frame = parseFrame(data);
  if (readError(frame, answer)) return 'none';
  readUsage(frame, answer);
  const choices = frame.choices as readonly JsonObject[] | undefined;
  if (!choices?.length) return 'none';
  let kind: FrameKind = 'empty';
  for (const choice of choices) {
    const text = textOf(choice);
    if (typeof text === 'string' && text !== '') {
      answer.text += text;
      kind = 'text';
    }
    // A server that closes without the end mark has still said why the answer ended.
    if (choice.finish_reason != null) answer.finished = true;
  }
  return kind;
}
