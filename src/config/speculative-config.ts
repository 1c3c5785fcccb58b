/**
 * Speculative decoding as a user asks for it: the JSON of `vllm serve --speculative-config`, the same
 * message in scenario files and on the wire. One key is the simulator's own, `acceptance`: a
 * probability, a list of them by position, or the path of a recording.
 */

import { ConfigError, closest } from '../core/errors.js';
import type { ModelShape } from '../core/model/model-shape.js';
import {
  type AcceptanceSpec,
  SPECULATIVE_METHODS,
  type SpeculationSpec,
  type SpeculativeMethod,
} from '../core/scenario.js';
import { loadModel } from './models.js';

/** What was said; what is absent was not. */
export interface SpeculativeRequest {
  readonly method?: string | undefined;
  readonly numSpeculativeTokens?: number | undefined;
  readonly model?: string | undefined;
  readonly draftTensorParallelSize?: number | undefined;
  readonly promptLookupMax?: number | undefined;
  readonly promptLookupMin?: number | undefined;
  /** Probabilities by position. */
  readonly acceptance?: readonly number[] | undefined;
  readonly acceptanceFile?: string | undefined;
}

/** Reads recorded acceptance; `src/files` does. */
export type ReadAcceptance = (path: string, field: string) => readonly (readonly number[])[];

const KEYS = {
  method: 'text',
  num_speculative_tokens: 'count',
  model: 'text',
  draft_tensor_parallel_size: 'count',
  prompt_lookup_max: 'count',
  prompt_lookup_min: 'count',
  acceptance: 'acceptance',
  acceptance_file: 'text',
} as const;

const FLAG = '--speculative-config';

/** @throws {ConfigError} naming the key */
export function speculativeFromJson(text: string): SpeculativeRequest {
  const data = parse(text);
  const given: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(data)) {
    if (!Object.hasOwn(KEYS, key)) throw unknownKey(key);
    if (value === null) continue;
    const at = `${FLAG}: ${key}`;
    const kind = KEYS[key as keyof typeof KEYS];
    if (kind === 'text' && typeof value !== 'string') throw new ConfigError(at, 'a text', value);
    if (kind === 'count' && !Number.isSafeInteger(value)) {
      throw new ConfigError(at, 'a whole number', value);
    }
    if (kind === 'acceptance') Object.assign(given, acceptanceOf(value, at));
    else given[camel(key)] = value;
  }
  return given;
}

function parse(text: string): Readonly<Record<string, unknown>> {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    data = text;
  }
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) {
    return data as Readonly<Record<string, unknown>>;
  }
  throw new ConfigError(
    FLAG,
    'a JSON object such as {"method":"ngram","num_speculative_tokens":3}',
    data,
  );
}

function unknownKey(key: string): ConfigError {
  const near = closest(key, Object.keys(KEYS));
  const expected = `one of ${Object.keys(KEYS).join(', ')}`;
  return new ConfigError(`${FLAG}: ${key}`, expected, key, near && `Did you mean ${near}?`);
}

function acceptanceOf(value: unknown, at: string): SpeculativeRequest {
  if (typeof value === 'string') return { acceptanceFile: value };
  const rates = Array.isArray(value) ? value : [value];
  if (rates.every((rate) => typeof rate === 'number')) return { acceptance: rates };
  throw new ConfigError(at, 'a probability, a list of them, or the path of a recording', value);
}

const camel = (key: string): string =>
  key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** As many drafts as a step may be asked to verify for one request. */
const MOST_DRAFTS = 64;

/** vLLM's other names of a method: the MTP modules of each family are one method since 0.11. */
const ALIASES: Readonly<Record<string, SpeculativeMethod>> = {
  deepseek_mtp: 'mtp',
  ernie_mtp: 'mtp',
  glm4_moe_mtp: 'mtp',
  longcat_flash_mtp: 'mtp',
  mimo_mtp: 'mtp',
  qwen3_next_mtp: 'mtp',
};

