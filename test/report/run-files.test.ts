import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromeTrace } from '../../src/report/chrome-trace.js';
import { TIMELINE_COLUMNS, type TimelineRow } from '../../src/report/timeline.js';
import { cli } from '../cli/run-cli.js';

/** Two instances, KV so short that requests are preempted, and pauses between bursts. */
const LOAD =
  '--model qwen/Qwen3-8B --hardware A100 --num-instances 2 --num-prompts 120 --request-rate 6 --burstiness 0.1 ' +
  '--random-input-len 200 --random-output-len 60 --num-gpu-blocks-override 60 --max-model-len 900';

interface TraceEvent {
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly name: string;
  readonly id?: number;
  readonly ts: number;
  readonly dur?: number;
  readonly args?: Readonly<Record<string, number | string>>;
}

let folder: string;
let events: TraceEvent[];
let rows: TimelineRow[];
let result: { completed: number; duration: number; simulation: Record<string, never> };
const INTERVAL_MS = 250;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'run-files-'));
  const [trace, timeline] = ['trace.json', 'timeline.jsonl'].map((f) => join(folder, f));
  const { code, out } = await cli(
    `simulate ${LOAD} --trace-out ${trace} --timeline ${timeline} --timeline-interval ${INTERVAL_MS} --json`,
  );
  expect(code).toBe(0);
  result = JSON.parse(out);
  events = JSON.parse(readFileSync(trace!, 'utf8')).traceEvents;
  rows = readFileSync(timeline!, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
});
afterAll(() => rmSync(folder, { recursive: true }));

const groupBy = <T>(items: readonly T[], key: (item: T) => string): T[][] => {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return [...groups.values()];
};

const instances = (): Record<string, number>[] => result.simulation.instances!;
const sum = (of: (row: TimelineRow) => number, instance: number): number =>
  rows.filter((row) => row.instance === instance).reduce((total, row) => total + of(row), 0);

describe('Chrome trace', () => {
  it('names each instance, a process, and its track of steps', () => {
    const names = events
      .filter(({ name }) => name === 'process_name')
      .map(({ args }) => args!.name);
    expect(names).toEqual([
      'not routed',
      'instance 0: qwen/Qwen3-8B on A100',
      'instance 1: qwen/Qwen3-8B on A100',
    ]);
    expect(events.filter(({ name }) => name === 'thread_name')).toHaveLength(2);
  });

  it('has every step once, in order, none overlapping another of its instance', () => {
    const slices = groupBy(
      events.filter(({ ph }) => ph === 'X'),
      ({ pid }) => String(pid),
    );
    expect(slices.map((of) => of.length)).toEqual(instances().map((i) => i.num_steps));
    for (const steps of slices) {
      steps.slice(1).forEach((step, i) => {
        expect(step.ts).toBeGreaterThanOrEqual(steps[i]!.ts + steps[i]!.dur! - 1e-3);
      });
    }
  });

  it('nests the phases of each request in it, in time order', () => {
    const tracks = groupBy(
      events.filter(({ ph }) => ph === 'b' || ph === 'e'),
      ({ id }) => String(id),
    );
    expect(tracks).toHaveLength(120);
    let numPreempted = 0;
    for (const track of tracks) {
      const open: string[] = [];
      let at = 0;
      for (const { ph, name, ts } of track) {
        expect(ts).toBeGreaterThanOrEqual(at);
        at = ts;
        if (ph === 'b') open.push(name);
        else expect(open.pop()).toBe(name);
        if (name === 'preempted' && ph === 'b') {
          numPreempted++;
          expect(open.slice(0, -1)).toEqual(['request', expect.stringMatching(/prefill|decode/)]);
        }
      }
      expect(open).toEqual([]);
      const begun = track.filter(({ ph }) => ph === 'b').map(({ name }) => name);
      expect(begun.filter((name) => name !== 'preempted')).toEqual([
        ...['request', 'queued', 'prefill', 'decode'],
      ]);
    }
    // A token in flight may arrive during the wait and divide it.
    expect(numPreempted).toBeGreaterThanOrEqual(result.simulation.num_preemptions!);
    const told = events.map(({ args }) => Number(args?.num_preemptions ?? 0));
    expect(told.reduce((a, b) => a + b)).toBe(result.simulation.num_preemptions);
    expect(numPreempted).toBeGreaterThan(0);
  });

  it('counts requests and KV blocks in time order, down to nothing at the end', () => {
    for (const pid of [1, 2]) {
      const counters = events.filter((event) => event.ph === 'C' && event.pid === pid);
      for (const name of ['requests', 'KV blocks']) {
        const values = counters.filter((counter) => counter.name === name);
        values.slice(1).forEach((value, i) => {
          expect(value.ts).toBeGreaterThanOrEqual(values[i]!.ts);
        });
        expect(Object.values(values.at(-1)!.args!).every((value) => value === 0)).toBe(true);
      }
      const used = counters.flatMap(({ args }) => (args?.used === undefined ? [] : [args.used]));
      expect(Math.max(...(used as number[]))).toBe(instances()[pid - 1]!.peak_blocks_used);
    }
  });

  it('listens to nothing but what was selected', () => {
    const tracerOf = (selected: Parameters<typeof chromeTrace>[0]['events']) => {
      const options = { path: join(folder, 'unused.json'), events: selected, instances: [] };
      const { close, ...tracer } = chromeTrace(options);
      close();
      return Object.keys(tracer).sort();
    };
    expect(tracerOf(['requests'])).toEqual(['requestFinish', 'requestPreempt', 'requestSchedule']);
    expect(tracerOf(['counters'])).toEqual(['step']);
    expect(JSON.parse(readFileSync(join(folder, 'unused.json'), 'utf8')).traceEvents).toEqual([]);
  });

  it('gives steps of a pipeline, which overlap, tracks of their own', async () => {
    const path = join(folder, 'pipeline.json');
    const { code } = await cli(
      `simulate --model qwen/Qwen3-8B --hardware A100 -pp 2 --num-prompts 40 --request-rate inf --max-num-batched-tokens 512 --trace-out ${path}`,
    );
    expect(code).toBe(0);
    const steps = (JSON.parse(readFileSync(path, 'utf8')).traceEvents as TraceEvent[]).filter(
      ({ ph }) => ph === 'X',
    );
    const tracks = groupBy(steps, ({ tid }) => `${tid}`);
    expect(tracks).toHaveLength(2);
    for (const track of tracks) {
      track.reduce((before, step) => {
        expect(step.ts).toBeGreaterThanOrEqual(before.ts + before.dur! - 1e-3);
        return step;
      });
    }
  });

  it('does not change the result', async () => {
    const plain = JSON.parse((await cli(`simulate ${LOAD} --json`)).out);
    // Means over time are sums of doubles, and runs are summed in other pieces when steps are heard.
    const rounded = (value: unknown) =>
      JSON.stringify(value, (_, v) => (typeof v === 'number' ? v.toPrecision(12) : v));
    expect(rounded(result)).toBe(rounded(plain));
  });
});

