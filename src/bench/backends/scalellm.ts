/** ScaleLLM: completions. */

import { completionsBackend } from './completions.js';

export const scalellm = completionsBackend({
  name: 'scalellm',
  about: 'ScaleLLM server',
  port: 8080,
});
