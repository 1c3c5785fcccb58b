/** The worker thread of `off-thread.ts`: loads a vocabulary when it is first named, and tokenises. */

import { parentPort } from 'node:worker_threads';
import type { WorkerReply, WorkerRequest } from './off-thread.js';
import { packPrompt } from './prompt.js';
import { tokenizerByName } from './vocabularies.js';

parentPort?.on('message', async ({ id, vocabulary, prompt }: WorkerRequest) => {
  let reply: WorkerReply;
  try {
    reply = { id, packed: packPrompt(prompt, await tokenizerByName(vocabulary)) };
  } catch {
    reply = { id };
  }
  parentPort?.postMessage(reply);
});
