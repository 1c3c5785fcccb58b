/** OpenAI chat completions: text, ready messages, or text with images and audio. */

import type { BenchRequest, Message } from '../request.js';
import type { Backend, BodySettings, JsonObject } from './backend.js';
import { readChoices } from './completions.js';

/** Before the text of a delta. */
export const CHAT_KEY = '"content":"';

export const openaiChat: Backend = {
  name: 'openai-chat',
  about: 'OpenAI chat completions',
  path: '/v1/chat/completions',
  ending: /(chat\/completions|profile)$/,
  streams: true,
  openAiCompatible: true,
  prompts: 'messages',
  port: 8000,
  body: (request, settings) => ({ fields: chatBody(request, settings) }),
  read: (data, answer) => readChoices(data, answer, CHAT_KEY, chatText),
};

export function chatBody(request: BenchRequest, settings: BodySettings): Record<string, unknown> {
  const { chatTemplateKwargs, logprobs } = settings;
  return {
    model: request.model ?? settings.model,
    messages: messagesOf(request),
    max_completion_tokens: request.maxTokens,
    ...(logprobs !== undefined && { logprobs: true, top_logprobs: logprobs }),
    stream: true,
    stream_options: { include_usage: true },
    ...(settings.ignoreEos && { ignore_eos: true }),
    ...(chatTemplateKwargs && { chat_template_kwargs: chatTemplateKwargs }),
    ...settings.sampling,
  };
}

function messagesOf({ prompt, media = [] }: BenchRequest): readonly Message[] {
  if (typeof prompt !== 'string') return prompt as readonly Message[];
  if (media.length === 0) return [{ role: 'user', content: prompt }];
  return [{ role: 'user', content: [{ type: 'text', text: prompt }, ...media] }];
}

/** Text of a delta: the answer, or reasoning before it, or the arguments of a tool call. */
export function chatText(choice: JsonObject): unknown {
  const delta = (choice.delta ?? choice.message) as JsonObject | undefined;
  if (!delta) return undefined;
  const { content, reasoning_content: reasoningContent, reasoning } = delta;
  if (content) return content;
  if (reasoningContent || reasoning) return reasoningContent || reasoning;
  const [call] = (delta.tool_calls ?? []) as readonly { function?: JsonObject }[];
  return call?.function?.arguments ?? content;
}
