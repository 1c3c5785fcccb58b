/**
 * From rows to cases: each source by its own file, for sources measured differently, others as their columns say; rows
 * without a mapping keep the reason.
 */

import type { Case, Comparison, Mapping } from './case.js';
import { familyOf, findGpu, findModel } from './names.js';
import type { Row } from './rows.js';
import { SOURCES } from './sources/index.js';
import { plain } from './sources/plain.js';

export interface Mapped {
  readonly cases: readonly Case[];
  /** How many rows have no simulation, by reason. */
  readonly unmapped: ReadonlyMap<string, number>;
}

export function mapRows(rows: readonly Row[]): Mapped {
  const cases = new Map<string, { case: Omit<Case, 'comparisons'>; comparisons: Comparison[] }>();
  const unmapped = new Map<string, number>();
  for (const row of rows) {
    const mapping = mapRow(row);
    if ('unmapped' in mapping) {
      const reason = `${row.source}: ${mapping.unmapped}`;
      unmapped.set(reason, (unmapped.get(reason) ?? 0) + 1);
      continue;
    }
    const { model, gpu, ...rest } = mapping.case;
    const key = JSON.stringify([model.name, gpu.name, rest]);
    const found = cases.get(key) ?? { case: mapping.case, comparisons: [] };
    found.comparisons.push(mapping.comparison);
    cases.set(key, found);
  }
  return {
    cases: [...cases.values()].map((c) => ({ ...c.case, comparisons: c.comparisons })),
    unmapped,
  };
}

function mapRow(row: Row): Mapping {
  const map = SOURCES.find((s) => s.names.includes(row.source))?.map ?? plain;
  if (typeof map === 'string') return { unmapped: map };
  const model = findModel(row.model);
  if (!model) return { unmapped: `no model configuration for "${row.model}"` };
  const gpu = findGpu(row.gpu);
  if (!gpu) return { unmapped: `no data sheet for "${row.gpu}"` };
  if (!(Number(row.value) > 0)) return { unmapped: 'no value' };
  return map(row, model, gpu);
}

/** What is left out together in cross-validation. */
export const groupsOf = (c: Case): Readonly<Record<'gpu' | 'family' | 'source', string>> => ({
  gpu: c.gpu.name,
  family: familyOf(c.model),
  source: c.source,
});
