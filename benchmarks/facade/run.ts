/**
 * What the OpenAI endpoint costs, against a bare node:http server that does nothing else (the floor),
 * in the same minutes: rounds alternate between the two, and medians are compared.
 *
 *   npx tsx benchmarks/facade/run.ts [rounds]
 */

import { pathToFileURL } from 'node:url';
import { table } from '../../src/report/format.js';
import {
  type LoadResult,
  load,
  median,
  peersAreThere,
  type Server,
  sleep,
  startFloor,
  startOurs,
} from './servers.js';
import { stallOfLargePrompts } from './stall.js';

interface Case {
  readonly name: string;
  readonly floor: readonly string[];
  readonly ours: readonly string[];
  readonly load: readonly string[];
}

const CASES = {
  paced: {
    name: '500 streams × 100 tokens, 200/20 ms',
    floor: ['--ttft', '200', '--itl', '20'],
    ours: ['--time-to-first-token', '200', '--inter-token-latency', '20'],
    load: '--mode paced --concurrency 500 --requests 500 --max-tokens 100 --ttft 200 --itl 20'.split(
      ' ',
    ),
  },
  unpaced: {
    name: '3,000 streams × 128 tokens, --speed inf',
    floor: [],
    ours: ['--speed', 'inf'],
    load: '--mode stream --concurrency 64 --requests 3000 --max-tokens 128'.split(' '),
  },
  whole: {
    name: '15,000 answers of one token, not streamed',
    floor: [],
    ours: ['--speed', 'inf'],
    load: '--mode nonstream --concurrency 64 --requests 15000 --max-tokens 1'.split(' '),
  },
} as const satisfies Record<string, Case>;

/** Time for background compilation to settle, the same for both. */
const SETTLE_MS = 600;

interface Pair {
  readonly floor: LoadResult[];
  readonly ours: LoadResult[];
}

async function interleaved(what: Case, rounds: number): Promise<Pair> {
  const pair: Pair = { floor: [], ours: [] };
  for (let i = 0; i < rounds; i++) {
    pair.floor.push(await measured(await startFloor(what.floor), what));
    pair.ours.push(await measured(await startOurs(what.ours), what));
  }
  return pair;
}

async function measured(server: Server, what: Case): Promise<LoadResult> {
  await sleep(SETTLE_MS);
  const result = await load(server, what.load);
  await server.stop();
  if (result.failed > 0 || result.wrong_length > 0) {
    throw new Error(`${what.name}: ${result.failed} failed, ${result.wrong_length} cut short`);
  }
  return result;
}

const ratio = (ours: number, floor: number) => `${(ours / floor).toFixed(2)} ×`;
const both = ({ floor, ours }: Pair, of: (result: LoadResult) => number) =>
  [median(ours.map(of)), median(floor.map(of))] as const;

/** One row per figure: what, ours, the floor, their relation, and the bound that was set. */
export async function facadeFigures(rounds: number): Promise<string[][]> {
  const rows: string[][] = [['', 'ours', 'floor', '', 'goal']];
  const paced = await interleaved(CASES.paced, rounds);
  const [bias, floorBias] = both(paced, ({ bias }) => bias.e2e_percent);
  const [itl, floorItl] = both(paced, ({ abs_error_ms }) => abs_error_ms.itl.p50);
  const [cpu, floorCpu] = both(paced, (result) => result.server_us_per_token);
  const points = (value: number) => `${value.toFixed(2)} %`;
  rows.push(
    [CASES.paced.name],
    [
      '  end-to-end bias',
      points(bias),
      points(floorBias),
      `+${(bias - floorBias).toFixed(2)}`,
      '≤ +0.3',
    ],
    ['  ITL error, median', `${itl} ms`, `${floorItl} ms`, '', ''],
    ['  CPU per token', `${cpu} µs`, `${floorCpu} µs`, ratio(cpu, floorCpu), '≤ 1.3 ×'],
  );
  const unpaced = await interleaved(CASES.unpaced, rounds);
  const [fast, floorFast] = both(unpaced, (result) => result.server_us_per_token);
  rows.push(
    [CASES.unpaced.name],
    ['  CPU per token', `${fast} µs`, `${floorFast} µs`, ratio(fast, floorFast), '≤ 2 ×'],
  );
  const whole = await interleaved(CASES.whole, rounds);
  const [rate, floorRate] = both(whole, (result) => result.requests_per_s);
  rows.push(
    [CASES.whole.name],
    ['  requests/s', rate.toFixed(0), floorRate.toFixed(0), ratio(rate, floorRate), '≥ 0.35 ×'],
  );
  rows.push([
    'start to first answer',
    `${(await startTime(rounds)).toFixed(0)} ms`,
    '',
    '',
    '≤ 1 s',
  ]);
  const calm = await stallOfLargePrompts(false);
  const stall = await stallOfLargePrompts(true);
  const text = `${stall.toFixed(0)} ms (${calm.toFixed(0)} ms without)`;
  rows.push(['100 KB prompts hold up other streams by', text, '', '', '≤ 20 ms']);
  return rows;
}

async function startTime(rounds: number): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const server = await startOurs(['--speed', 'inf']);
    times.push(server.readyMs);
    await server.stop();
  }
  return median(times);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (!peersAreThere()) {
    console.log('skipped: no floor server and load generator there (LLMSERVINGSIM_SHARED)');
  } else console.log(table(await facadeFigures(Number(process.argv[2] ?? 3))).join('\n'));
}
