/**
 * Tokenises large prompts on a worker thread, so that a prompt of a megabyte does not hold up the
 * tokens of other streams.
 *
 * One worker, started when the first large prompt comes, loads the vocabulary once. Prompts up to
 * `OFF_THREAD_CHARS` are tokenised where they are: that takes a few milliseconds at most, and the way
 * to the worker and back is not free. Where a worker cannot run, everything is done inline.
 */

import type { Worker } from 'node:worker_threads';
import type { RenderedPrompt } from './chat.js';
import { type PackedPrompt, type PreparedPrompt, preparePrompt, unpackPrompt } from './prompt.js';
import { startWorker } from './start-worker.js';
import type { Tokenizer } from './tokenizer.js';

/** Prompts of more UTF-16 units than this go to the worker. */
export const OFF_THREAD_CHARS = 32_768;

/** What the worker is asked. */
export interface WorkerRequest {
  readonly id: number;
  /** A built-in vocabulary's name or the path of a tokenizer.json. */
  readonly vocabulary: string;
  readonly prompt: RenderedPrompt;
}
/** What it answers: a prompt, or nothing when it could not. */
export interface WorkerReply {
  readonly id: number;
  readonly packed?: PackedPrompt;
}

interface Waiting {
  readonly prompt: RenderedPrompt;
  readonly tokenizer: Tokenizer;
  readonly resolve: (prepared: PreparedPrompt) => void;
}

export class PromptTokenizer {
  #worker: Worker | undefined;
  #broken = false;
  #nextId = 0;
  readonly #waiting = new Map<number, Waiting>();

  /** Whether a worker runs. */
  get usesWorker(): boolean {
    return this.#worker !== undefined;
  }

  /** Tokenises a rendered prompt: at once when it is small, off this thread when it is large. */
  prepare(prompt: RenderedPrompt, tokenizer: Tokenizer): PreparedPrompt | Promise<PreparedPrompt> {
    const size = prompt.reduce((sum, { text }) => sum + text.length, 0);
    const worker = size > OFF_THREAD_CHARS ? this.#start() : undefined;
    if (!worker) return preparePrompt(prompt, tokenizer);
    return new Promise((resolve) => {
      const id = this.#nextId++;
      this.#waiting.set(id, { prompt, tokenizer, resolve });
      worker.ref();
      worker.postMessage({ id, vocabulary: tokenizer.name, prompt } satisfies WorkerRequest);
    });
  }

  /** Ends the worker. What is still under way is finished inline, and so is what comes later. */
  async close(): Promise<void> {
    const worker = this.#worker;
    this.#giveUp();
    await worker?.terminate();
  }

  #start(): Worker | undefined {
    if (this.#worker || this.#broken) return this.#worker;
    try {
      const worker = startWorker(import.meta.url, 'tokenize-worker');
      worker.on('message', (reply: WorkerReply) => this.#answer(reply));
      worker.on('error', () => this.#giveUp());
      worker.on('exit', () => this.#giveUp());
      worker.unref();
      this.#worker = worker;
    } catch {
      this.#giveUp();
    }
    return this.#worker;
  }

  #answer({ id, packed }: WorkerReply): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker?.unref();
    waiting.resolve(
      packed ? unpackPrompt(packed) : preparePrompt(waiting.prompt, waiting.tokenizer),
    );
  }

  #giveUp(): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#worker = undefined;
    for (const { prompt, tokenizer, resolve } of this.#waiting.values()) {
      resolve(preparePrompt(prompt, tokenizer));
    }
    this.#waiting.clear();
  }
}
