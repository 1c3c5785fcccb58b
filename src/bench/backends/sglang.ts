/** SGLang: completions. */

import { completionsBackend } from './completions.js';

export const sglang = completionsBackend({
  name: 'sglang',
  about: 'SGLang server',
  port: 30000,
});
