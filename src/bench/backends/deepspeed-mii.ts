/** DeepSpeed-MII: the whole answer at once, so there is no TTFT and no ITL. */

import {
  type Backend,
  type JsonObject,
  parseFrame,
  promptText,
  readError,
  readUsage,
} from './backend.js';

const ALMOST_GREEDY = 0.01;

export const deepspeedMii: Backend = {
  name: 'deepspeed-mii',
  about: 'DeepSpeed-MII (answers are not streamed)',
  path: '/v1/completions',
  streams: false,
  openAiCompatible: false,
  prompts: 'text',
  port: 28080,
  endsWithConnection: true,
  body: (request, settings) => ({
    fields: {
      model: request.model ?? settings.model,
      prompt: promptText(request),
      max_tokens: request.maxTokens,
      temperature: ALMOST_GREEDY,
      top_p: 1,
    },
  }),
  read(data, answer) {
    const frame = parseFrame(data);
    if (readError(frame, answer)) return 'none';
    readUsage(frame, answer);
    const [choice] = (frame.choices ?? []) as readonly JsonObject[];
    const text = choice?.text ?? (Array.isArray(frame.text) ? frame.text[0] : frame.text);
    if (typeof text !== 'string') return 'none';
    answer.text = text;
    answer.finished = true;
    return 'text';
  },
};
