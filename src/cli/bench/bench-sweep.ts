/** Several benchmarks of one load: at each rate or concurrency of a comma list, or in search of a limit. */

import { writeFileSync } from 'node:fs';
import { healthLine } from '../../bench/client-health.js';
import { type BenchResult, runName, sendLagOf } from '../../bench/result.js';
import { benchJson } from '../../bench/result-json.js';
import { notesOf } from '../../bench/result-table.js';
import { findBenchRate, goodFraction } from '../../bench/sweep.js';
import { ConfigError } from '../../core/errors.js';
import { percent, short, table } from '../../report/format.js';
import { jsonText } from '../../report/json.js';
import { type ExitCode, FAILED, INTERRUPTED, type Io, OK } from '../io.js';
import { type Flags, sloFromFlags } from '../simulate-flags.js';
import { listOf, numberOf } from '../values.js';
import { runFlags } from './bench-run.js';

const SWEPT = ['request-rate', 'max-concurrency'] as const;
const camel = (name: string) => name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());

/** One set of flags for each combination of the comma lists; one in all without lists. */
export function sweptFlags(flags: Flags): Flags[] {
  let variants: Flags[] = [flags];
  for (const name of SWEPT) {
    const key = camel(name);
    const text = flags[key];
    if (typeof text !== 'string' || !text.includes(',')) continue;
    const values = listOf(`--${name}`, text);
    variants = variants.flatMap((own) => values.map((value) => ({ ...own, [key]: value })));
  }
  return variants;
}

export async function sweep(flags: Flags, variants: readonly Flags[], io: Io): Promise<ExitCode> {
  for (const [key, flag] of [
    ['saveRequests', '--save-requests'],
    ['appendResult', '--append-result'],
    ['resultFilename', '--result-filename'],
    ['plotTimeline', '--plot-timeline'],
    ['plotDatasetStats', '--plot-dataset-stats'],
  ] as const) {
    if (flags[key] !== undefined) throw new ConfigError(flag, 'a single run', 'several');
  }
  if (flags.findRate && variants.length > 1) {
    throw new ConfigError('--find-rate', 'a single rate to begin with', 'a list');
  }
  const results: BenchResult[] = [];
  const measure = async (own: Flags): Promise<BenchResult | undefined> => {
    const result = await runFlags(
      { ...own, disableTqdm: flags.disableTqdm ?? !io.errIsTerminal },
      io,
    );
    results.push(result);
    return result.stopped ? undefined : result;
  };
  const found = flags.findRate ? await search(flags, measure) : undefined;
  if (!flags.findRate) {
    for (const own of variants) if (!(await measure(own))) break;
  }
  const json = () =>
    jsonText({
      results: results.map((result) => benchJson(result, flags.saveDetailed === true)),
      ...(found && { best_request_rate: found.rate }),
    });
  if (typeof flags.saveResult === 'string') writeFileSync(flags.saveResult, json());
  if (typeof flags.html === 'string') {
    const { reportHtml } = await import('../../bench/report-html.js');
    writeFileSync(flags.html, await reportHtml(results));
  }
  io.out(
    flags.json ? json() : [sweepText(results), ...(found ? [found.sentence] : []), ''].join('\n'),
  );
  if (results.some(({ stopped }) => stopped)) return INTERRUPTED;
  return results.some(({ measured }) => measured.completed > 0) ? OK : FAILED;
}

async function search(
  flags: Flags,
  measure: (flags: Flags) => Promise<BenchResult | undefined>,
): Promise<{ rate: number; sentence: string } | undefined> {
  if (!sloFromFlags(flags)) {
    throw new ConfigError('--find-rate', 'bounds to meet: --goodput ttft:200 tpot:50', undefined);
  }
  if (flags.rampUpStrategy !== undefined || flags.maxConcurrency !== undefined) {
    throw new ConfigError('--find-rate', 'a load without a ramp or --max-concurrency', 'one with');
  }
  const fraction = flags.findRate === true ? 0.99 : numberOf('--find-rate', String(flags.findRate));
  if (!(fraction > 0 && fraction <= 1)) {
    throw new ConfigError('--find-rate', 'a fraction above 0 and at most 1', flags.findRate);
  }
  const given = flags.requestRate;
  const start =
    typeof given === 'string' && given !== 'inf' ? numberOf('--request-rate', given) : 1;
  const found = await findBenchRate(start, fraction, (rate) =>
    measure({ ...flags, requestRate: String(rate) }),
  );
  if (!found) return undefined;
  const rate = found.best.config.requestRate!;
  const sentence = found.unbounded
    ? `Even ${short(rate)} requests/s meet the bounds: raise --num-prompts to find a limit.`
    : `Highest rate with ${fraction * 100} % good requests: ${short(rate)} requests/s (within 10 %, ${found.runs.length} runs).`;
  return { rate, sentence };
}

/** The table, what to beware of in each run, and the client where it had most to do. */
function sweepText(results: readonly BenchResult[]): string {
  const notes = results.flatMap((result) =>
    notesOf(result).map((note) => `${runName(result)}: ${note}`),
  );
  const fullest = results.toSorted(
    (a, b) => b.health.busiestFraction - a.health.busiestFraction,
  )[0]!;
  const client = `${runName(fullest)}: ${healthLine(fullest.health, sendLagOf(fullest))}`;
  return [sweepTable(results), ...notes, client].join('\n');
}

function sweepTable(results: readonly BenchResult[]): string {
  const withGoodput = results.some(({ config }) => config.slo);
  const header = [
    ...['load', 'req/s', 'out tok/s', 'failed', 'TTFT p50', 'p99', 'TPOT p50', 'p99'],
    ...['E2EL p50', 'p99', ...(withGoodput ? ['good'] : [])],
  ];
  const rows = results.map((result) => {
    const { measured, durationMs } = result;
    const per = (count: number) => short(count / (durationMs / 1e3));
    const latencies = [measured.ttft, measured.tpot, measured.e2el].flatMap((latency) => [
      short(latency.quantileMs(0.5)),
      short(latency.quantileMs(0.99)),
    ]);
    return [
      runName(result),
      per(measured.completed),
      per(measured.totalOutputTokens),
      String(measured.failed),
      ...latencies,
      ...(withGoodput ? [percent(goodFraction(result))] : []),
    ];
  });
  return `${table([header, ...rows]).join('\n')}\nLatencies in ms.\n`;
}
