/** The tables of a multi-turn run: what was asked, statistics for each part left out, turns, rows. */

import { byTurn, type Statistics, type TurnRow } from './statistics.js';
import type { Cell, SheetTable } from './workbook.js';

export interface RunSummary {
  readonly parameters: Readonly<Record<string, Cell>>;
  readonly statistics: readonly Statistics[];
  readonly rows: readonly TurnRow[];
}

export function sheetsOf({ parameters, statistics, rows }: RunSummary): SheetTable[] {
  const names = Object.keys(rows[0] ?? {}) as (keyof TurnRow)[];
  const turns = byTurn(rows);
  const turnNames = Object.keys(turns[0] ?? {}) as (keyof (typeof turns)[number])[];
  return [
    {
      name: 'Summary',
      suffix: 'summary',
      rows: [
        ...Object.entries(parameters),
        ...statistics.flatMap((part) => [[], ...statisticsRows(part)]),
      ],
    },
    {
      name: 'Per turn',
      suffix: 'per_turn',
      rows: [turnNames, ...turns.map((turn) => turnNames.map((name) => turn[name]))],
    },
    {
      name: 'Raw data',
      suffix: 'raw',
      rows: [names, ...rows.map((row) => names.map((name) => row[name]))],
    },
  ];
}

function statisticsRows({ warmupPercent, columns }: Statistics): Cell[][] {
  const stats = Object.keys(columns.ttft_ms);
  return [
    [`Without the first ${warmupPercent} %`, ...stats],
    ...Object.entries(columns).map(([name, described]) => [
      name,
      ...stats.map((stat) => described[stat]!),
    ]),
  ];
}
