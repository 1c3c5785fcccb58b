/**
 * The command as a user runs it, Node's start included: wall time, the median of several runs, ours and
 * the peer's in turn.
 */

import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';

interface Row {
  readonly what: string;
  readonly args: readonly string[];
  /** The same for DynoSim: number of requests of 512/128 at 8/s. */
  readonly peerRequests?: number;
  readonly rounds: number;
  /** Output tokens, for a rate. */
  readonly tokens?: number;
}

const drawn = (requests: number, rate: number, hardware = 'A100'): string[] =>
  [
    'simulate --model qwen/Qwen3-8B',
    `--hardware ${hardware} --num-prompts ${requests} --request-rate ${rate}`,
    '--random-input-len 512 --random-output-len 128',
  ]
    .join(' ')
    .split(' ');

const ROWS: readonly Row[] = [
  { what: 'node -e 0', args: [], rounds: 7 },
  { what: '--help', args: ['--help'], rounds: 7 },
  { what: '10,000 × 512/128 at 8/s', args: drawn(1e4, 8), peerRequests: 1e4, rounds: 7 },
  { what: '100,000 × 512/128 at 8/s', args: drawn(1e5, 8), peerRequests: 1e5, rounds: 3 },
  {
    what: '1,000,000 × 512/128 at 47/s',
    args: drawn(1e6, 47, 'H100'),
    rounds: 3,
    tokens: 128e6,
  },
];

export function wholeProcess(): void {
  const python = process.env.DYNOSIM_PYTHON;
  const script = process.env.DYNOSIM_SCRIPT ?? '../shared/peers/dynosim.py';
  console.log('whole process: median wall seconds');
  if (!python) console.log('(DYNOSIM_PYTHON is not set: no peer)');
  for (const { what, args, peerRequests, rounds, tokens } of ROWS) {
    const ours: number[] = [];
    const peers: number[] = [];
    for (let i = 0; i <= rounds; i++) {
      const command = args.length === 0 ? ['-e', '0'] : ['src/cli/bin.js', ...args];
      const own = seconds(process.execPath, command);
      const peer =
        python && peerRequests
          ? seconds(python, [
              script,
              JSON.stringify({ kind: 'syn', i: 512, o: 128, n: peerRequests, request_rate: 8 }),
            ])
          : undefined;
      // The first round warms the page cache.
      if (i === 0) continue;
      ours.push(own);
      if (peer !== undefined) peers.push(peer);
    }
    const rate = tokens ? `  ${(tokens / median(ours) / 1e6).toFixed(0)} M output tokens/s` : '';
    const ratio =
      peers.length > 0
        ? `  DynoSim ${median(peers).toFixed(3)}, ratio ${median(ours.map((s, i) => s / peers[i]!)).toFixed(2)}`
        : '';
    console.log(`  ${what.padEnd(30)} ${median(ours).toFixed(3)}${rate}${ratio}`);
  }
}

function seconds(command: string, args: readonly string[]): number {
  const startedAt = performance.now();
  const { status, stderr } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return (performance.now() - startedAt) / 1e3;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