describe('timeline', () => {
  it('has a row per instance and interval, without gaps', () => {
    for (const instance of [0, 1]) {
      const starts = rows.filter((row) => row.instance === instance).map((row) => row.start_ms);
      expect(starts).toEqual(starts.map((_, i) => i * INTERVAL_MS));
    }
    expect(rows.filter((row) => row.instance === 0)).toHaveLength(rows.length / 2);
    // Somewhere nothing ran: arrivals come in bursts.
    expect(rows.some((row) => row.busy_fraction === 0)).toBe(true);
  });

  it('adds up to the report', () => {
    for (const [i, report] of instances().entries()) {
      expect(sum((row) => row.num_steps, i)).toBe(report.num_steps);
      expect(sum((row) => row.prefill_tokens, i)).toBe(report.prefill_tokens);
      expect(sum((row) => row.decode_tokens, i)).toBe(report.decode_tokens);
      expect(sum((row) => row.num_preemptions, i)).toBe(report.num_preemptions);
      expect(sum((row) => row.busy_fraction * INTERVAL_MS, i)).toBeCloseTo(report.busy_ms!, 3);
    }
    const all = (of: (row: TimelineRow) => number) => sum(of, 0) + sum(of, 1);
    expect(all((row) => row.num_arrived)).toBe(120);
    expect(all((row) => row.num_finished)).toBe(result.completed);
  });

  it('keeps fractions in [0, 1]', () => {
    for (const row of rows) {
      for (const column of TIMELINE_COLUMNS.filter((name) => name.endsWith('_fraction'))) {
        expect(row[column]).toBeGreaterThanOrEqual(0);
        expect(row[column]).toBeLessThanOrEqual(1 + 1e-9);
      }
    }
  });

  it('is CSV when the file is called so', async () => {
    const path = join(folder, 'timeline.csv');
    await cli(`simulate ${LOAD} --timeline ${path} --timeline-interval ${INTERVAL_MS}`);
    const [header, ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(header).toBe(TIMELINE_COLUMNS.join(','));
    expect(lines.map((line) => line.split(',').map(Number))).toEqual(
      rows.map((row) => TIMELINE_COLUMNS.map((column) => row[column])),
    );
  });

  it('has the columns the documentation lists', () => {
    const page = readFileSync('docs/metrics.md', 'utf8');
    for (const column of TIMELINE_COLUMNS) expect(page).toContain(`\`${column}\``);
  });
});

describe('files of a run', () => {
  const BASE = 'simulate --model qwen/Qwen3-8B --hardware A100 --num-prompts 2';
  it.each([
    ['--trace-out x/y/z.json', '--trace-out: expected a file that can be written'],
    ['--trace-events steps', '--trace-out: expected a file to write, beside --trace-events'],
    ['--timeline-interval 5', '--timeline: expected a file to write, beside --timeline-interval'],
    ['--trace-out F --trace-events tokens', '--trace-events: expected some of requests, steps'],
    ['--timeline F --timeline-interval 0', '--timeline-interval: expected milliseconds above 0'],
    ['--timeline F --hardware A100,H100', '--timeline: expected a single run'],
  ])('refuses %s', async (flags, message) => {
    const line = `${BASE} ${flags.replace(/\bF\b/, join(folder, 'file'))}`;
    const { code, err } = await cli(line);
    expect(code).toBe(1);
    expect(err).toContain(message);
  });
});
