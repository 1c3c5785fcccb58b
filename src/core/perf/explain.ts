/**
 * A step taken apart: operator by operator, what it computes and moves, what bounds it, and which
 * constants its time came from. The rows add up to the step.
 */

import type { StepCost, StepShape } from '../engine.js';
import { numAttentionLayers } from '../model/model-shape.js';
import { NS_PER_S, type Seconds, TICKS_PER_NS } from '../units.js';
import { attentionCost, decodeAttention, queriesOf } from './attention.js';
import type { Drafting } from './drafting.js';
import { hostSecondsOf, tokensComputed } from './engine-profile.js';
import { draftingRows } from './explain-drafting.js';
import { type Deployment, headOperators, layerOperators, stageOperators } from './layers.js';
import { loraOperators } from './lora.js';
import { stepSeconds } from './step-cost.js';
import { operatorRow, plain, type StepRow } from './step-row.js';
import type { MeasuredAttention } from './table/measured-attention.js';
import type { MeasuredSteps } from './table/measured-steps.js';
import type { TableInUse } from './table/tabled-pool.js';

export type { StepRow } from './step-row.js';

export interface StepExplanation {
  readonly rows: readonly StepRow[];
  readonly seconds: Seconds;
  /** What most of the time goes to. */
  readonly bottleneck: StepRow;
}

/** What is explained: a `ResolvedPool`, or its deployment and cost. */
export interface Explainable {
  readonly deployment: Deployment;
  readonly cost: StepCost;
  readonly drafting?: Drafting;
  readonly table?: TableInUse;
}

/** With pipeline stages: what a batch costs in all of them together. */
export function explainStep(resolved: Explainable, shape: StepShape): StepExplanation {
  const { deployment: d, drafting, cost, table } = resolved;
  const all: StepRow[] = [
    ...(table?.steps ? [wholeStep(table.steps, shape)] : partRows(d, shape, table)),
    ...loraOperators(d, shape.loraTokens ?? 0, shape.numAdapters ?? 0).map((op) =>
      operatorRow(d, op),
    ),
    ...(drafting ? draftingRows(drafting, shape, cost.window) : []),
  ].filter((row) => row.seconds > 0);
  const seconds = stepSeconds(cost, shape);
  const rest = seconds - all.reduce((sum, row) => sum + row.seconds, 0);
  if (rest > 1e-3 * seconds)
    all.push(
      plain('launching layer by layer (dispatch floor)', d.model.numLayers, rest, 'host', [
        'dispatch_s_per_layer',
        ...(d.model.moe ? ['expert_dispatch'] : []),
        ...(d.model.mla ? ['latent_dispatch'] : []),
      ]),
    );
  const bottleneck = all.reduce((a, b) => (b.seconds > a.seconds ? b : a));
  return { rows: all, seconds, bottleneck };
}

/** Operators, attention and host. */
function partRows(d: Deployment, shape: StepShape, table: TableInUse | undefined): StepRow[] {
  const drafts = shape.draftTokens ?? 0;
  const tokens = tokensComputed(d.engine, shape);
  const sampled = shape.numSampled + drafts;
  const layers =
    table?.operators.layers(tokens, shape.otherTokens) ??
    layerOperators(d, tokens, shape.otherTokens);
  const head = table?.operators.head(sampled) ?? headOperators(d, sampled);
  return [
    ...[...layers, ...stageOperators(d, tokens), ...head].map((op) => operatorRow(d, op)),
    ...(table?.attention
      ? [measuredAttention(d, table.attention, shape)]
      : attentionRows(d, shape)),
    ...hostRows(d, shape),
  ];
}

/** A table of whole steps has nothing to take apart. */
function wholeStep(steps: MeasuredSteps, shape: StepShape): StepRow {
  const seconds = stepSeconds(steps, shape);
  const source = steps.covers(shape) ? 'measured' : 'extrapolated';
  return { ...plain('whole step', 1, seconds, 'host', []), source };
}

