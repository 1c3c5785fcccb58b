/** `explain`: one step operator by operator, with the source of each constant. */

import { loadEfficiency } from '../../config/engines.js';
import { explainStep } from '../../core/perf/explain.js';
import { withDrafts } from '../../core/perf/speculation.js';
import { type Json, jsonText } from '../../report/json.js';
import { poolJson } from '../../report/pool-json.js';
import type { DefineCommand } from '../command.js';
import { composePools } from '../compose.js';
import { parseBatch } from '../explain/batch.js';
import { constantSources } from '../explain/constants.js';
import { type Explained, explainText } from '../explain/explain-text.js';
import { addPoolFlags, addRows, type Flags, requestFromFlags } from '../simulate-flags.js';
import { baseOf, namingOf, textFlag } from '../simulate-run.js';

const DEFAULT_BATCH = 'prefill=512 decode=64@2048';

export const defineExplain: DefineCommand = (command, io) => {
  addPoolFlags(command);
  addRows(command, 'Step:', [
    ['--batch <terms>', `what it computes ("${DEFAULT_BATCH}"); prefill=2x512@1024 after context`],
    ['--json', 'as JSON'],
  ]);
  command.action(async (flags: Flags) => {
    const base = await baseOf(flags);
    const request = requestFromFlags(flags, base?.request);
    const { pools } = await composePools(request, namingOf(flags, base).pool);
    const batch = textFlag(flags, 'batch') ?? DEFAULT_BATCH;
    const data = loadEfficiency();
    const all = pools.map((pool): Explained => {
      const shape = withDrafts(parseBatch(batch, pool.cost.window), pool.scheduler);
      const step = explainStep(pool, shape);
      return { pool, batch, step, constants: constantSources(pool, step, data) };
    });
    io.out(
      flags.json
        ? jsonText({ batch, pools: all.map(explainJson) })
        : all.map(explainText).join('\n'),
    );
  });
};

const explainJson = ({ pool, step, constants }: Explained): Json => ({
  ...poolJson(pool),
  duration_ms: step.seconds * 1e3,
  largest_operator: step.bottleneck.name,
  operators: step.rows.map((row) => ({
    name: row.name,
    count: row.count,
    flop: row.flop,
    bytes: row.bytes,
    link_bytes: row.linkBytes,
    duration_ms: row.seconds * 1e3,
    bound: row.bound,
    efficiency: row.efficiency,
    constants: row.constants,
    source: row.source ?? 'analytic',
  })),
  constants,
});
