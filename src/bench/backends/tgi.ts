/** Text Generation Inference: `/generate_stream`, an event per token, the last with the whole text. */

import { type Backend, type JsonObject, parseFrame, promptText, readError } from './backend.js';

/** 0 is refused; this is as good as greedy. */
const ALMOST_GREEDY = 0.01;
const TOP_P = 0.99;

export const tgi: Backend = {
  name: 'tgi',
  about: 'Hugging Face Text Generation Inference',
  path: '/generate_stream',
  ending: /generate_stream$/,
  streams: true,
  openAiCompatible: false,
  prompts: 'text',
  port: 8080,
  body: (request, settings) => ({
    fields: {
      inputs: promptText(request),
      parameters: {
        max_new_tokens: request.maxTokens,
        do_sample: true,
        temperature: ALMOST_GREEDY,
        top_p: TOP_P,
        truncate: request.promptTokens,
        details: true,
        ...(settings.ignoreEos && { ignore_eos_token: true }),
      },
    },
  }),
  read(data, answer) {
    const frame = parseFrame(data);
    if (readError(frame, answer)) return 'none';
    const { token, generated_text: whole, details } = frame;
    const text = (token as JsonObject | undefined)?.text;
    if (typeof text === 'string') answer.text += text;
    if (typeof whole === 'string') {
      answer.text = whole;
      answer.finished = true;
      const count = (details as JsonObject | null | undefined)?.generated_tokens;
      if (typeof count === 'number') answer.outputTokens = count;
    }
    // Every event is a token, also one whose text is empty.
    return token === undefined ? 'none' : 'text';
  },
};
