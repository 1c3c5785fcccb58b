/** OpenAI transcription: a multipart form with a file; deltas come as in a chat, or as transcript events. */

import type { Backend } from './backend.js';
import { DONE, readChoices } from './completions.js';
import { CHAT_KEY, chatText } from './openai-chat.js';

export const openaiAudio: Backend = {
  name: 'openai-audio',
  about: 'OpenAI audio transcription',
  path: '/v1/audio/transcriptions',
  ending: /(transcriptions|translations)$/,
  streams: true,
  openAiCompatible: true,
  prompts: 'audio',
  port: 8000,
  body: (request, settings) => ({
    fields: {
      model: request.model ?? settings.model,
      max_completion_tokens: String(request.maxTokens),
      stream: 'true',
      language: 'en',
      stream_include_usage: 'true',
      stream_continuous_usage_stats: 'true',
      ...settings.sampling,
    },
    ...(request.audio && { file: request.audio }),
  }),
  read(data, answer) {
    if (data !== DONE && data.includes('"transcript.text.')) {
      const { type, delta } = JSON.parse(data) as { type?: string; delta?: string };
      if (type === 'transcript.text.done') answer.finished = true;
      if (type !== 'transcript.text.delta' || !delta) return 'none';
      answer.text += delta;
      return 'text';
    }
    return readChoices(data, answer, CHAT_KEY, chatText);
  },
};
