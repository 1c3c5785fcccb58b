/** Measured tables as step costs: exact at their points, bent like the model between, never faster than physics. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadPerfData } from '../../../../src/config/engines.js';
import type { StepShape } from '../../../../src/core/engine.js';
import { calibratedPool, IDENTITY } from '../../../../src/core/perf/calibration.js';
import { explainStep } from '../../../../src/core/perf/explain.js';
import type { Deployment } from '../../../../src/core/perf/layers.js';
import { type ResolvedPool, resolvePool } from '../../../../src/core/perf/resolve.js';
import { stepSeconds } from '../../../../src/core/perf/step-cost.js';
import { checkTable } from '../../../../src/core/perf/table/check-table.js';
import { levelled } from '../../../../src/core/perf/table/decode-profiles.js';
import { generateTable } from '../../../../src/core/perf/table/generate-table.js';
import { shapeAt } from '../../../../src/core/perf/table/measured-steps.js';
import type {
  MeasuredPoint,
  OperatorId,
  PerfTable,
  PerfTableMeta,
} from '../../../../src/core/perf/table/perf-table.js';
import { RatioGrid } from '../../../../src/core/perf/table/ratio-grid.js';
import { tabledPool } from '../../../../src/core/perf/table/tabled-pool.js';
import { Simulation } from '../../../../src/core/simulate.js';
import type { Tracer } from '../../../../src/core/trace/tracer.js';
import { buildLoad } from '../../../../src/core/workload/load.js';
import { batch, type Case, physicalFloor, pool } from '../support.js';

const CASES: readonly Case[] = [
  { model: 'qwen/Qwen3-8B', hardware: 'H100' },
  {
    model: 'meta-llama/Llama-3.1-70B-Instruct',
    hardware: 'H100',
    options: { tensorParallelSize: 4 },
  },
  {
    model: 'mistralai/Mixtral-8x7B-Instruct-v0.1',
    hardware: 'A100',
    options: { tensorParallelSize: 2 },
  },
  { model: 'openai/gpt-oss-20b', hardware: 'H100' },
  {
    model: 'qwen/Qwen3-8B',
    hardware: 'A100',
    engine: 'vllm-0.6',
    options: { pipelineParallelSize: 2 },
  },
];
const POOLS = CASES.map(pool);
/** Experts are computed for the tokens of both ranks. */
const RANKS = pool({
  model: 'mistralai/Mixtral-8x7B-Instruct-v0.1',
  hardware: 'H100',
  options: { tensorParallelSize: 2, dataParallelSize: 2 },
});
const QWEN = POOLS[0]!;

const metaOf = ({ spec, deployment }: ResolvedPool): PerfTableMeta => ({
  model: spec.model.name,
  hardware: spec.hardware.name,
  tensorParallelSize: deployment.layout.tp,
  dtype: deployment.precision.dtype,
  quantization: deployment.precision.quantization ?? 'none',
  kvCacheDtype: 'auto',
  engine: 'vllm 1.0',
  source: 'a test',
});

const EXTENT = { tokens: 8192, sequences: 256, context: 32_768 };
const generatedFor = (p: ResolvedPool, d: Deployment = p.deployment): PerfTable =>
  generateTable(d, metaOf(p), EXTENT);

const tableOf = (
  operators: Partial<Record<OperatorId, readonly (readonly number[])[]>>,
): PerfTable => ({
  meta: metaOf(QWEN),
  operators: new Map(
    Object.entries(operators).map(([id, rows]): [OperatorId, MeasuredPoint[]] => [
      id as OperatorId,
      rows.map((row) => ({ at: row.slice(0, -1), seconds: row.at(-1)! / 1e6 })),
    ]),
  ),
});
const withTable = (operators: Parameters<typeof tableOf>[0]): ResolvedPool =>
  tabledPool(QWEN, tableOf(operators), 't.csv');

