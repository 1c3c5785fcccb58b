/**
 * The report a person reads: what ran, how fast it was, how its latencies are distributed, how full the
 * machine was and what held it back.
 */

import { IDLE_POWER_FRACTION } from '../core/metrics/energy.js';
import type { KvTierReport, LatencySummary } from '../core/metrics/report.js';
import { acceptanceRates, type SpeculationCounts } from '../core/metrics/speculation-stats.js';
import { distribution } from './distribution.js';
import { levelLine } from './expected-error.js';
import { type Findings, findingsOf, type StepFindings } from './findings.js';
import { duration, energy, gib, grouped, percent, plural, short, table } from './format.js';
import { loadLine } from './load-label.js';
import { type Resources, resourcesOf } from './resources.js';
import { hardwareLabel, perSecond, type Run } from './run.js';

export function humanReport(run: Run, findings: Findings = findingsOf(run)): string {
  const { report } = run;
  const lines = [
    ...titleLines(run),
    '',
    ...indent(
      table(
        [
          ['Duration', `${duration(report.durationNs / 1e6)} simulated`],
          ['Requests', requestsLine(run)],
          ['Throughput', throughputLine(run)],
          ...(report.good === undefined ? [] : [['Goodput', goodputLine(run)]]),
        ],
        2,
      ),
    ),
    '',
    ...indent(latencyTable(run)),
    '',
    ...indent(
      table(
        [
          ['KV cache', kvLine(run, findings)],
          ['Batch', batchLine(findings)],
          ['Preemptions', grouped(findings.numPreemptions)],
          ...(findings.speculation ? [['Speculation', speculationLine(findings.speculation)]] : []),
          ...tierRows(run),
          ...adapterRows(run),
          ['Busy', busyLine(findings)],
          ...(findings.step ? stepRows(findings.step) : []),
          ...resourceRows(resourcesOf(run), run.pricePerGpuHour),
          ['Times from', levelLine(run.pools)],
        ],
        2,
      ),
    ),
    ...notes('Warning', findings.warnings),
    ...notes('Note', [...new Set(run.pools.flatMap((pool) => pool.notes))]),
  ];
  if (run.stopped) lines.push('', 'Stopped before its end: this is what was done so far.');
  return `${lines.join('\n')}\n`;
}

const busyLine = ({ busyFraction, bubbleFraction }: Findings): string =>
  `${percent(busyFraction)} of the time${bubbleFraction === undefined ? '' : `, ${percent(bubbleFraction)} of it bubbles (stages or ranks waiting for others)`}`;

const indent = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

function titleLines(run: Run): string[] {
  const pools = run.pools.map((pool) => {
    const count = pool.spec.numInstances === 1 ? '' : `${pool.spec.numInstances} × `;
    return `${pool.spec.model.name} on ${count}${hardwareLabel(pool)}, ${pool.engine.name} ${pool.engine.since}+`;
  });
  return [...pools, loadLine(run)];
}

function requestsLine({ report }: Run): string {
  const parts = [`${grouped(report.completed)} completed`];
  if (report.rejected > 0) parts.push(`${grouped(report.rejected)} rejected`);
  if (report.aborted > 0) parts.push(`${grouped(report.aborted)} aborted`);
  if (report.unfinished > 0) parts.push(`${grouped(report.unfinished)} unfinished`);
  return parts.join(', ');
}

function throughputLine({ report }: Run): string {
  const { durationNs, completed, totalInputTokens, totalOutputTokens } = report;
  const rate = (count: number) => short(perSecond(count, durationNs));
  return (
    `${rate(completed)} requests/s, ${rate(totalInputTokens)} input and ` +
    `${rate(totalOutputTokens)} output tokens/s`
  );
}

function goodputLine({ report, slo = {} }: Run): string {
  const bounds = [
    ['TTFT', slo.ttftMs],
    ['TPOT', slo.tpotMs],
    ['E2E', slo.e2elMs],
  ] as const;
  const text = bounds
    .filter(([, ms]) => ms !== undefined)
    .map(([name, ms]) => `${name} ≤ ${duration(ms!)}`)
    .join(', ');
  const good = report.good ?? 0;
  const fraction = report.completed > 0 ? good / report.completed : 0;
  return `${short(perSecond(good, report.durationNs))} requests/s: ${percent(fraction)} met ${text}`;
}

function latencyTable({ report }: Run): string[] {
  const row = (name: string, latency: LatencySummary) =>
    latency.count === 0
      ? [name, '-', '-', '-', '-', '-']
      : [
          name,
          short(latency.meanMs),
          ...[0.5, 0.9, 0.99].map((q) => short(latency.quantileMs(q))),
          short(latency.maxMs),
          `  ${distribution(latency)}`,
        ];
  const rows = [
    ['Latency (ms)', 'mean', 'median', 'p90', 'p99', 'max'],
    row('TTFT', report.ttft),
    row('TPOT', report.tpot),
    row('ITL', report.itl),
    row('E2E', report.e2el),
    row('Queue', report.queue),
  ];
  const [header, ...lines] = table(rows);
  return [`${header}    min … max, logarithmic`, ...lines];
}

