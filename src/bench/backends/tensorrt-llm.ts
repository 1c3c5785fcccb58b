/** TensorRT-LLM behind Triton: the ensemble's `generate_stream`. */

import { type Backend, parseFrame, promptText, readError } from './backend.js';

export const tensorrtLlm: Backend = {
  name: 'tensorrt-llm',
  about: 'TensorRT-LLM behind Triton',
  path: '/v2/models/ensemble/generate_stream',
  ending: /generate_stream$/,
  streams: true,
  openAiCompatible: false,
  prompts: 'text',
  port: 8000,
  endsWithConnection: true,
  body: (request, settings) => ({
    fields: {
      accumulate_tokens: true,
      text_input: promptText(request),
      temperature: 0,
      top_p: 1,
      max_tokens: request.maxTokens,
      stream: true,
      ...(settings.ignoreEos && { min_length: request.maxTokens }),
    },
  }),
  read(data, answer) {
    const frame = parseFrame(data);
    if (readError(frame, answer)) return 'none';
    const { text_output: text } = frame;
    if (typeof text !== 'string') return 'none';
    answer.text += text;
    return text === '' ? 'empty' : 'text';
  },
};
