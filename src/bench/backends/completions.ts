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
  return readChoices(data, answer, '"text":"', (choice) => choice.text);
}

/**
 * A chunk with choices, whose text stands where `textOf` finds it. Nearly all chunks are plain tokens:
 * their text is cut out after `key` without parsing the rest, which would cost more than reading the
 * chunk from its socket.
 */
export function readChoices(
  data: string,
  answer: Answer,
  key: string,
  textOf: (choice: JsonObject) => unknown,
): FrameKind {
  const plain = plainText(data, key);
  if (plain !== undefined) {
    answer.text += plain;
    return 'text';
  }
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

/**
 * The text of a chunk with one choice and nothing else to say; `undefined` where only parsing can tell.
 * A quote inside of a text is escaped, so that keys are found only where they are keys.
 */
function plainText(data: string, key: string): string | undefined {
  const at = data.indexOf(key);
  if (at < 0 || !data.endsWith('}')) return undefined;
  const start = at + key.length;
  const end = data.indexOf('"', start);
  if (end <= start) return undefined;
  const backslash = data.indexOf('\\', start);
  if (backslash >= 0 && backslash < end) return undefined;
  if (!data.includes('"finish_reason":null') || data.includes('"usage":{')) return undefined;
  if (data.includes('"error":') || data.includes(key, end)) return undefined;
  return data.slice(start, end);
}
