/** What would run, without running it: resolved options, where KV memory goes, what typical steps cost. */

import type { StepShape } from '../core/engine.js';
import { explainStep } from '../core/perf/explain.js';
import type { ResolvedPool } from '../core/perf/resolve.js';
import { withDrafts } from '../core/perf/speculation.js';
import { duration, gib, grouped, percent, plural, table } from './format.js';
import type { Json } from './json.js';
import { poolJson } from './pool-json.js';
import { hardwareLabel } from './run.js';

export function dryRunText(pools: readonly ResolvedPool[], load: string): string {
  return `${[...pools.flatMap((pool) => [...poolLines(pool), '']), `Load: ${load}`].join('\n')}\n`;
}

export const dryRunJson = (pools: readonly ResolvedPool[], load: string): Json => ({
  load,
  pools: pools.map((pool) => ({
    ...poolJson(pool),
    steps: typicalSteps(pool).map(({ label, shape }) => {
      const { seconds, bottleneck } = explainStep(pool, shape);
      return { step: label, duration_ms: seconds * 1e3, largest_operator: bottleneck.name };
    }),
  })),
});

function poolLines(pool: ResolvedPool): string[] {
  const { spec, kv, scheduler } = pool;
  const options = poolJson(pool).options as Readonly<Record<string, unknown>>;
  return [
    `${spec.model.name} on ${spec.numInstances > 1 ? `${spec.numInstances} × (${hardwareLabel(pool)})` : hardwareLabel(pool)}, ${pool.engine.name} ${pool.engine.since}+ (${pool.engine.label})`,
    '',
    '  Options (given, or the default of this engine on this hardware)',
    ...table(
      Object.entries(options)
        .filter(([, value]) => value !== null)
        .map(([name, value]) => [
          `    ${name}`,
          typeof value === 'object' ? JSON.stringify(value) : String(value),
        ]),
      2,
    ),
    '',
    '  Memory of one GPU',
    ...table([
      ['    data sheet', gib(kv.memoryBytes)],
      [`    × utilization ${kv.utilization}`, gib(kv.memoryBytes * kv.utilization)],
      ['    − weights', gib(kv.weightBytes)],
      ...(kv.draftWeightBytes > 0
        ? [['    − weights of the drafter', gib(kv.draftWeightBytes)]]
        : []),
      ['    − activations', gib(kv.activationBytes)],
      ['    − context and libraries', gib(kv.nonTorchBytes)],
      ...(kv.loraBytes > 0 ? [['    − slots of adapters', gib(kv.loraBytes)]] : []),
      ['    = KV cache', gib(kv.kvBytes)],
    ]),
    `    ${grouped(scheduler.numGpuBlocks)} blocks of ${scheduler.blockSize} tokens ` +
      `(${grouped(kv.bytesPerBlock)} bytes each): ${grouped(scheduler.numGpuBlocks * scheduler.blockSize)} tokens`,
    '',
    '  Typical steps',
    ...stepTable(pool),
    ...(pool.notes.length > 0 ? ['', ...pool.notes.map((note) => `  Note: ${note}`)] : []),
  ];
}

function stepTable(pool: ResolvedPool): string[] {
  const rows = typicalSteps(pool).map(({ label, shape }) => {
    const { rows, seconds, bottleneck } = explainStep(pool, shape);
    const flop = rows.reduce((sum, row) => sum + row.flop, 0);
    const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
    const { gpu, precision } = pool.deployment;
    return [
      `    ${label}`,
      duration(seconds * 1e3),
      percent(flop / seconds / precision.linear.peak),
      percent(bytes / seconds / gpu.memoryBytesPerS),
      `${bottleneck.name}, ${percent(bottleneck.seconds / seconds)}`,
    ];
  });
  return table([['', 'time', 'FLOP/s', 'bandwidth', 'most of it'], ...rows]);
}

const CONTEXT = 1024;

/** Steps a reader can picture: decodes at 1,024 tokens of context, prompts of one size, and both. */
function typicalSteps(pool: ResolvedPool): { label: string; shape: StepShape }[] {
  const { maxNumSeqs, maxNumBatchedTokens } = pool.scheduler;
  const window = pool.cost.window;
  const sizes = [1, 8, 32, maxNumSeqs].filter(
    (n, i, all) => n <= maxNumSeqs && all.indexOf(n) === i,
  );
  const prompt = Math.min(CONTEXT, maxNumBatchedTokens);
  const k = pool.scheduler.numSpeculativeTokens;
  const step = (numDecodes: number, prefillTokens: number) =>
    withDrafts(stepOf(numDecodes, prefillTokens, window), pool.scheduler);
  const drafts = k > 0 ? ` verifying ${plural(k, 'draft')}` : '';
  return [
    ...sizes.map((n) => ({
      label: `${plural(n, 'decode')} at ${grouped(CONTEXT)} tokens${drafts}`,
      shape: step(n, 0),
    })),
    { label: `1 prompt of ${grouped(prompt)} tokens`, shape: step(0, prompt) },
    {
      label: `32 decodes and ${grouped(prompt)} prompt tokens`,
      shape: step(32, prompt),
    },
  ];
}

function stepOf(numDecodes: number, prefillTokens: number, window: number): StepShape {
  const numPrefills = prefillTokens > 0 ? 1 : 0;
  const inside = Math.min(prefillTokens, window);
  return {
    numDecodes,
    decodeContext: numDecodes * CONTEXT,
    decodeWindowContext: numDecodes * Math.min(CONTEXT, window),
    prefillTokens,
    numPrefills,
    prefillPairs: (prefillTokens * (prefillTokens + 1)) / 2,
    prefillWindowPairs:
      (inside * (inside + 1)) / 2 + (prefillTokens - inside) * (inside === 0 ? 0 : inside),
    prefillHistory: 0,
    numSampled: numDecodes + numPrefills,
  };
}
