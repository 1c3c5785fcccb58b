/**
 * The rows of proposing drafts: the operators of all passes, added up by name.
 */

import type { StepShape } from '../engine.js';
import { attentionCost } from './attention.js';
import { type Drafter, type Drafting, draftHeadOperators, passOperators } from './drafting.js';
import { firstPassTokens, LookUpCost, numDrafted, PassesCost } from './speculative-cost.js';
import { operatorRow, plain, type StepRow } from './step-row.js';

export function draftingRows(drafting: Drafting, shape: StepShape, window: number): StepRow[] {
  const { drafter, numDrafts } = drafting;
  if (!drafter) {
    const cost = new LookUpCost();
    const seconds = cost.base(shape) + cost.contextSlope() * shape.decodeContext;
    return [plain('looking drafts up (CPU)', numDrafted(shape), seconds, 'host', [])];
  }
  const attention = new PassesCost(drafter, numDrafts, window).attentionSeconds(shape);
  const bytes = numDrafts * shape.decodeContext * kvBytes(drafter);
  return [
    ...passRows(drafter, numDrafts, shape),
    {
      ...plain(
        'draft: attention',
        numDrafts * drafter.deployment.model.numLayers,
        attention,
        'memory',
        ['kv_memory', 'attention_seconds'],
      ),
      bytes,
      efficiency: bytes / drafter.deployment.gpu.memoryBytesPerS / attention,
    },
  ];
}

function passRows(drafter: Drafter, numPasses: number, shape: StepShape): StepRow[] {
  const { deployment } = drafter;
  const sequences = numDrafted(shape);
  const passes = [
    ...passOperators(drafter, firstPassTokens(drafter, shape)),
    ...Array.from({ length: numPasses - 1 }, () => passOperators(drafter, sequences)).flat(),
    ...Array.from({ length: numPasses }, () => draftHeadOperators(drafter, sequences)).flat(),
  ];
  const byName = new Map<string, StepRow>();
  for (const op of passes) {
    const row = { ...operatorRow(deployment, op), name: `draft: ${op.name}` };
    const before = byName.get(row.name);
    byName.set(row.name, before ? sumOf(before, row) : row);
  }
  return [...byName.values()];
}

const sumOf = (a: StepRow, b: StepRow): StepRow => ({
  ...b,
  count: a.count + b.count,
  flop: a.flop + b.flop,
  bytes: a.bytes + b.bytes,
  linkBytes: a.linkBytes + b.linkBytes,
  seconds: a.seconds + b.seconds,
  efficiency: (a.efficiency * a.seconds + b.efficiency * b.seconds) / (a.seconds + b.seconds || 1),
});

const kvBytes = ({ deployment }: Drafter): number => {
  const { work } = attentionCost(deployment);
  return work.kvBytesPerToken + work.windowKvBytesPerToken;
};