const windowOf = (p: ResolvedPool): number => p.cost.window;
const shapes = fc.record({
  numDecodes: fc.oneof(fc.integer({ min: 0, max: 16 }), fc.integer({ min: 0, max: 256 })),
  context: fc.integer({ min: 1, max: 32_768 }),
  prefill: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 8192 })),
  history: fc.integer({ min: 0, max: 16_384 }),
});
const someShapes = shapes.filter((b) => b.numDecodes + b.prefill > 0);
const RUNS = { numRuns: 800, seed: 11 };

describe('RatioGrid', () => {
  const grid = new RatioGrid(
    [
      { at: [1, 10], seconds: 20 },
      { at: [1, 20], seconds: 80 },
      { at: [3, 10], seconds: 60 },
    ],
    ([, y]) => y!,
  );

  const ratio = (at: readonly number[]): number => grid.ratio(Float64Array.from(at));
  const covers = (at: readonly number[]): boolean => grid.covers(Float64Array.from(at));

  it('has the measured ratio at each point, and is linear between', () => {
    expect([ratio([1, 10]), ratio([1, 20]), ratio([3, 10])]).toEqual([2, 4, 6]);
    expect(ratio([1, 15])).toBe(3);
    expect([ratio([2, 10]), covers([2, 10])]).toEqual([4, true]);
  });

  it('keeps the ratio of its edge, and says that it is beyond', () => {
    expect([ratio([1, 99]), covers([1, 99])]).toEqual([4, false]);
    expect([ratio([0, 5]), covers([0, 5])]).toEqual([2, false]);
  });

  it('takes what a branch lacks from its nearest points', () => {
    expect([ratio([2, 20]), covers([2, 20])]).toEqual([5, false]);
  });

  it('knows where it may bend', () => {
    expect([grid.knots([1]), grid.knots([2]), grid.knots([9])]).toEqual([[10, 20], [10, 20], [10]]);
  });

  it('says of batches what its points say one axis after the other: to the last bit if none is missing', () => {
    const axis = fc.oneof(fc.constantFrom(0, 1, 16, 1024), fc.integer({ min: 0, max: 2000 }));
    const eighths = fc.nat({ max: 20_000 }).map((n) => n / 8);
    const axes = fc.array(fc.uniqueArray(axis, { minLength: 1, maxLength: 5 }), {
      minLength: 4,
      maxLength: 4,
    });
    const asked = fc.array(eighths, {
      minLength: 4,
      maxLength: 4,
    });
    fc.assert(
      fc.property(
        axes,
        fc.infiniteStream(fc.double({ min: 0.1, max: 9, noNaN: true })),
        fc.array(asked),
        fc.array(fc.nat(), { maxLength: 4 }),
        (values, seconds, places, missing) => {
          const all = combinations(values).map(
            (at): MeasuredPoint => ({ at, seconds: seconds.next().value }),
          );
          const gone = new Set(missing.map((i) => i % all.length));
          const points = all.filter((_, i) => !gone.has(i));
          if (points.length === 0) return;
          const grid = new RatioGrid(points, ([a, b]) => 1 + a! + b!);
          const measured = points.map(({ at }) => at);
          // Between points, and at values of some of the axes.
          const mixed = places.map((x, i) =>
            x.map((v, j) => ((i + j) % 3 ? v : measured[i % measured.length]![j]!)),
          );
          const off = (at: readonly number[]): number =>
            Math.abs(grid.ratio(Float64Array.from(at)) / along(points, at) - 1);
          for (const at of measured) expect(off(at)).toBe(0);
          const rounding = gone.size === 0 ? 0 : 1e-14;
          for (const at of [...places, ...mixed]) expect(off(at)).toBeLessThanOrEqual(rounding);
        },
      ),
      { numRuns: 500, seed: 3 },
    );
  });

  /** The rule as it is written: of one axis after the other, the nearest values that were measured. */
  function along(points: readonly MeasuredPoint[], at: readonly number[], axis = 0): number {
    const [first] = points;
    if (axis === at.length) return first!.seconds / (1 + first!.at[0]! + first!.at[1]!);
    const values = [...new Set(points.map((point) => point.at[axis]!))].sort((a, b) => a - b);
    const ratio = (value: number): number =>
      along(
        points.filter((point) => point.at[axis] === value),
        at,
        axis + 1,
      );
    const x = Math.min(Math.max(at[axis]!, values[0]!), values.at(-1)!);
    const below = values.findLast((value) => value <= x)!;
    if (below === x) return ratio(x);
    const above = values.find((value) => value > x)!;
    const low = ratio(below);
    return low + ((x - below) / (above - below)) * (ratio(above) - low);
  }

  const combinations = (values: readonly (readonly number[])[]): number[][] =>
    values.reduce<number[][]>(
      (all, next) => all.flatMap((begun) => next.map((value) => [...begun, value])),
      [[]],
    );
});

