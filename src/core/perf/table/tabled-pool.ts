/**
 * A pool whose steps take measured times: what the table has, and the analytic model for the rest.
 *
 * A table belongs to one model on one kind of GPU at one tensor-parallel size; another is refused. What
 * cannot be used for a layout (attention of layers with a window, experts spread over ranks) is left to
 * the analytic model, and the notes say so.
 */

import { ConfigError } from '../../errors.js';
import type { ModelShape } from '../../model/model-shape.js';
import type { Deployment } from '../layers.js';
import { schemeName } from '../precision.js';
import type { ResolvedPool } from '../resolve.js';
import { withAdditions } from '../speculation.js';
import { AnalyticStepCost } from '../step-cost.js';
import { MeasuredAttention } from './measured-attention.js';
import { hasOperator, MeasuredOperators } from './measured-operators.js';
import { MeasuredSteps } from './measured-steps.js';
import {
  axesOf,
  numPoints,
  OPERATOR_IDS,
  type OperatorId,
  type PerfTable,
  type PerfTableMeta,
  rangeOf,
} from './perf-table.js';

/** A table in use: either whole steps, or operators and perhaps attention. */
export interface TableInUse {
  readonly meta: PerfTableMeta;
  readonly operators: MeasuredOperators;
  readonly attention: MeasuredAttention | undefined;
  readonly steps: MeasuredSteps | undefined;
  /** Of the table, in the order of `OPERATORS`. */
  readonly used: readonly OperatorId[];
  readonly unused: readonly OperatorId[];
}

/**
 * @param where how the user named the table, for errors
 * @throws {ConfigError} for a table of something else
 */
export function tabledPool(pool: ResolvedPool, table: PerfTable, where: string): ResolvedPool {
  checkBelongs(pool, table.meta, where);
  const inUse = tableInUse(pool.deployment, table);
  if (inUse.used.length === 0) {
    const held = [...table.operators.keys()].join(', ');
    throw new ConfigError(where, 'an operator that this model and layout have', held);
  }
  const { operators, attention, steps } = inUse;
  const parts = { layers: operators.layerTable, head: operators.headTable, attention };
  return {
    ...pool,
    cost: withAdditions(
      steps ?? new AnalyticStepCost(pool.deployment, parts),
      pool.deployment,
      pool.drafting,
    ),
    table: inUse,
    level: 'table',
    // They were measured for the analytic model.
    expectedErrors: [],
    notes: [...pool.notes, ...tableNotes(pool, table, inUse)],
  };
}

export function tableInUse(d: Deployment, table: PerfTable): TableInUse {
  const held = OPERATOR_IDS.filter((id) => table.operators.has(id));
  const used = held.filter((id) => applies(d, id));
  const operators = new Map(used.map((id) => [id, table.operators.get(id)!]));
  const attention = operators.get('attention');
  const steps = operators.get('step');
  return {
    meta: table.meta,
    operators: new MeasuredOperators(d, operators),
    attention: attention && new MeasuredAttention(d, attention),
    steps: steps && new MeasuredSteps(d, steps),
    used,
    unused: held.filter((id) => !used.includes(id)),
  };
}

/** Whether times of an operator can be used for this model and layout. */
export function applies(d: Deployment, id: OperatorId): boolean {
  const { tp, pp, dp, expertParallel } = d.layout;
  switch (id) {
    case 'step':
      return pp === 1 && dp === 1 && attendsToAll(d.model);
    case 'attention':
      return attendsToAll(d.model);
    case 'routed_experts':
      return d.model.moe !== undefined && dp === 1 && !expertParallel;
    case 'all_reduce':
      return tp > 1;
    case 'embedding':
      return true;
    default:
      return hasOperator(d, id);
  }
}

/** Every layer attends to the whole context: what one table of attention describes. */
const attendsToAll = (m: ModelShape): boolean => !m.slidingWindow && !m.linearAttention;

