/** vLLM: completions, with `ignore_eos` and its sampling fields. */

import { completionsBackend } from './completions.js';

export const vllm = completionsBackend({
  name: 'vllm',
  about: 'vLLM server',
  port: 8000,
});
