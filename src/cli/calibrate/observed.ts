/**
 * What a real server was seen to do, from any of the files that tell: request rows, the detailed
 * result of a load test, or step times.
 */

import { readFileSync } from 'node:fs';
import type { StepShape } from '../../core/engine.js';
import { ConfigError } from '../../core/errors.js';
import type { Milliseconds, TimeNs } from '../../core/units.js';
import { type RowTable, readRows } from '../../files/rows.js';
import { requestsOfResult } from './observed-result.js';

export interface ObservedRequest {
  /** Since the first one. */
  readonly at: TimeNs;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly ttftMs: Milliseconds;
  /** Absent for a single token. */
  readonly tpotMs: Milliseconds | undefined;
}

export interface ObservedStep {
  readonly shape: StepShape;
  readonly durationMs: Milliseconds;
}

export type Observed =
  | { readonly kind: 'steps'; readonly steps: readonly ObservedStep[] }
  | {
      readonly kind: 'requests';
      /** In the order of sending. */
      readonly requests: readonly ObservedRequest[];
      /** Bound on requests in flight, where times of sending were not recorded. */
      readonly maxConcurrency: number | undefined;
      readonly notes: readonly string[];
    };

export const OBSERVED_FORMS = [
  'One of:',
  '  result JSON of bench, or of vllm bench serve, with --save-detailed (ttfts, itls, input_lens, output_lens)',
  '  request rows (JSONL or CSV) with arrival_ms, prompt_tokens, output_tokens, ttft_ms, tpot_ms',
  '  steps CSV with num_decodes, context_tokens, prefill_tokens, duration_ms',
].join('\n');

/** Fewer say nothing once half of them are held back. */
const LEAST = 8;

/**
 * @param window tokens that attention layers with a window look back
 * @throws {ConfigError} naming file, line and field
 */
export function readObserved(path: string, window: number): Observed {
  const observed = parse(path, readText(path), window);
  const count = observed.kind === 'steps' ? observed.steps.length : observed.requests.length;
  if (count >= LEAST) return observed;
  throw new ConfigError(path, `at least ${LEAST} ${observed.kind} that succeeded`, count);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ConfigError(
      '--observed',
      'a readable file',
      missing ? `no such file: ${path}` : path,
    );
  }
}

function parse(path: string, text: string, window: number): Observed {
  const result = text.trimStart().startsWith('{') ? wholeObject(text) : undefined;
  if (result && 'ttfts' in result) return requestsOfResult(path, result);
  const table = readRows(path, text);
  if (table.has('num_decodes', 'duration_ms'))
    return { kind: 'steps', steps: stepsOf(table, window) };
  if (table.has('arrival_ms', 'ttft_ms')) return requestsOf(table);
  throw new ConfigError(
    path,
    'a file that says how long requests or steps took',
    table.names,
    OBSERVED_FORMS,
  );
}

function wholeObject(text: string): Record<string, unknown> | undefined {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    return undefined; // More than one line of it: rows.
  }
}

/** `context_tokens` is the sum over decodes; prompts of a step are of equal length and new. */
function stepsOf(table: RowTable, window: number): ObservedStep[] {
  return table.rows.map((row) => {
    const numDecodes = row.count('num_decodes');
    const context = numDecodes === 0 ? 0 : row.count('context_tokens') / numDecodes;
    const prefillTokens = row.count('prefill_tokens');
    const numPrefills = prefillTokens === 0 ? 0 : Math.max(1, row.optional('num_prefills') ?? 1);
    if (numDecodes + prefillTokens === 0) row.refuse('prefill_tokens', 'tokens, or decodes', 0);
    const chunk = numPrefills === 0 ? 0 : prefillTokens / numPrefills;
    const growing = Math.min(chunk, window);
    const beyond = chunk > growing ? (chunk - growing) * window : 0;
    const shape: StepShape = {
      numDecodes,
      decodeContext: numDecodes * context,
      decodeWindowContext: numDecodes * Math.min(context, window),
      prefillTokens,
      numPrefills,
      prefillPairs: (prefillTokens * (chunk + 1)) / 2,
      prefillWindowPairs: numPrefills * ((growing * (growing + 1)) / 2 + beyond),
      prefillHistory: 0,
      numSampled: numDecodes + numPrefills,
    };
    return { shape, durationMs: row.above0('duration_ms') };
  });
}

function requestsOf(table: RowTable): Observed {
  const rows = table.rows.filter((row) => row.optional('ttft_ms') !== undefined);
  const cached = rows.some((row) => (row.optional('cached_tokens') ?? 0) > 0);
  const requests = rows
    .map((row): ObservedRequest & { readonly arrivalMs: number } => ({
      arrivalMs: row.number('arrival_ms'),
      at: 0,
      promptTokens: row.atLeast1('prompt_tokens'),
      outputTokens: row.atLeast1('output_tokens'),
      ttftMs: row.above0('ttft_ms'),
      tpotMs: row.optional('tpot_ms'),
    }))
    .sort((a, b) => a.arrivalMs - b.arrivalMs);
  const first = requests[0]?.arrivalMs ?? 0;
  return {
    kind: 'requests',
    requests: requests.map((r) => ({ ...r, at: Math.round((r.arrivalMs - first) * 1e6) })),
    maxConcurrency: undefined,
    notes: cached
      ? ['hits of the prefix cache are not replayed: the fit takes them for speed']
      : [],
  };
}