/**
 * Looks up names, reads the recording and checks ranges.
 *
 * @param at where `speculative_config` stands, as errors spell it
 * @throws {ConfigError}
 */
export function speculationFromRequest(
  request: SpeculativeRequest,
  at: string,
  readAcceptance: ReadAcceptance,
): SpeculationSpec {
  const field = (key: string) => (at.startsWith('--') ? `${at}: ${key}` : `${at}.${key}`);
  const method = methodOf(request, field);
  const { draftTensorParallelSize } = request;
  checkCount(
    field,
    'num_speculative_tokens',
    request.numSpeculativeTokens ?? Number.NaN,
    MOST_DRAFTS,
  );
  checkCount(field, 'draft_tensor_parallel_size', draftTensorParallelSize);
  checkCount(field, 'prompt_lookup_max', request.promptLookupMax);
  checkCount(field, 'prompt_lookup_min', request.promptLookupMin, request.promptLookupMax);
  const draft = method === 'draft_model' ? draftModelOf(request.model, field('model')) : undefined;
  const acceptance = acceptanceSpecOf(request, field, readAcceptance);
  return {
    method,
    numSpeculativeTokens: request.numSpeculativeTokens!,
    ...(draft && { draft }),
    ...(draftTensorParallelSize !== undefined && { draftTensorParallelSize }),
    ...(acceptance && { acceptance }),
  };
}

type Field = (key: string) => string;

/** As vLLM, a model without a method says by its name what it is. */
function methodOf({ method, model }: SpeculativeRequest, field: Field): SpeculativeMethod {
  const word = method ?? (model === undefined ? undefined : methodOfName(model.toLowerCase()));
  const known = SPECULATIVE_METHODS.find((name) => name === word) ?? ALIASES[word ?? ''];
  if (known) return known;
  const near = word === undefined ? undefined : closest(word, SPECULATIVE_METHODS);
  throw new ConfigError(
    field('method'),
    `one of ${SPECULATIVE_METHODS.join(', ')}`,
    word,
    near && `Did you mean ${near}?`,
  );
}

function methodOfName(model: string): SpeculativeMethod {
  if (model === 'ngram' || model === '[ngram]') return 'ngram';
  if (model.includes('eagle3')) return 'eagle3';
  return model.includes('eagle') ? 'eagle' : 'draft_model';
}

function draftModelOf(name: string | undefined, at: string): ModelShape {
  if (name === undefined) throw new ConfigError(at, 'the name of a draft model', undefined);
  try {
    return loadModel(name);
  } catch (cause) {
    if (!(cause instanceof ConfigError) || cause.path !== '--model') throw cause;
    throw new ConfigError(at, cause.expected, cause.got, cause.hint);
  }
}

function checkCount(field: Field, key: string, value: number | undefined, most = Infinity): void {
  if (value === undefined) return;
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return;
  const to = most === Infinity ? 'of at least 1' : `from 1 to ${most}`;
  throw new ConfigError(
    field(key),
    `a whole number ${to}`,
    Number.isNaN(value) ? undefined : value,
  );
}

function acceptanceSpecOf(
  { acceptance = [], acceptanceFile }: SpeculativeRequest,
  field: Field,
  readAcceptance: ReadAcceptance,
): AcceptanceSpec | undefined {
  const at = field('acceptance');
  if (acceptanceFile !== undefined) {
    if (acceptance.length > 0)
      throw new ConfigError(at, 'probabilities or a file, not both', acceptance);
    return { kind: 'recorded', counts: readAcceptance(acceptanceFile, at) };
  }
  acceptance.forEach((rate, i) => {
    if (rate >= 0 && rate <= 1) return;
    const place = acceptance.length === 1 ? at : `${at}[${i}]`;
    throw new ConfigError(place, 'a probability in [0, 1]', rate);
  });
  return acceptance.length === 0 ? undefined : { kind: 'rates', rates: acceptance };
}
