/**
 * What a benchmark sends: a load for `core/workload` (when, how long) and, for each of its requests,
 * the text. Drawn lengths and traces get made-up prompts; data set files bring their own.
 */

import type { RequestSpec } from '../core/engine.js';
import { ConfigError, closest } from '../core/errors.js';
import type { RandomLengths } from '../core/workload/lengths/random.js';
import type { LoadOptions } from '../core/workload/load.js';
import type { TraceSource } from '../core/workload/trace-replay.js';
import { chatTemplateOf, type Tokenizer } from '../text/index.js';
import type { Backend } from './backends/backend.js';
import { type DatasetOptions, drawn } from './datasets/dataset.js';
import { DATASETS } from './datasets/index.js';
import { toneWav } from './datasets/media.js';
import { checkMedia, mediaOf, type RandomMedia } from './datasets/random-mm.js';
import { promptOf } from './prompt-text.js';
import type { BenchRequest } from './request.js';

export interface BenchSource {
  readonly label: string;
  readonly load: LoadOptions['source'];
  /** Requests there are, where that is known. */
  readonly numRequests?: number;
  /** Whether answers should be exactly as long as asked. */
  readonly exactLengths: boolean;
  requestOf(spec: RequestSpec, index: number): BenchRequest;
}

export const DATASET_NAMES: readonly string[] = [
  ...['random', 'random-mm'],
  ...DATASETS.map(({ name }) => name),
];

export interface SynthesisOptions {
  readonly seed: number;
  readonly tokenizer: Tokenizer;
  readonly backend: Backend;
  /** Whose server puts a beginning-of-sequence token before a plain prompt, or does not. */
  readonly model: string;
}

/** Lengths drawn, prompts made up. */
export function randomSource(lengths: RandomLengths, options: SynthesisOptions): BenchSource {
  const audio = { bytes: toneWav(AUDIO_SECONDS), name: 'audio.wav', seconds: AUDIO_SECONDS };
  return {
    label: 'random',
    load: { kind: 'random', ...lengths },
    exactLengths: true,
    requestOf: (spec, index) => ({
      ...synthetic(spec, index, options),
      ...(options.backend.prompts === 'audio' && { audio }),
    }),
  };
}

const AUDIO_SECONDS = 2;

/** The same with pictures, which take a chat. @throws {ConfigError} */
export function randomMediaSource(
  lengths: RandomLengths,
  media: RandomMedia,
  options: SynthesisOptions,
): BenchSource {
  if (options.backend.prompts !== 'messages') {
    throw new ConfigError('--backend', 'openai-chat for pictures', options.backend.name);
  }
  checkMedia(media);
  const text = randomSource(lengths, options);
  return {
    ...text,
    label: 'random-mm',
    requestOf: (spec, index) => ({
      ...text.requestOf(spec, index),
      media: mediaOf(media, options.seed, index),
    }),
  };
}

/** Requests as recorded, prompts made up. */
export function traceSource(
  load: Extract<LoadOptions['source'], { kind: 'trace' }>,
  options: SynthesisOptions & { readonly label: string },
): BenchSource {
  return {
    label: options.label,
    load,
    exactLengths: true,
    requestOf: (spec, index) => synthetic(spec, index, options),
  };
}

function synthetic(
  spec: RequestSpec,
  index: number,
  { seed, tokenizer, backend, model }: SynthesisOptions,
): BenchRequest {
  const numSpecial = backend.prompts === 'text' ? chatTemplateOf(model).numBos : 0;
  return {
    id: String(index),
    prompt: promptOf(spec, { seed, index, tokenizer, numSpecial }),
    promptTokens: spec.promptTokens,
    maxTokens: spec.maxTokens,
  };
}

/** A data set file: its requests, drawn by the seed. @throws {ConfigError} */
export async function datasetSource(name: string, options: DatasetOptions): Promise<BenchSource> {
  const dataset = DATASETS.find((known) => known.name === name);
  if (!dataset) {
    const near = closest(name, DATASET_NAMES);
    const hint = near && `Did you mean ${near}?`;
    throw new ConfigError('--dataset-name', DATASET_NAMES.join(', '), name, hint);
  }
  const requests = drawn(await dataset.load(options), options);
  return {
    label: name,
    load: { kind: 'trace', speed: 1, open: () => rowsOf(requests) },
    numRequests: requests.length,
    exactLengths: dataset.exactLengths ?? false,
    requestOf: (_, index) => requests[index]!,
  };
}

/** Requests as rows of a trace without times of its own. */
function rowsOf(requests: readonly BenchRequest[]): TraceSource {
  let next = 0;
  return {
    next() {
      const request = requests[next++];
      if (!request) return undefined;
      const { id, promptTokens, maxTokens } = request;
      return { at: 0, spec: { id, promptTokens, maxTokens } };
    },
  };
}
