/**
 * What the OpenAI surface needs of the running simulation: a port. The pipeline stands behind it, or
 * a few lines in a test.
 */

import type { RequestSpec } from '../core/engine.js';
import type { RequestOutcome } from '../core/trace/tracer.js';
import type { ChatTemplate, Tokenizer } from '../text/index.js';

export interface LiveModel {
  /** As clients name it. */
  readonly id: string;
  /** The LoRA adapter that this name stands for, where its files are, and the model it belongs to. */
  readonly lora?: { readonly name: string; readonly path: string; readonly parent: string };
  /** Tokens of the context window, prompt and answer together. */
  readonly maxModelLen: number;
  /** Unix time in seconds since when it is served. */
  readonly created: number;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  /**
   * A request that was received `waitedMs` ago. The listener is told from later turns of the event loop
   * only.
   */
  submit(spec: RequestSpec, listener: RequestListener, waitedMs: number): LiveRequest;
  /** Told the text behind a request before it is submitted, where somebody keeps texts. */
  readonly onPrompt?: (spec: RequestSpec, text: string) => void;
}

export interface RequestListener {
  /** `numTokens` more tokens are due now. */
  onTokens(numTokens: number): void;
  /** The last word. The outcome is valid during the call. */
  onEnd(outcome: RequestOutcome): void;
  /** The last word instead: the simulation was closed under it. */
  onFail(): void;
}

export interface LiveRequest {
  /** The client has gone: frees its KV. Nothing is told any more but the end. */
  cancel(): void;
}

export interface LiveService {
  readonly models: readonly LiveModel[];
  /** The body of `GET /status`. */
  status(): object;
  /** The body of `GET /metrics`, as Prometheus reads it; absent: there is none. */
  metrics?(): string;
  /** Why no request is taken just now (draining, full), if so. */
  refusal?(): { readonly message: string; readonly retryAfterS?: number } | undefined;
}
