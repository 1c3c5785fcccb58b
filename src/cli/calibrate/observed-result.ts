/**
 * Requests of a load test's detailed result, under the names of vLLM's bench: one list per quantity,
 * times in seconds.
 *
 * Without times of sending only two loads can be told again: all at once, and a bound on requests in
 * flight.
 */

import { ConfigError } from '../../core/errors.js';
import { NS_PER_S } from '../../core/units.js';
import type { Observed, ObservedRequest } from './observed.js';

type Json = Readonly<Record<string, unknown>>;

/** @throws {ConfigError} naming file and field */
export function requestsOfResult(path: string, result: Json): Observed {
  const ttfts = numbers(path, result, 'ttfts');
  const list = (name: string) => numbers(path, result, name, ttfts.length);
  const [prompts, outputs] = [list('input_lens'), list('output_lens')];
  const itls = result.itls;
  if (!Array.isArray(itls) || itls.length !== ttfts.length || !itls.every(Array.isArray)) {
    throw new ConfigError(`${path}: itls`, `${ttfts.length} lists of numbers`, typeof itls);
  }
  const sent = result.start_times === undefined ? undefined : list('start_times');
  if (!sent) checkTold(path, result);
  const order = ttfts
    .map((_, i) => i)
    .filter((i) => ttfts[i]! > 0 && outputs[i]! >= 1 && prompts[i]! >= 1)
    .sort((a, b) => (sent ? sent[a]! - sent[b]! : a - b));
  const first = sent && order.length > 0 ? sent[order[0]!]! : 0;
  const requests = order.map((i): ObservedRequest => {
    const decodeSeconds = (itls[i] as number[]).reduce((sum, gap) => sum + gap, 0);
    const hasGaps = outputs[i]! > 1 && decodeSeconds > 0;
    return {
      at: sent ? Math.round((sent[i]! - first) * NS_PER_S) : 0,
      promptTokens: prompts[i]!,
      outputTokens: outputs[i]!,
      ttftMs: ttfts[i]! * 1e3,
      tpotMs: hasGaps ? (decodeSeconds / (outputs[i]! - 1)) * 1e3 : undefined,
    };
  });
  const bound = result.max_concurrency;
  const failed = ttfts.length - order.length;
  return {
    kind: 'requests',
    requests,
    maxConcurrency: !sent && typeof bound === 'number' ? bound : undefined,
    notes: failed > 0 ? [`${failed} requests that failed are left out`] : [],
  };
}

function checkTold(path: string, { request_rate: rate, max_concurrency: bound }: Json): void {
  const atOnce = rate === undefined || rate === null || rate === 'inf' || rate === Infinity;
  if (atOnce || typeof bound === 'number') return;
  throw new ConfigError(
    `${path}: start_times`,
    'the times of sending, beside a finite request rate',
    undefined,
    'bench --save-result --save-detailed writes them; so do recent versions of vllm bench serve.',
  );
}

function numbers(path: string, result: Json, name: string, length?: number): number[] {
  const list = result[name];
  const whole = Array.isArray(list) && list.every((value) => typeof value === 'number');
  if (whole && (length === undefined || list.length === length)) return list as number[];
  const expected = length === undefined ? 'a list of numbers' : `a list of ${length} numbers`;
  throw new ConfigError(`${path}: ${name}`, expected, Array.isArray(list) ? list.length : list);
}
