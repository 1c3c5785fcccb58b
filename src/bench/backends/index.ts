/** The backends by name: the vocabulary of `--backend`, and the cases of the conformance suite. */

import { ConfigError, closest } from '../../core/errors.js';
import type { Backend } from './backend.js';
import { deepspeedMii } from './deepspeed-mii.js';
import { llamaCpp } from './llama-cpp.js';
import { lmdeploy } from './lmdeploy.js';
import { openai } from './openai.js';
import { openaiAudio } from './openai-audio.js';
import { openaiChat } from './openai-chat.js';
import { scalellm } from './scalellm.js';
import { sglang } from './sglang.js';
import { tensorrtLlm } from './tensorrt-llm.js';
import { tgi } from './tgi.js';
import { vllm } from './vllm.js';

export const BACKENDS: readonly Backend[] = [
  openai,
  openaiChat,
  openaiAudio,
  vllm,
  tgi,
  tensorrtLlm,
  lmdeploy,
  sglang,
  llamaCpp,
  deepspeedMii,
  scalellm,
];

/** @throws {ConfigError} */
export function backendNamed(name: string): Backend {
  const names = BACKENDS.map((backend) => backend.name);
  const found = BACKENDS.find((backend) => backend.name === name);
  if (found) return found;
  const near = closest(name, names);
  throw new ConfigError('--backend', names.join(', '), name, near && `Did you mean ${near}?`);
}
