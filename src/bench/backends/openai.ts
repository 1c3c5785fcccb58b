/** OpenAI's completions. */

import { completionsBackend } from './completions.js';

export const openai = completionsBackend({
  name: 'openai',
  about: 'OpenAI completions',
  port: 8000,
});