describe('levelled', () => {
  it('shares the mean among neighbours that fall, and changes nothing else', () => {
    expect(levelled([1, 4, 2, 3, 5])).toEqual([1, 3, 3, 3, 5]);
    expect(levelled([1, 2, 2, 7])).toEqual([1, 2, 2, 7]);
  });
});

describe('a measured step', () => {
  it('is the measured time of each operator, times how often it runs', () => {
    const rows = explainStep(
      withTable({
        qkv_projection: [
          [1, 30],
          [64, 40],
        ],
        lm_head: [[64, 700]],
      }),
      {
        ...batch({ numDecodes: 64, context: 1 }),
      },
    ).rows;
    const qkv = rows.find(({ name }) => name === 'QKV projection')!;
    const head = rows.find(({ name }) => name === 'LM head')!;
    expect(qkv.source).toBe('measured');
    expect(qkv.seconds).toBeCloseTo(36 * 40e-6, 12);
    expect(head.seconds).toBeCloseTo(700e-6, 12);
    expect(rows.find(({ name }) => name === 'down projection')!.source).toBeUndefined();
  });

  it('has rows that add up to it', () => {
    const rows = {
      qkv_projection: [
        [1, 30],
        [640, 99],
      ],
      elementwise: [[1, 20]],
      embedding: [[1, 5]],
    };
    fc.assert(
      fc.property(someShapes, (b) => {
        const measured = withTable(rows);
        const { rows: parts, seconds } = explainStep(measured, batch(b));
        const sum = parts.reduce((all, row) => all + row.seconds, 0);
        expect(Math.abs(sum / seconds - 1)).toBeLessThan(5e-3);
      }),
      { numRuns: 200, seed: 5 },
    );
  });

  it('is linear in the context between measured contexts', () => {
    const attention = [
      [0, 8, 0, 1000, 100],
      [0, 8, 0, 2000, 300],
      [0, 8, 0, 4000, 400],
    ];
    const { cost } = withTable({ attention });
    const at = (context: number): number => stepSeconds(cost, batch({ numDecodes: 8, context }));
    expect((at(2000) - at(1000)) * 1e6).toBeCloseTo(36 * 200, 1);
    expect((at(1250) - at(1000)) * 1e6).toBeCloseTo(36 * 50, 1);
    expect((at(3000) - at(2000)) * 1e6).toBeCloseTo(36 * 50, 1);
  });

  it('ends runs where it bends', () => {
    const attention = [
      [0, 8, 0, 1000, 100],
      [0, 8, 0, 2000, 300],
    ];
    const { cost } = withTable({ attention });
    const alike = (context: number) => cost.stepsAlike!(batch({ numDecodes: 8, context }));
    expect([alike(999), alike(1000), alike(1990), alike(2000)]).toEqual([1, 1000, 10, Infinity]);
  });

  it('scales one prompt to several by what the model says of them', () => {
    const attention = [[1024, 0, 0, 0, 200]];
    const two: StepShape = { ...batch({ prefill: 1024 }), numPrefills: 2, prefillPairs: 512 * 513 };
    const { cost } = withTable({ attention });
    expect(stepSeconds(cost, two)).toBeLessThan(stepSeconds(cost, batch({ prefill: 1024 })));
  });

  it('is the whole measured step where steps were measured', () => {
    const measured = withTable({
      step: [
        [0, 32, 0, 1024, 11_000],
        [512, 32, 0, 1024, 30_000],
      ],
    });
    const ms = (shape: StepShape): number => stepSeconds(measured.cost, shape) * 1e3;
    expect(ms(shapeAt([0, 32, 0, 1024]))).toBeCloseTo(11, 6);
    expect(ms(shapeAt([512, 32, 0, 1024]))).toBeCloseTo(30, 6);
    expect(explainStep(measured, shapeAt([0, 32, 0, 1024])).rows).toMatchObject([
      { name: 'whole step', source: 'measured' },
    ]);
    expect(explainStep(measured, shapeAt([0, 64, 0, 1024])).rows).toMatchObject([
      { source: 'extrapolated' },
    ]);
  });

  it('counts drafts of a whole measured step as the model does', () => {
    const measured = withTable({ step: [[0, 32, 0, 1024, 11_000]] });
    const plain = shapeAt([0, 32, 0, 1024]);
    const drafted = { ...plain, draftTokens: 96 };
    const more = (cost: ResolvedPool['cost']): number =>
      stepSeconds(cost, drafted) - stepSeconds(cost, plain);
    expect(more(measured.cost)).toBeCloseTo(more(QWEN.cost), 12);
  });
});

