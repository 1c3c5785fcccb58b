/** The part of the cases that a fit looks at: enough of each group, and nothing that takes long. */

import type { Case } from './case.js';

/** Throughput of more requests at once than this is that of a steady state, and has been reached long before. */
const ENOUGH_REQUESTS = 3000;

/** At most `most` cases of a group, evenly. */
export function sample(cases: readonly Case[], most = 14): Case[] {
  const groups = new Map<string, Case[]>();
  for (const c of cases) {
    const key = [c.source, c.gpu.name, c.engine, c.model.moe !== undefined].join('|');
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
  return load.kind === 'batch' && load.numRequests > ENOUGH_REQUESTS && throughput
    ? { ...c, load: { ...load, numRequests: ENOUGH_REQUESTS } }
    : c;
}
