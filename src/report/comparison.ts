/**
 * Several runs side by side: one row each, and why where one could not be.
 *
 * A comparison is made of digests, plain data without functions: a run may have happened in another
 * thread, and what is printed is the same wherever it did.
 */

import { findingsOf } from './findings.js';
import { percent, short, table } from './format.js';
import type { Json } from './json.js';
import { loadLabel } from './load-label.js';
import { resourcesOf } from './resources.js';
import { resultJson } from './result-json.js';
import { hardwareLabel, numGpus, perSecond, type Run } from './run.js';

/** What a comparison says of one run. */
export interface RunDigest {
  readonly json: Json;
  /** Under `COLUMNS`, `GOOD` (absent without bounds) and `PER_GPU`. */
  readonly cells: readonly string[];
  readonly good?: string;
  readonly perGpu: readonly string[];
  readonly overloaded: boolean;
  readonly model: string;
  readonly hardware: string;
  readonly load: string;
  readonly loadWithoutPace: string;
  /** Whether it was cut off before its end. */
  readonly stopped: boolean;
}

/** What was varied, as the user spelled it, and what came of it. */
export interface Variant {
  readonly varied: { readonly [flag: string]: string };
  readonly outcome: RunDigest | { readonly impossible: string };
}

const COLUMNS = [
  ...['GPUs', 'req/s', 'out tok/s', 'TTFT', 'p99', 'TPOT', 'p99', 'E2E', 'p99'],
  ...['busy', 'KV peak'],
];
const GOOD = 'good';
const PER_GPU = ['tok/s/GPU', 'J/token'];
/** A wider table does without `PER_GPU`. */
const MOST_CHARS = 130;

export function digestOf(run: Run): RunDigest {
  const { report } = run;
  const findings = findingsOf(run);
  const used = resourcesOf(run);
  const overloaded = findings.warnings.some((warning) => warning.startsWith('arrivals exceed'));
  const good = report.completed > 0 ? (report.good ?? 0) / report.completed : 0;
  return {
    json: resultJson(run, findings),
    cells: [
      String(numGpus(run)),
      `${short(perSecond(report.completed, report.durationNs))}${overloaded ? '*' : ''}`,
      short(perSecond(report.totalOutputTokens, report.durationNs)),
      ...[report.ttft, report.tpot, report.e2el].flatMap((summary) => [
        short(summary.meanMs),
        short(summary.quantileMs(0.99)),
      ]),
      percent(findings.busyFraction),
      percent(findings.kvPeakFraction),
    ],
    ...(run.slo && { good: percent(good) }),
    perGpu: [short(used.outputTokensPerGpuSecond), short(used.joulesPerOutputToken)],
    overloaded,
    model: run.pools[0]!.spec.model.name,
    hardware: hardwareLabel(run.pools[0]!),
    load: loadLabel(run.load, run.trace),
    loadWithoutPace: loadLabel(run.load, run.trace, false),
    stopped: run.stopped,
  };
}

const digestsOf = (variants: readonly Variant[]): RunDigest[] =>
  variants.map(({ outcome }) => outcome).filter((o): o is RunDigest => 'json' in o);

export function comparisonTable(variants: readonly Variant[]): string {
  const digests = digestsOf(variants);
  const reasons = [
    ...new Set(variants.flatMap(({ outcome: o }) => ('json' in o ? [] : [o.impossible]))),
  ];
  const wide = tableOf(variants, reasons, true);
  const lines = wide.every((line) => line.length <= MOST_CHARS)
    ? wide
    : tableOf(variants, reasons, false);
  return `${[
    ...lines,
    '',
    'Latencies in ms: mean and 99th percentile; TTFT and E2E from arrival, queueing included.',
    ...(digests.some(({ overloaded }) => overloaded)
      ? ['*: arrivals exceed capacity; latencies measure the length of the load.']
      : []),
    ...reasons.map((reason, i) => `(${i + 1}) ${reason.replaceAll('\n', '\n    ')}`),
  ].join('\n')}\n`;
}

function tableOf(
  variants: readonly Variant[],
  reasons: readonly string[],
  withPerGpu: boolean,
): string[] {
  const flags = Object.keys(variants[0]?.varied ?? {});
  const withGood = digestsOf(variants).some(({ good }) => good !== undefined);
  const header = [
    ...flags,
    ...COLUMNS,
    ...(withGood ? [GOOD] : []),
    ...(withPerGpu ? PER_GPU : []),
  ];
  const rows = variants.map(({ varied, outcome }) => {
    const names = flags.map((flag) => varied[flag]!);
    if (!('json' in outcome))
      return [...names, '-', `(${reasons.indexOf(outcome.impossible) + 1})`];
    const { cells, good = '', perGpu } = outcome;
    return [...names, ...cells, ...(withGood ? [good] : []), ...(withPerGpu ? perGpu : [])];
  });
  return table([header, ...rows], flags.length);
}

/** The same as JSON: a list of results, each with what was varied. */
export const comparisonJson = (variants: readonly Variant[]): Json => ({
  results: variants.map(({ varied, outcome }) =>
    'json' in outcome ? { varied, ...outcome.json } : { varied, error: outcome.impossible },
  ),
});

/** Title of a comparison: what did not vary. */
export function comparisonTitle(variants: readonly Variant[]): string {
  const digests = digestsOf(variants);
  const unique = (label: (digest: RunDigest) => string) => [...new Set(digests.map(label))];
  const models = unique((digest) => digest.model);
  const hardware = unique((digest) => digest.hardware);
  const parts = [models, hardware].filter((names) => names.length === 1).map(([name]) => name!);
  const varies = variants.some(({ varied }) => varied['request-rate'] !== undefined);
  const load = digests[0]?.[varies ? 'loadWithoutPace' : 'load'] ?? '';
  return [parts.join(' on '), load].filter((part) => part !== '').join(': ');
}
