/** Answers that are not streamed: one JSON body, in both profiles. */

import type { AnswerHead, Finish } from './frames.js';
import { headFields } from './frames.js';
import { type Usage, usageBody } from './usage.js';

export interface Choice {
  readonly text: string;
  readonly finish: Finish;
  /** As JSON values; `null` when not asked for. */
  readonly logprobs: unknown;
}

export function answerBody(head: AnswerHead, choices: readonly Choice[], usage: Usage): string {
  return JSON.stringify({
    ...headFields(head, 'whole'),
    choices: choices.map((choice, index) => ({
      index,
      ...content(head, choice.text),
      logprobs: choice.logprobs,
      finish_reason: choice.finish.reason,
      ...(head.profile === 'vllm' && { stop_reason: choice.finish.stop ?? null }),
    })),
    usage: usageBody(usage, head.profile),
  });
}

function content({ endpoint, profile }: AnswerHead, text: string): object {
  if (endpoint === 'completion') return { text };
  const message = { role: 'assistant', content: text, refusal: null };
  return { message: profile === 'openai' ? { ...message, annotations: [] } : message };
}