function measuredAttention(d: Deployment, table: MeasuredAttention, shape: StepShape): StepRow {
  const { work } = attentionCost(d);
  const flop = shape.prefillPairs * work.flopPerPair;
  const bytes = (shape.decodeContext + shape.prefillHistory) * work.kvBytesPerToken;
  const compute = flop / d.precision.plain.peak;
  const memory = bytes / d.gpu.memoryBytesPerS;
  // Pure decodes as the run has them: linear between the measured contexts.
  const alone = table.decodeBase(shape) + table.contextSlope(shape) * shape.decodeContext;
  const seconds =
    shape.prefillTokens > 0 ? table.seconds(shape) : alone / (TICKS_PER_NS * NS_PER_S);
  return {
    ...plain('attention', numAttentionLayers(d.model), seconds, 'memory', []),
    bound: compute > memory ? 'compute' : 'memory',
    flop,
    bytes,
    efficiency: Math.max(compute, memory) / seconds,
    source: table.covers(shape) ? 'measured' : 'extrapolated',
  };
}

function attentionRows(d: Deployment, shape: StepShape): StepRow[] {
  const a = attentionCost(d);
  const perContext = decodeAttention(a, shape.numDecodes, queriesOf(shape));
  const layers = numAttentionLayers(d.model);
  const { work } = a;
  const peak = d.precision.plain.peak;
  const rows: StepRow[] = [
    plain('attention launches', layers, a.step, 'latency', ['attention_seconds']),
  ];
  if (shape.numDecodes > 0) {
    const bytes =
      shape.decodeContext * work.kvBytesPerToken +
      shape.decodeWindowContext * work.windowKvBytesPerToken +
      shape.numDecodes * work.stateBytes;
    const seconds =
      shape.decodeContext * perContext.context +
      shape.decodeWindowContext * perContext.window +
      shape.numDecodes * a.sequence;
    const whole = shape.numDecodes > a.unsplitAbove;
    const name = whole ? 'decode attention (contexts not split)' : 'decode attention';
    rows.push({
      ...plain(name, layers, seconds, 'memory', [
        whole ? 'unsplit_kv_memory' : 'kv_memory',
        'attention_sequence_seconds',
        ...(d.precision.unpacksKv ? ['kv_unpack_flop'] : []),
      ]),
      bytes,
      efficiency: bytes / d.gpu.memoryBytesPerS / seconds,
    });
  }
  if (shape.prefillTokens > 0) {
    const flop =
      shape.prefillPairs * work.flopPerPair + shape.prefillWindowPairs * work.windowFlopPerPair;
    const bytes = shape.prefillHistory * work.kvBytesPerToken;
    const seconds =
      shape.prefillTokens * a.token +
      shape.prefillPairs * a.pair +
      shape.prefillWindowPairs * a.windowPair +
      shape.prefillHistory * a.history;
    rows.push({
      ...plain('prefill attention', layers, seconds, 'compute', [
        'attention_compute',
        'attention_diagonal_pairs',
      ]),
      flop,
      bytes,
      efficiency: flop / peak / seconds,
    });
  }
  return rows;
}

const hostRows = ({ engine, layout }: Deployment, shape: StepShape): StepRow[] => [
  plain('scheduling and launch (CPU)', 1, hostSecondsOf(engine, layout), 'host', [
    'host_s_per_step',
    ...(engine.hostSecondsPerWorker > 0 ? ['host_s_per_worker'] : []),
  ]),
  plain(
    'per sequence (CPU)',
    shape.numSampled,
    engine.hostSecondsPerSequence * shape.numSampled,
    'host',
    ['host_s_per_sequence'],
  ),
  ...(engine.hostSecondsPerContextToken > 0
    ? [
        plain(
          'listing KV blocks (CPU)',
          shape.decodeContext,
          engine.hostSecondsPerContextToken * shape.decodeContext,
          'host',
          ['host_s_per_context_token'],
        ),
      ]
    : []),
];
