import type { SchedulerPolicy } from '../policy.js';

/** Shortest prompt first, then arrival: better mean TTFT, and long prompts may starve. */
export const shortestPromptFirst: SchedulerPolicy = {
  name: 'shortest-prompt-first',
  compareWaiting: (a, b) => a.promptTokens - b.promptTokens || a.index - b.index,
};
