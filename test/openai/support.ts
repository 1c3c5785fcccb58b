/** A served model whose engine is the test itself: it decides when tokens are due. */

import type { FinishReason, RequestSpec } from '../../src/core/engine.js';
import type { LiveModel, LiveService, RequestListener } from '../../src/openai/live-model.js';
import { builtInTokenizer, chatTemplateOf } from '../../src/text/index.js';

export class Submitted {
  cancelled = false;
  sent = 0;

  constructor(
    readonly spec: RequestSpec,
    readonly listener: RequestListener,
  ) {}

  tokens(numTokens = 1): this {
    this.sent += numTokens;
    this.listener.onTokens(numTokens);
    return this;
  }

  end(reason: FinishReason = this.spec.finishReason ?? 'length'): void {
    const { spec } = this;
    this.listener.onEnd({
      handle: 0,
      spec,
      index: 0,
      instance: 0,
      reason,
      arrivedAt: 0,
      scheduledAt: 0,
      firstTokenAt: this.sent > 0 ? 5e6 : undefined,
      lastTokenAt: this.sent > 0 ? 25e6 : undefined,
      endedAt: 25e6,
      outputTokens: this.sent,
      cachedTokens: 3,
      numPreemptions: 0,
    });
  }

  /** Everything that is left, one token at a time, and the end. */
  rest(): void {
    while (this.sent < this.spec.maxTokens) this.tokens();
    this.end();
  }
}

export interface FakeService extends LiveService {
  readonly submitted: Submitted[];
  /** Settles with the i-th submission, when it is made. */
  submission(i?: number): Promise<Submitted>;
}

/** Serves `qwen/Qwen3-8B` and `tiny`; `auto` answers each request at once. */
export async function fakeService({
  auto = false,
  maxModelLen = 1_000,
} = {}): Promise<FakeService> {
  const submitted: Submitted[] = [];
  const tokenizer = await builtInTokenizer('cl100k_base');
  const model = (id: string): LiveModel => ({
    id,
    maxModelLen,
    created: 1_700_000_000,
    tokenizer,
    template: chatTemplateOf('qwen'),
    submit: (spec, listener) => {
      const request = new Submitted(spec, listener);
      submitted.push(request);
      if (auto) setImmediate(() => request.cancelled || request.rest());
      return {
        cancel: () => {
          request.cancelled = true;
        },
      };
    },
  });
  return {
    models: [model('qwen/Qwen3-8B'), model('tiny')],
    status: () => ({ pending_requests: submitted.length }),
    submitted,
    async submission(i = 0) {
      while (submitted.length <= i) await new Promise(setImmediate);
      return submitted[i]!;
    },
  };
}