describe('drafts', () => {
  it('are verified and proposed beside measured times as beside the model', () => {
    const speculative = resolvePool(
      { ...QWEN.spec, speculation: { method: 'ngram', numSpeculativeTokens: 3 } },
      loadPerfData('vllm'),
    );
    const measured = tabledPool(speculative, generatedFor(speculative), 't.csv');
    for (const prefill of [0, 300]) {
      const shape = { ...batch({ numDecodes: 40, context: 3000, prefill }), draftTokens: 120 };
      const ratio = stepSeconds(measured.cost, shape) / stepSeconds(speculative.cost, shape);
      expect(Math.abs(ratio - 1)).toBeLessThan(1e-3);
      const { rows, seconds } = explainStep(measured, shape);
      const sum = rows.reduce((all, row) => all + row.seconds, 0);
      expect(Math.abs(sum / seconds - 1)).toBeLessThan(5e-3);
    }
  });
});

describe('the analytic model as a table', () => {
  it('costs what the model costs, within 0.1 %', () => {
    for (const p of [...POOLS, RANKS]) {
      const measured = tabledPool(p, generatedFor(p), 't.csv');
      fc.assert(
        fc.property(someShapes, (b) => {
          const shape = batch({ ...b, window: windowOf(p) });
          const ratio = stepSeconds(measured.cost, shape) / stepSeconds(p.cost, shape);
          expect(Math.abs(ratio - 1)).toBeLessThan(1e-3);
        }),
        { numRuns: 300, seed: 4 },
      );
    }
  });

  it('carries over what is slower than the model: half the bandwidth, 0.7 of the FLOP/s, within 1 %', () => {
    for (const p of POOLS.filter(({ cost }) => cost.window === Infinity)) {
      const change = { ...IDENTITY, bandwidthFactor: 0.5, flopFactor: 0.7 };
      const slower = calibratedPool(p, change);
      const measured = tabledPool(p, generatedFor(p, slower.deployment), 't.csv');
      fc.assert(
        fc.property(someShapes, (b) => {
          const ratio = stepSeconds(measured.cost, batch(b)) / stepSeconds(slower.cost, batch(b));
          expect(Math.abs(ratio - 1)).toBeLessThan(0.01);
        }),
        { numRuns: 300, seed: 4 },
      );
    }
  });
});

