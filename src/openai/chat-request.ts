/** The body of `POST /v1/chat/completions`, checked and reduced to what the simulation needs. */

import type { ChatMessage } from '../text/index.js';
import { ApiError } from './api-error.js';
import { Fields, invalidType, invalidValue } from './fields.js';
import { type GenerationRequest, readGeneration } from './generation.js';

export interface ChatRequest extends GenerationRequest {
  readonly messages: readonly ChatMessage[];
  /** JSON text of the tools, as the template writes it. */
  readonly tools: string | undefined;
  readonly logprobs: boolean;
  readonly topLogprobs: number;
}

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'] as const;
const NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/**
 * Prompt tokens of an image: a 336 × 336 picture in patches of 14, as LLaVA 1.5 cuts it; and of a
 * sound, 30 s at 25 tokens per second. The words stand for them in the prompt.
 */
const MEDIA_TOKENS = { image: 576, sound: 750 } as const;

/** @throws {ApiError} 400 with the path of the parameter at fault. */
export function readChatRequest(json: unknown): ChatRequest {
  const body = new Fields(json);
  const generation = readGeneration(body);
  const messages = readMessages(body);
  checkResponseFormat(body);
  body.boolean('parallel_tool_calls');
  body.oneOf('verbosity', ['low', 'medium', 'high']);
  body.string('reasoning_effort');
  const logprobs = body.boolean('logprobs') ?? false;
  const topLogprobs = body.integer('top_logprobs', { min: 0, max: 20 });
  if (topLogprobs !== undefined && !logprobs) {
    throw new ApiError('invalid', "'top_logprobs' is only allowed when 'logprobs' is true.", {
      param: 'top_logprobs',
      code: 'invalid_value',
    });
  }
  const tools = readTools(body);
  return { ...generation, messages, tools, logprobs, topLogprobs: topLogprobs ?? 0 };
}

function readMessages(body: Fields): ChatMessage[] {
  const messages = body.required('messages', body.objects('messages', { min: 1 }));
  const callIds = new Set<string>();
  return messages.map((message) => {
    const role = message.required('role', message.oneOf('role', ROLES));
    message.string('name');
    const calls = role === 'assistant' ? readToolCalls(message, callIds) : undefined;
    if (role === 'tool') {
      const id = message.required('tool_call_id', message.string('tool_call_id'));
      if (!callIds.has(id)) {
        throw invalidValue(message.at('tool_call_id'), 'the id of an earlier tool call', id);
      }
    }
    const content = readContent(message);
    if (content === undefined && calls === undefined && message.raw('refusal') === undefined) {
      if (role !== 'assistant' || message.raw('function_call') === undefined) {
        message.required('content', content);
      }
    }
    const known = role === 'developer' ? 'system' : role;
    return { role: known, content: content ?? '', ...(calls && { toolCalls: calls }) };
  });
}

function readToolCalls(message: Fields, callIds: Set<string>): string | undefined {
  const calls = message.objects('tool_calls', { min: 1 });
  if (!calls) return undefined;
  for (const call of calls) {
    callIds.add(call.required('id', call.string('id')));
    const called = call.object('function') ?? call.object('custom');
    const fn = call.required('function', called);
    fn.required('name', fn.string('name'));
  }
  return calls.map((call) => JSON.stringify(call.raw('function') ?? call.raw('custom'))).join('\n');
}

/** Text of a message: a string, or a list of parts put together. */
function readContent(message: Fields): string | undefined {
  const value = message.raw('content');
  if (value === undefined || typeof value === 'string') return value;
  if (!Array.isArray(value)) throw invalidType(message.at('content'), 'a string or a list', value);
  const parts = message.objects('content', { min: 1 })!;
  return parts.map(readPart).join('');
}

function readPart(part: Fields): string {
  const type = part.required('type', part.string('type'));
  switch (type) {
    case 'text':
    case 'input_text':
      return part.required('text', part.string('text'));
    case 'refusal':
      return part.required('refusal', part.string('refusal'));
    case 'image_url':
    case 'input_image':
      part.required('image_url', part.raw('image_url'));
      return ' image'.repeat(MEDIA_TOKENS.image);
    case 'input_audio':
    case 'audio_url':
      part.required(type, part.raw(type));
      return ' sound'.repeat(MEDIA_TOKENS.sound);
    default:
      throw invalidValue(
        part.at('type'),
        "one of 'text', 'image_url', 'input_audio', 'audio_url', 'refusal'",
        type,
      );
  }
}

function readTools(body: Fields): string | undefined {
  const tools = body.objects('tools');
  const names = new Set<string>();
  for (const tool of tools ?? []) {
    const type = tool.required('type', tool.oneOf('type', ['function', 'custom']));
    const definition = tool.required(type, tool.object(type));
    const name = definition.required('name', definition.string('name'));
    if (!NAME.test(name)) {
      throw invalidValue(definition.at('name'), 'letters, digits, _ and -, at most 64', name);
    }
    names.add(name);
    definition.object('parameters');
  }
  checkToolChoice(body, names);
  if (!tools || tools.length === 0 || body.raw('tool_choice') === 'none') return undefined;
  return (body.raw('tools') as unknown[]).map((tool) => JSON.stringify(tool)).join('\n');
}

function checkToolChoice(body: Fields, names: ReadonlySet<string>): void {
  const choice = body.raw('tool_choice');
  if (choice === undefined || choice === 'none') return;
  if (typeof choice === 'string') body.oneOf('tool_choice', ['none', 'auto', 'required']);
  if (names.size === 0 && choice !== 'auto') {
    throw new ApiError('invalid', "'tool_choice' is only allowed when 'tools' are given.", {
      param: 'tool_choice',
      code: 'invalid_value',
    });
  }
  if (typeof choice === 'string') return;
  const fields = new Fields(choice, 'tool_choice');
  const type = fields.required(
    'type',
    fields.oneOf('type', ['function', 'custom', 'allowed_tools']),
  );
  if (type === 'allowed_tools') return;
  const named = fields.required(type, fields.object(type));
  const name = named.required('name', named.string('name'));
  if (!names.has(name)) throw invalidValue(named.at('name'), 'the name of one of the tools', name);
}

function checkResponseFormat(body: Fields): void {
  const format = body.object('response_format');
  if (!format) return;
  const type = format.required(
    'type',
    format.oneOf('type', ['text', 'json_object', 'json_schema', 'structural_tag']),
  );
  if (type !== 'json_schema') return;
  const schema = format.required('json_schema', format.object('json_schema'));
  const name = schema.required('name', schema.string('name'));
  if (!NAME.test(name)) {
    throw invalidValue(schema.at('name'), 'letters, digits, _ and -, at most 64', name);
  }
  schema.object('schema');
}
