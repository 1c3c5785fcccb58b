/** A load in one line: what arrives, how many, how fast. Before it has run, and after. */

import { DEFAULT_NUM_PROMPTS, type LoadOptions } from '../core/workload/load.js';
import { duration, grouped, percent, plural, short } from './format.js';
import { offeredRate, type Run } from './run.js';

/** What arrived, in one line. */
export function loadLine(run: Run): string {
  const { load, offered, trace } = run;
  const requests = plural(offered.numRequests, 'request') + turnsLabel(load);
  const rate = offeredRate(run);
  const pace = rate === Infinity ? 'all at once' : `at ${short(rate)}/s`;
  return `${whatLabel(load.source, trace)}: ${requests} ${pace}${boundLabel(load)}`;
}

/** A load before it has run; without its pace where that varies. */
export function loadLabel(load: LoadOptions, trace: string | undefined, withPace = true): string {
  const { numPrompts, requestRate, rampUp, source } = load;
  const count = numPrompts ?? (source.kind === 'random' ? DEFAULT_NUM_PROMPTS : undefined);
  const noun = load.conversations ? 'conversation' : 'request';
  const requests = `${count === undefined ? `all ${noun}s` : plural(count, noun)}${turnsLabel(load)}`;
  const when = withPace ? ` ${pace(requestRate, rampUp, source)}` : '';
  return `${whatLabel(source, trace)}: ${requests}${when}${boundLabel(load)}`;
}

function pace(
  rate: number | undefined,
  ramp: LoadOptions['rampUp'],
  source: LoadOptions['source'],
): string {
  if (ramp) return `from ${short(ramp.startRps)}/s to ${short(ramp.endRps)}/s`;
  if (rate !== undefined && rate < Infinity) return `at ${short(rate)}/s`;
  if (rate === undefined && source.kind === 'trace') {
    return source.speed === 1 ? 'at their own times' : `at ${short(source.speed)} × their speed`;
  }
  return 'all at once';
}

const boundLabel = ({ maxConcurrency }: LoadOptions): string =>
  maxConcurrency === undefined ? '' : `, at most ${grouped(maxConcurrency)} in flight`;

function turnsLabel({ conversations }: LoadOptions): string {
  if (!conversations) return '';
  const { minTurns, maxTurns, delayMs } = conversations;
  const turns = minTurns === maxTurns ? plural(maxTurns, 'turn') : `${minTurns}–${maxTurns} turns`;
  return ` in conversations of ${turns}${delayMs > 0 ? `, ${duration(delayMs)} apart` : ''},`;
}

function whatLabel(source: LoadOptions['source'], trace: string | undefined): string {
  if (source.kind !== 'random') return trace ?? 'given requests';
  const { rangeRatio, outputRangeRatio = rangeRatio } = source;
  const spread = (ratio: number) => (ratio > 0 ? ` ± ${percent(ratio)}` : '');
  const own = outputRangeRatio === rangeRatio ? '' : spread(rangeRatio);
  const prefix = source.prefixLen > 0 ? `, ${grouped(source.prefixLen)} shared before` : '';
  return `${grouped(source.inputLen)}${own} tokens in, ${grouped(source.outputLen)} out${spread(outputRangeRatio)}${prefix}`;
}
