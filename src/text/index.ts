/** Tokenizers and synthesised text, for the OpenAI surface, gRPC, the benchmark and the commands. */

export * from './chat.js';
export { hashNumbers, hashText } from './hash.js';
export { OFF_THREAD_CHARS, PromptTokenizer } from './off-thread.js';
export * from './output-text.js';
export {
  contentOfAnswer,
  type PreparedPrompt,
  preparePrompt,
  textOfPrompt,
  textOfTokens,
} from './prompt.js';
export { Lexicon, lexiconOf, synthesise, type TextStream, textStream } from './synthesis.js';
export { BpeTokenizer, MAX_PRE_TOKEN, type Tokenizer, type Vocabulary } from './tokenizer.js';
export { vocabularyFromJson } from './tokenizer-json.js';
export * from './vocabularies.js';
