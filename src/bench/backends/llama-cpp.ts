/** llama.cpp's server: completions. */

import { completionsBackend } from './completions.js';

export const llamaCpp = completionsBackend({
  name: 'llama.cpp',
  about: 'llama.cpp server',
  port: 8080,
});
