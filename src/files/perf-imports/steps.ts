/**
 * Step times as a server's own log has them, CSV or JSON Lines:
 *
 *   prefill_tokens,prefill_history,num_decodes,decode_context,step_ms
 *   0,0,32,1024,11.8
 *
 * `decode_context` is the mean context of a decode; `context_tokens`, its sum over decodes, and
 * `duration_ms` are taken too, so that what `calibrate` observes can be a table. A point that repeats is the
 * median of its times.
 */

import { axesOf } from '../../core/perf/table/perf-table.js';
import { checkPoint } from '../perf-table.js';
import type { Row } from '../rows.js';
import { type ImportFormat, Points, rowsOf } from './format.js';

export const steps: ImportFormat = {
  name: 'steps',
  about: 'a CSV with prefill_tokens,prefill_history,num_decodes,decode_context,step_ms',
  recognises: (files) => {
    const [path, second] = files;
    if (path === undefined || second !== undefined) return false;
    const table = rowsOf(path);
    return table.has('num_decodes') && timeColumn(table.names) !== undefined;
  },
  said: () => ({}),
  read: ([path]) => {
    const table = rowsOf(path!, 'prefill_tokens', 'num_decodes');
    const column = timeColumn(table.names) ?? 'step_ms';
    const points = new Points();
    for (const row of table.rows) {
      const at = pointOf(row);
      checkPoint(row, axesOf('step'), at);
      points.add('step', at, row.above0(column) / 1e3);
    }
    return [{ tensorParallelSize: undefined, operators: points.operators(), leftOut: [] }];
  },
};

const timeColumn = (names: readonly string[]): string | undefined =>
  ['step_ms', 'duration_ms'].find((name) => names.includes(name));

function pointOf(row: Row): number[] {
  const decodes = row.count('num_decodes');
  const sum = row.optional('context_tokens');
  const mean =
    sum !== undefined && decodes > 0 ? sum / decodes : (row.optional('decode_context') ?? 0);
  const history = row.optional('prefill_history') === undefined ? 0 : row.count('prefill_history');
  return [row.count('prefill_tokens'), decodes, history, Math.round(mean)];
}
