/** The part of the cases that a fit looks at: enough of each group, and nothing that takes long. */

import { type Case, generationOfCase } from './case.js';

/** Throughput of more requests at once than this, or than this many batches, is that of a steady state. */
const ENOUGH_REQUESTS = 3000;
const ENOUGH_BATCHES = 3;

/** At most `most` cases of a group, evenly. */
export function sample(cases: readonly Case[], most = 20): Case[] {
  const groups = new Map<string, Case[]>();
  for (const c of cases) {
    const key = [c.source, c.gpu.name, generationOfCase(c), c.model.moe !== undefined].join('|');
    groups.set(key, [...(groups.get(key) ?? []), c]);
  }
  return [...groups.values()].flatMap((group) => {
    const stride = Math.max(1, group.length / most);
    return group
      .filter((_, i) => Math.floor(i / stride) !== Math.floor((i - 1) / stride))
      .map(shortened);
  });
}

/** Only throughput may be told from fewer requests. */
function shortened(c: Case): Case {
  const { load } = c;
  const throughput = c.comparisons.every(({ measure }) => measure.endsWith('_tps'));
  const enough = Math.max(ENOUGH_REQUESTS, ENOUGH_BATCHES * (c.options.maxNumSeqs ?? 0));
  return load.kind === 'batch' && load.numRequests > enough && throughput
    ? { ...c, load: { ...load, numRequests: enough } }
    : c;
}