describe('laws of measured steps', () => {
  /** Each point off by a factor of its own, down to far below what is possible. */
  const noisy = (table: PerfTable, factors: readonly number[]): PerfTable => ({
    ...table,
    operators: new Map(
      [...table.operators].map(([id, points]) => [
        id,
        points.map(({ at, seconds }, i) => ({
          at,
          seconds: seconds * factors[i % factors.length]!,
        })),
      ]),
    ),
  });
  const factors = fc.array(fc.double({ min: 0.01, max: 3, noNaN: true }), {
    minLength: 3,
    maxLength: 17,
  });
  const pools = fc.constantFrom(...POOLS);
  const tables = new Map(POOLS.map((p) => [p, generatedFor(p)]));

  it('are never faster than FLOP over peak or bytes over bandwidth, whatever was measured', () => {
    fc.assert(
      fc.property(pools, factors, someShapes, (p, f, b) => {
        const { cost } = tabledPool(p, noisy(tables.get(p)!, f), 't.csv');
        const shape = batch({ ...b, window: windowOf(p) });
        expect(stepSeconds(cost, shape)).toBeGreaterThanOrEqual(
          0.999 * physicalFloor(p.deployment, shape),
        );
      }),
      { ...RUNS, numRuns: 300 },
    );
  });

  it('hold for whole measured steps too', () => {
    const points = [1, 16, 256].flatMap((n) => [16, 4096].map((c) => [0, n, 0, c]));
    const prompts = [
      [256, 0, 0, 0],
      [2048, 16, 512, 1024],
    ];
    fc.assert(
      fc.property(factors, someShapes, (f, b) => {
        const step = [...points, ...prompts].map((at, i) => [...at, 9000 * f[i % f.length]!]);
        const shape = batch(b);
        const { cost } = withTable({ step });
        expect(stepSeconds(cost, shape)).toBeGreaterThanOrEqual(
          0.999 * physicalFloor(QWEN.deployment, shape),
        );
      }),
      RUNS,
    );
  });

  it('price the steps of a run one by one as the run does, and never falling', () => {
    fc.assert(
      fc.property(
        factors,
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 40_000 }),
        (f, n, c) => {
          const { cost } = tabledPool(QWEN, noisy(tables.get(QWEN)!, f), 't.csv');
          const first = batch({ numDecodes: n, context: c });
          const steps = Math.min(500, cost.stepsAlike!(first));
          const [base, slope] = [cost.base(first), cost.contextSlope(first)];
          expect(slope).toBeGreaterThanOrEqual(0);
          for (const j of [0, 1, steps >> 1, steps - 1].filter((j) => j < steps)) {
            const later = { ...first, decodeContext: first.decodeContext + j * n };
            expect([cost.base(later), cost.contextSlope(later)]).toEqual([base, slope]);
          }
          expect([base, slope].every(Number.isSafeInteger)).toBe(true);
        },
      ),
      RUNS,
    );
  });
});

describe('a simulation with measured steps', () => {
  const attention = [1, 16, 256].flatMap((n) =>
    [16, 100, 1000, 5000].map((c) => [0, n, 0, c, 10 + n * c * 0.002]),
  );
  const { scheduler, cost } = withTable({
    attention,
    qkv_projection: [
      [1, 30],
      [2048, 400],
    ],
  });
  const load = {
    source: { kind: 'random', inputLen: 200, outputLen: 300, rangeRatio: 0.5, prefixLen: 0 },
    numPrompts: 200,
    requestRate: 20,
  } as const;
  const ends = (tracer: Tracer): string => {
    const times: string[] = [];
    const simulation = new Simulation({
      instances: [{ pool: 0, scheduler, cost }],
      router: 'round_robin',
      seed: 1,
      inputLatencyNs: 0,
      workload: buildLoad(load as Parameters<typeof buildLoad>[0], 1),
      tracers: [
        tracer,
        { requestFinish: ({ handle, endedAt }) => void times.push(`${handle} ${endedAt}`) },
      ],
      exact: false,
    });
    while (!simulation.advance(50));
    return times.join('\n');
  };

  it('repeats itself, and runs end as their steps do one by one', () => {
    const inRuns = ends({});
    expect(inRuns.split('\n')).toHaveLength(200);
    expect(ends({})).toBe(inRuns);
    expect(ends({ step: () => {} })).toBe(inRuns);
  });
});

