/**
 * What pricing one step costs, in nanoseconds a call of `base` and `contextSlope`: the formulas, tables of
 * operators and of whole steps, each for pure decodes and for a step with prefill. The best of some rounds.
 * `tsx benchmarks/engine/step-cost.ts`
 */

import { loadPerfData } from '../../src/config/engines.js';
import { loadHardware } from '../../src/config/hardware.js';
import { loadModel } from '../../src/config/models.js';
import type { StepCost, StepShape } from '../../src/core/engine.js';
import { resolvePool } from '../../src/core/perf/resolve.js';
import { stepSeconds } from '../../src/core/perf/step-cost.js';
import { generateTable } from '../../src/core/perf/table/generate-table.js';
import { shapeAt } from '../../src/core/perf/table/measured-steps.js';
import type { MeasuredPoint, PerfTable } from '../../src/core/perf/table/perf-table.js';
import { tabledPool } from '../../src/core/perf/table/tabled-pool.js';

const spec = { model: loadModel('qwen/Qwen3-8B'), hardware: loadHardware('H100') };
const pool = resolvePool(
  { ...spec, engine: 'vllm', numInstances: 1, options: {} },
  loadPerfData('vllm'),
);
const meta = {
  model: spec.model.name,
  hardware: spec.hardware.name,
  tensorParallelSize: 1,
  dtype: 'bfloat16',
  quantization: 'none',
  kvCacheDtype: 'auto',
  engine: 'vllm',
  source: 'a benchmark',
};

/** A full grid, as profilers measure it: every prompt with every number of decodes. */
function grid(): number[][] {
  const sizes = Array.from({ length: 8 }, (_, i) => 16 * 2 ** i);
  const decodes = [1, 4, 16, 64, 256].flatMap((n) =>
    [16, 256, 1024, 4096, 16_384].map((c) => [n, c]),
  );
  return [
    ...decodes.map(([n, c]) => [0, n!, 0, c!]),
    ...sizes.flatMap((p) =>
      [0, 1024, 8192].flatMap((h) => [[0, 0], ...decodes].map(([n, c]) => [p, n!, h, c!])),
    ),
  ];
}

const operators = generateTable(pool.deployment, meta, {
  tokens: 8192,
  sequences: 256,
  context: 16_384,
});
const pointsBy = (seconds: (at: number[]) => number): MeasuredPoint[] =>
  grid().map((at) => ({ at, seconds: seconds(at) }));
const stepOf = (at: number[]): number => stepSeconds(pool.cost, shapeAt(at));
const withGrid: PerfTable = {
  meta,
  operators: new Map([...operators.operators, ['attention', pointsBy((at) => stepOf(at) / 100)]]),
};
const steps: PerfTable = { meta, operators: new Map([['step', pointsBy(stepOf)]]) };

const costs: readonly [name: string, cost: StepCost][] = [
  ['formulas', pool.cost],
  ['table, attention apart', tabledPool(pool, operators, 'generated').cost],
  ['table, mixed attention', tabledPool(pool, withGrid, 'grid').cost],
  ['table of whole steps', tabledPool(pool, steps, 'steps').cost],
];

const CALLS = 500_000;
const ROUNDS = 7;
const draw = (seed: number): number => ((seed * 2_654_435_761) >>> 0) / 2 ** 32;
const shapesOf = (prefill: boolean): StepShape[] =>
  Array.from({ length: 1024 }, (_, i) =>
    shapeAt([
      prefill ? 1 + Math.floor(2000 * draw(i + 1)) : 0,
      1 + Math.floor(255 * draw(i + 7001)),
      prefill ? Math.floor(6000 * draw(i + 14_001)) : 0,
      1 + Math.floor(12_000 * draw(i + 21_001)),
    ]),
  );

function nsPerCall(cost: StepCost, shapes: readonly StepShape[]): number {
  const price = (calls: number): number => {
    let ticks = 0;
    for (let i = 0; i < calls; i++) {
      const shape = shapes[i & 1023]!;
      ticks += cost.base(shape) + cost.contextSlope(shape);
    }
    return ticks;
  };
  price(CALLS / 4);
  const rounds = Array.from({ length: ROUNDS }, () => {
    const beganAt = performance.now();
    if (!(price(CALLS) > 0)) throw new Error('steps cost something');
    return ((performance.now() - beganAt) * 1e6) / CALLS;
  });
  return Math.min(...rounds);
}

const [decodes, mixed] = [shapesOf(false), shapesOf(true)];
console.log('step cost'.padEnd(26), 'decodes, ns'.padStart(12), 'with prefill, ns'.padStart(18));
for (const [name, cost] of costs) {
  const [a, b] = [nsPerCall(cost, decodes), nsPerCall(cost, mixed)];
  console.log(name.padEnd(26), a.toFixed(0).padStart(12), b.toFixed(0).padStart(18));
}
