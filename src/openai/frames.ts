/**
 * The frames of a streamed answer, in both profiles.
 *
 * What does not change within a stream is serialised once; a token costs the escaping of its text and
 * three concatenations. The role comes with the first token, never before it: clients take the first
 * frame with choices for the first token.
 *
 *   openai   role, then content, then a chunk of its own that says why it ended; `null`s are written
 *   vllm     role, then content; why it ended stands in the chunk of the last token
 */

import type { ApiProfile } from './api-error.js';
import { type Usage, usageBody } from './usage.js';

export type Endpoint = 'chat' | 'completion';

export interface AnswerHead {
  readonly endpoint: Endpoint;
  readonly profile: ApiProfile;
  readonly id: string;
  /** Unix time in seconds. */
  readonly created: number;
  readonly model: string;
}

export interface FrameOptions extends AnswerHead {
  readonly includeUsage: boolean;
  readonly continuousUsage: boolean;
}

export type WireFinishReason = 'stop' | 'length';

export interface Finish {
  readonly reason: WireFinishReason;
  /** The stop string that ended it. */
  readonly stop: string | undefined;
}

/** The last frame of every stream. */
export const DONE = 'data: [DONE]\n\n';

/** Identifies the simulated back end; equal for equal versions of it. */
export const SYSTEM_FINGERPRINT = 'fp_llmservingsim';

/** `logprobs` of a token, as JSON text. */
export const NO_LOGPROBS = 'null';

export class Frames {
  readonly #options: FrameOptions;
  /** Up to the choices, and from there to the end. */
  readonly #head: string;
  readonly #tail: string;

  constructor(options: FrameOptions) {
    this.#options = options;
    this.#head = `data: ${JSON.stringify(headFields(options, 'chunk')).slice(0, -1)},"choices":[`;
    const usage = options.includeUsage && options.profile === 'openai' ? ',"usage":null' : '';
    this.#tail = `]${usage}}\n\n`;
  }

  /** What opens choice `index`: the role, in a chat. Leaves together with the first token. */
  open(index: number, usage: Usage): string {
    const { endpoint, profile } = this.#options;
    if (endpoint === 'completion') return '';
    const refusal = profile === 'openai' ? ',"refusal":null' : '';
    return this.#frame(
      `{"index":${index},"delta":{"role":"assistant","content":""${refusal}},"logprobs":null,"finish_reason":null}`,
      usage,
    );
  }

  /** One chunk with text: a token, or several that were late together. */
  token(index: number, text: string, usage: Usage, logprobs = NO_LOGPROBS): string {
    return this.#frame(
      `${this.#choice(index, text)},"logprobs":${logprobs},"finish_reason":null}`,
      usage,
    );
  }

  /** The last text of choice `index`, and why it ended. */
  last(index: number, text: string, finish: Finish, usage: Usage, logprobs = NO_LOGPROBS): string {
    if (this.#options.profile === 'vllm') {
      const ended = `"finish_reason":"${finish.reason}","stop_reason":${JSON.stringify(finish.stop ?? null)}}`;
      return this.#frame(`${this.#choice(index, text)},"logprobs":${logprobs},${ended}`, usage);
    }
    const token =
      text === '' && logprobs === NO_LOGPROBS ? '' : this.token(index, text, usage, logprobs);
    const empty =
      this.#options.endpoint === 'chat' ? `{"index":${index},"delta":{}` : this.#choice(index, '');
    return `${token}${this.#frame(`${empty},"logprobs":null,"finish_reason":"${finish.reason}"}`, usage)}`;
  }

  /** What ends the stream: usage when it was asked for, then the mark. */
  end(usage: Usage): string {
    const { includeUsage, profile } = this.#options;
    if (!includeUsage) return DONE;
    return `${this.#head}],"usage":${JSON.stringify(usageBody(usage, profile))}}\n\n${DONE}`;
  }

  #choice(index: number, text: string): string {
    return this.#options.endpoint === 'chat'
      ? `{"index":${index},"delta":{"content":${JSON.stringify(text)}}`
      : `{"index":${index},"text":${JSON.stringify(text)}`;
  }

  #frame(choice: string, usage: Usage): string {
    if (!this.#options.continuousUsage) return this.#head + choice + this.#tail;
    const counts = JSON.stringify(usageBody(usage, this.#options.profile));
    return `${this.#head}${choice}],"usage":${counts}}\n\n`;
  }
}

/** A failure after the stream has begun: the error as a frame, then the mark. */
export const errorFrames = (body: object): string => `data: ${JSON.stringify(body)}\n\n${DONE}`;

/** The fields that open an answer, streamed or whole. */
export function headFields(head: AnswerHead, form: 'chunk' | 'whole'): object {
  const { endpoint, profile, id, created, model } = head;
  const chat = form === 'chunk' ? 'chat.completion.chunk' : 'chat.completion';
  const object = endpoint === 'chat' ? chat : 'text_completion';
  const common = { id, object, created, model };
  if (profile === 'vllm') return common;
  return endpoint === 'chat'
    ? { ...common, service_tier: 'default', system_fingerprint: SYSTEM_FINGERPRINT }
    : { ...common, system_fingerprint: SYSTEM_FINGERPRINT };
}