function checkBelongs(pool: ResolvedPool, meta: PerfTableMeta, where: string): void {
  const { model, hardware } = pool.spec;
  const { layout, precision } = pool.deployment;
  const kvCacheDtype = precision.bytesPerKv < 2 ? 'fp8' : 'auto';
  const names = [hardware.name, ...hardware.aliases].map(normal);
  const checks: readonly [
    field: string,
    asked: string | number,
    holds: string | number,
    ok?: boolean,
  ][] = [
    ['model', model.name, meta.model, normal(model.name) === normal(meta.model)],
    ['hardware', hardware.name, meta.hardware, names.includes(normal(meta.hardware))],
    ['tensor_parallel_size', layout.tp, meta.tensorParallelSize],
    [
      'quantization',
      precision.quantization ?? 'none',
      meta.quantization,
      precision.quantization === schemeName(model, meta.quantization),
    ],
    ['kv_cache_dtype', kvCacheDtype, meta.kvCacheDtype],
  ];
  for (const [field, asked, holds, ok = asked === holds] of checks) {
    if (ok) continue;
    throw new ConfigError(
      `${where}: ${field}`,
      `a table of ${asked}, as this pool has it`,
      holds,
      `It holds ${labelOf(meta)}.`,
    );
  }
}

/** `qwen/Qwen3-8B on 2 × H100, vllm 0.19.0`. */
export function labelOf(meta: PerfTableMeta): string {
  const gpus = meta.tensorParallelSize === 1 ? '' : `${meta.tensorParallelSize} × `;
  const scheme = meta.quantization === 'none' ? '' : `, ${meta.quantization}`;
  const kv = meta.kvCacheDtype === 'auto' ? '' : `, ${meta.kvCacheDtype} KV`;
  return `${meta.model} on ${gpus}${meta.hardware}${scheme}${kv}, ${meta.engine}`;
}

const normal = (name: string): string => name.toLowerCase().replace(/[^a-z0-9/]/g, '');

function tableNotes(pool: ResolvedPool, table: PerfTable, inUse: TableInUse): string[] {
  const { used, unused, steps, attention } = inUse;
  const notes = [
    `measured (${labelOf(table.meta)}; ${numPoints(table)} points): ${used.map(words).join(', ')}`,
  ];
  if (!steps) {
    const rest = inUse.operators.layers(1).concat(inUse.operators.head(1));
    const names = rest.filter(({ source }) => source === undefined).map(({ name }) => name);
    if (!attention) names.push('attention');
    notes.push(`from the analytic model: ${[...new Set(names), 'host'].join(', ')}`);
  }
  if (unused.length > 0)
    notes.push(
      `in the table but not usable for this model or layout: ${unused.map(words).join(', ')}`,
    );
  const beyond = beyondNote(pool, table, used);
  if (beyond) notes.push(beyond);
  return notes;
}

const words = (id: OperatorId): string => id.replaceAll('_', ' ');

/** Which limits of the pool lie above what was measured: there the analytic shape is scaled. */
function beyondNote(
  { scheduler }: ResolvedPool,
  table: PerfTable,
  used: readonly OperatorId[],
): string | undefined {
  const limits: Readonly<Record<string, number>> = {
    tokens: scheduler.maxNumScheduledTokens,
    sequences: scheduler.maxNumSeqs,
    prefill_tokens: scheduler.maxNumScheduledTokens,
    num_decodes: scheduler.maxNumSeqs,
    decode_context: scheduler.maxModelLen,
  };
  const lowest = new Map<string, number>();
  for (const id of used) {
    axesOf(id).forEach((axis, i) => {
      const [, high] = rangeOf(table.operators.get(id)!, i);
      if (limits[axis] !== undefined && high < limits[axis]) {
        lowest.set(axis, Math.min(high, lowest.get(axis) ?? high));
      }
    });
  }
  if (lowest.size === 0) return undefined;
  const edges = [...lowest].map(([axis, high]) => `${axis.replaceAll('_', ' ')} above ${high}`);
  return `extrapolated by the analytic shape, scaled to meet the table: ${edges.join(', ')}`;
}