function kvLine(run: Run, findings: Findings): string {
  const blocks = run.pools.map((pool) => pool.scheduler.numGpuBlocks - 1);
  const tokens = run.pools.map((pool, i) => blocks[i]! * pool.scheduler.blockSize);
  const hits =
    findings.prefixHitFraction === undefined
      ? ''
      : `; prefix hits ${percent(findings.prefixHitFraction)}`;
  return (
    `peak ${percent(findings.kvPeakFraction)}, mean ${percent(findings.kvMeanFraction)} of ` +
    `${blocks.map(grouped).join(' and ')} blocks (${tokens.map(grouped).join(' and ')} tokens)${hits}`
  );
}

const batchLine = (f: Findings): string =>
  `${f.meanRunning.toFixed(1)} running on average, at most ${grouped(f.peakRunning)}; ` +
  `${f.meanWaiting.toFixed(1)} waiting, at most ${grouped(f.peakWaiting)}`;

function speculationLine(counts: SpeculationCounts): string {
  const { rate, length, perPosition } = acceptanceRates(counts);
  return (
    `${percent(rate)} of ${plural(counts.draftTokens, 'draft')} held (by position ${perPosition.map(percent).join(', ')}); ` +
    `${length.toFixed(2)} tokens per verification`
  );
}

/** What each KV tier found and moved, all instances together. */
function tierRows({ report: { instances, durationNs } }: Run): string[][] {
  const names = [...new Set(instances.flatMap(({ kvTiers = [] }) => kvTiers.map((t) => t.name)))];
  return names.map((name, i) => {
    const all = instances.flatMap(({ kvTiers = [] }) => kvTiers.filter((t) => t.name === name));
    const sum = (of: (tier: KvTierReport) => number) =>
      all.reduce((total, tier) => total + of(tier), 0);
    const queries = sum((tier) => tier.queryTokens);
    const hits = queries > 0 ? sum((tier) => tier.hitTokens) / queries : 0;
    const time = durationNs * all.length;
    const busy = (ns: number) => percent(time > 0 ? ns / time : 0);
    return [
      i === 0 ? 'KV tiers' : '',
      `${name}: hits ${percent(hits)} of ${grouped(queries)} tokens asked for; ` +
        `read ${gib(sum((tier) => tier.readBytes))} (link busy ${busy(sum((tier) => tier.readNs))}), ` +
        `written ${gib(sum((tier) => tier.writtenBytes))} (${busy(sum((tier) => tier.writeNs))}), ` +
        `${plural(
          sum((tier) => tier.evictedBlocks),
          'eviction',
        )}`,
    ];
  });
}

/** How adapters came and went, where there are any. */
function adapterRows({ report, pools }: Run): string[][] {
  const all = report.instances.flatMap(({ lora }) => (lora ? [lora] : []));
  const slots = pools.find(({ deployment }) => deployment.lora)?.deployment.lora?.maxLoras;
  if (all.length === 0 || slots === undefined) return [];
  const sum = (key: 'loads' | 'fetches' | 'evictions' | 'loadNs') =>
    all.reduce((total, lora) => total + lora[key], 0);
  return [
    [
      'Adapters',
      `${plural(sum('loads'), 'load')} into ${plural(slots, 'slot')}, ${grouped(sum('fetches'))} of them from disk; ` +
        `${plural(sum('evictions'), 'eviction')}; steps waited ${duration(sum('loadNs') / 1e6)}`,
    ],
  ];
}

const BOUND_WORDS: Readonly<Record<string, string>> = {
  memory: 'memory bandwidth',
  compute: 'computing',
  link: 'links between GPUs',
  latency: 'kernel launches and gaps',
  host: 'the CPU',
};

function stepRows(step: StepFindings): string[][] {
  const parts = step.bounds
    .filter(({ fraction }) => fraction >= 0.05)
    .map(({ bound, fraction }) => `${BOUND_WORDS[bound] ?? bound} ${percent(fraction)}`);
  return [
    ['Bottleneck', `${parts.join(', ')} of the mean step (${duration(step.meanMs)})`],
    [
      '',
      `most of it: ${step.operator}, ${percent(step.operatorFraction)}; the GPU reaches ` +
        `${percent(step.flopUtilization)} of its FLOP/s, ${percent(step.bandwidthUtilization)} of its bandwidth`,
    ],
  ];
}

function resourceRows(r: Resources, price: number | undefined): string[][] {
  const cost = r.bill
    ? [
        [
          'Cost',
          `$${short(r.bill.perMillionOutputTokens)} per million output tokens at $${short(price!)} per GPU-hour`,
        ],
      ]
    : [];
  return [
    [
      'GPUs',
      `${short(r.gpuSeconds)} GPU-seconds, ${short(r.outputTokensPerGpuSecond)} output tokens/s per GPU; ` +
        `MFU ${percent(r.mfu)}, MBU ${percent(r.mbu)}`,
    ],
    [
      'Energy',
      `${energy(r.energyJ)}, ${energy(r.joulesPerOutputToken)} per output token; ` +
        `${short(r.meanPowerW)} W per GPU (${IDLE_NOTE})`,
    ],
    ...cost,
  ];
}

const IDLE_NOTE = `idle assumed ${percent(IDLE_POWER_FRACTION)} of board power`;

const notes = (title: string, texts: readonly string[]): string[] =>
  texts.flatMap((text) => ['', ...wrap(`${title}: ${text}`, 100)]);

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = `  ${word}`;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