describe('a table in use', () => {
  it('says what is measured, what is analytic, and where it ends', () => {
    const { level, notes, expectedErrors } = withTable({
      qkv_projection: [
        [1, 30],
        [640, 99],
      ],
    });
    expect([level, expectedErrors]).toEqual(['table', []]);
    expect(notes.join('\n')).toMatch(
      /measured \(qwen\/Qwen3-8B on H100, vllm 1\.0; 2 points\): qkv projection/,
    );
    expect(notes.join('\n')).toMatch(/from the analytic model: .*down projection.*attention, host/);
    expect(notes.join('\n')).toMatch(/extrapolated .*tokens above 640/);
  });

  it.each([
    ['model', { model: 'qwen/Qwen3-32B' }, /t\.csv: model: expected a table of qwen\/Qwen3-8B/],
    ['hardware', { hardware: 'A100' }, /t\.csv: hardware: expected a table of H100/],
    [
      'size',
      { tensorParallelSize: 2 },
      /tensor_parallel_size: .* got 2\nIt holds qwen\/Qwen3-8B on 2 × H100/,
    ],
    ['precision', { quantization: 'fp8' }, /quantization: expected a table of none/],
    ['KV', { kvCacheDtype: 'fp8' }, /kv_cache_dtype: expected a table of auto/],
  ])('is refused for another %s, saying what it holds', (_, change, message) => {
    const table = tableOf({ qkv_projection: [[1, 30]] });
    expect(() =>
      tabledPool(QWEN, { ...table, meta: { ...table.meta, ...change } }, 't.csv'),
    ).toThrow(message);
  });

  it('is refused when nothing in it is of use', () => {
    expect(() => withTable({ all_reduce: [[1024, 30]] })).toThrow(
      /t\.csv: expected an operator .* got "all_reduce"/,
    );
  });

  it('leaves attention of windows and experts over ranks to the model', () => {
    const p = POOLS[3]!;
    const { notes } = tabledPool(
      p,
      {
        meta: metaOf(p),
        operators: tableOf({ attention: [[0, 1, 0, 16, 10]], qkv_projection: [[1, 30]] }).operators,
      },
      't.csv',
    );
    expect(notes.join('\n')).toMatch(/not usable for this model or layout: attention/);
  });
});

describe('the check of a table', () => {
  it('counts falls and points that cannot be, and compares with the model', () => {
    const { operators } = tableOf({
      qkv_projection: [
        [1, 30],
        [2, 20],
        [4, 1],
      ],
      attention: [
        [0, 1, 0, 16, 10],
        [0, 2, 0, 16, 9],
        [0, 2, 0, 32, 12],
      ],
    });
    const [qkv, attention] = checkTable(QWEN.deployment, { meta: metaOf(QWEN), operators });
    expect(qkv).toMatchObject({
      numPoints: 3,
      numNeighbours: 2,
      numFalls: 2,
      worstFallPercent: 95,
    });
    expect(qkv).toMatchObject({ numFasterThanPhysics: 1, used: true });
    expect(attention).toMatchObject({ numNeighbours: 2, numFalls: 1, numFasterThanPhysics: 0 });
    expect(attention!.ranges[1]).toEqual({ axis: 'num_decodes', low: 1, high: 2, count: 2 });
  });

  it('finds no difference in the model itself', () => {
    for (const check of checkTable(QWEN.deployment, generatedFor(QWEN))) {
      expect(check.difference!.p90Percent).toBeLessThan(1e-9);
      expect([check.numFalls, check.numFasterThanPhysics]).toEqual([0, 0]);
    }
  });
});
