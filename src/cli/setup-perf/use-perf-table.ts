/** `--perf-table`: a pool with the measured times of a file. */

import type { ResolvedPool } from '../../core/perf/resolve.js';
import { tabledPool } from '../../core/perf/table/tabled-pool.js';
import { readPerfTable } from '../../files/perf-table.js';

/**
 * @param where how the user named the file
 * @throws {ConfigError} for a file that is wrong, or of another model, GPU or tensor-parallel size
 */
export function withPerfTable(pool: ResolvedPool, path: string, where: string): ResolvedPool {
  const used = tabledPool(pool, readPerfTable(path, where), path);
  if (pool.level !== 'calibrated') return used;
  return { ...used, notes: [...used.notes, 'what is not measured comes from the calibration'] };
}
