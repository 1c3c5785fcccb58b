/** Token counts of a request, in the form of the answer's `usage`. */

import type { ApiProfile } from './api-error.js';

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Prompt tokens whose KV was found in the prefix cache. */
  readonly cachedTokens: number;
}

export function usageBody(usage: Usage, profile: ApiProfile): object {
  const { promptTokens, completionTokens, cachedTokens } = usage;
  const counts = {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
  if (profile === 'vllm') {
    return { ...counts, prompt_tokens_details: { cached_tokens: cachedTokens } };
  }
  return {
    ...counts,
    prompt_tokens_details: { cached_tokens: cachedTokens, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}
