/**
 * A step taken apart: operator by operator, what it computes and moves, what bounds it, and which
 * constants its time came from. The rows add up to the step.
 */

import type { StepCost, StepShape } from '../engine.js';
import { numAttentionLayers } from '../model/model-shape.js';
import type { Seconds } from '../units.js';
import { attentionCost, decodeAttention, queriesOf } from './attention.js';
import type { Drafting } from './drafting.js';
import { draftingRows } from './explain-drafting.js';
import { type Deployment, headOperators, layerOperators, stageOperators } from './layers.js';
import { loraOperators } from './lora.js';
import { stepSeconds } from './step-cost.js';
import { operatorRow, plain, type StepRow } from './step-row.js';

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
}

/** With pipeline stages: what a batch costs in all of them together. */
export function explainStep(resolved: Explainable, shape: StepShape): StepExplanation {
  const d = resolved.deployment;
  const drafts = shape.draftTokens ?? 0;
  const tokens = shape.prefillTokens + shape.numDecodes + drafts;
  const layers = layerOperators(d, tokens, shape.otherTokens);
  const head = headOperators(d, shape.numSampled + drafts);
  const { drafting, cost } = resolved;
  const adapters = loraOperators(d, shape.loraTokens ?? 0, shape.numAdapters ?? 0);
  const all: StepRow[] = [
    ...[...layers, ...adapters, ...stageOperators(d, tokens), ...head].map((op) =>
      operatorRow(d, op),
    ),
    ...attentionRows(d, shape),
    ...(drafting ? draftingRows(drafting, shape, cost.window) : []),
    ...hostRows(d, shape),
  ].filter((row) => row.seconds > 0);
  const seconds = stepSeconds(cost, shape);
  const rest = seconds - all.reduce((sum, row) => sum + row.seconds, 0);
  if (rest > 1e-3 * seconds)
    all.push(
      plain('launching layer by layer (dispatch floor)', d.model.numLayers, rest, 'host', [
        'dispatch_s_per_layer',
      ]),
    );
  const bottleneck = all.reduce((a, b) => (b.seconds > a.seconds ? b : a));
  return { rows: all, seconds, bottleneck };
}

function attentionRows(d: Deployment, shape: StepShape): StepRow[] {
  const a = attentionCost(d);
  const perContext = decodeAttention(a, queriesOf(shape));
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
    rows.push({
      ...plain('decode attention', layers, seconds, 'memory', [
        'kv_memory',
        'attention_sequence_seconds',
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

const hostRows = ({ engine }: Deployment, shape: StepShape): StepRow[] => [
  plain('scheduling and launch (CPU)', 1, engine.hostSecondsPerStep, 'host', ['host_s_per_step']),
  plain(
    'per sequence (CPU)',
    shape.numSampled,
    engine.hostSecondsPerSequence * shape.numSampled,
    'host',
    ['host_s_per_sequence'],
  ),
];
