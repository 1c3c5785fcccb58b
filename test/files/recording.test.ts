import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createEngine } from '../../src/core/cluster/cluster.js';
import { GivenTimes } from '../../src/core/cluster/given-times.js';
import { Recorder, RecordingFile } from '../../src/files/recorder.js';
import { lineOf, type RecordedRequest, readRecording } from '../../src/files/recording.js';
import { openTrace } from '../../src/files/trace-reader.js';
import { smallInstance } from '../support/instances.js';

const folder = mkdtempSync(join(tmpdir(), 'recording-'));
afterAll(() => rmSync(folder, { recursive: true }));
const pathOf = (name: string) => join(folder, name);

const prompt = [
  { content: 7, length: 8 },
  { content: 9, length: 4, first: 16 },
];

/** Two requests, ten milliseconds a step; the second one leaves. */
function recorded(name: string): string {
  const path = pathOf(name);
  const file = new RecordingFile(path);
  const engine = createEngine({
    instances: [smallInstance({ stepMs: 10 })],
    router: 'round_robin',
    seed: 0,
    inputLatencyNs: 0,
    tracer: new Recorder(file, 'small'),
  });
  const leaving = engine.submit(5e6, { promptTokens: 4, maxTokens: 50 });
  engine.submit(5e6, { id: 'first', promptTokens: 12, maxTokens: 3, prompt, priority: 2 });
  engine.cancel(36e6, leaving);
  engine.advanceTo(1e9);
  file.close();
  return path;
}

describe('a recording', () => {
  it.each(['plain.jsonl', 'packed.jsonl.gz'])('comes back as it went: %s', (name) => {
    const requests = readRecording(recorded(name));
    expect(requests).toEqual([
      {
        id: 'first',
        model: 'small',
        arrivalMs: 5,
        promptTokens: 12,
        outputTokens: 3,
        cachedTokens: 0,
        priority: 2,
        finishReason: 'length',
        ttftMs: 10,
        gapsMs: [10, 10],
        prompt,
      },
      expect.objectContaining({ id: '0', finishReason: 'abort', outputTokens: 3, ttftMs: 10 }),
    ]);
  });

  it.each(['plain.jsonl', 'packed.jsonl.gz'])('is a trace: %s', (name) => {
    const trace = openTrace({ path: recorded(name) });
    expect([trace.next(), trace.next(), trace.next()]).toEqual([
      { at: 0, spec: { id: 'first', promptTokens: 12, maxTokens: 3, priority: 2, prompt } },
      { at: 0, spec: { id: '0', promptTokens: 4, maxTokens: 3, priority: 0 } },
      undefined,
    ]);
  });

  const row: RecordedRequest = {
    id: 'a',
    arrivalMs: 1,
    promptTokens: 2,
    outputTokens: 2,
    cachedTokens: 0,
    priority: 0,
    finishReason: 'stop',
    ttftMs: 3,
    gapsMs: [4],
  };

  it('is read up to a last line that is cut off, with a warning', () => {
    const path = pathOf('cut.jsonl');
    writeFileSync(path, lineOf(row) + lineOf(row).slice(0, 40));
    const warnings: string[] = [];
    const requests = readRecording(path, { onWarning: (text) => warnings.push(text) });
    expect(requests).toHaveLength(1);
    expect(warnings).toEqual([`${path}:2: the last line is cut off; it is left out`]);
  });

  it('is read as far as a gzip file goes that a crash cut short', () => {
    const path = pathOf('cut.jsonl.gz');
    const file = new RecordingFile(path);
    for (let i = 0; i < 100; i++) {
      file.write({ ...row, id: String(i) });
      file.flush();
    }
    file.close();
    truncateSync(path, readFileSync(path).length - 10);
    expect(readRecording(path).length).toBeGreaterThanOrEqual(99);
  });

  it.each([
    ['no JSON', `nonsense\n${lineOf(row)}`, ':1: expected a JSON object'],
    [
      'another version',
      lineOf(row).replace('"recording":1', '"recording":9'),
      'recording: expected version 1',
    ],
    [
      'a wrong time',
      lineOf({ ...row, arrivalMs: -1 }),
      'arrival_ms: expected a number of at least 0',
    ],
    [
      'half a token',
      lineOf({ ...row, outputTokens: 1.5 }),
      'output_tokens: expected a whole number',
    ],
    [
      'no reason',
      lineOf({ ...row, finishReason: 'tired' as never }),
      'finish_reason: expected stop',
    ],
    [
      'a prefix longer than the prompt',
      lineOf({ ...row, prompt: [{ content: 1, length: 3 }] }),
      'prefix: expected lengths that add up',
    ],
    ['nothing', '\n', 'expected a recording, got "an empty file"'],
  ])('is refused with %s, naming line and field', (_, text, message) => {
    const path = pathOf('wrong.jsonl');
    writeFileSync(path, text);
    expect(() => readRecording(path)).toThrow(message);
  });

  it('is played back by the engine of given times', () => {
    const times = [
      { ttftNs: 7, gapsNs: [1, 2] },
      { ttftNs: 3, gapsNs: [] },
    ];
    const told: string[] = [];
    const engine = new GivenTimes({
      ttftNs: 0,
      itlNs: 100,
      timesOf: (index) => times[index],
      tracer: { tokens: ({ at, handles }) => told.push(`${handles[0]} at ${at}`) },
      maxModelLen: 100,
      numBlocks: 10,
      blockSize: 10,
    });
    engine.submit(0, { promptTokens: 1, maxTokens: 4 });
    engine.submit(0, { promptTokens: 1, maxTokens: 2 });
    engine.advanceTo(1000);
    expect(told).toEqual(['1 at 3', '0 at 7', '0 at 8', '0 at 10', '0 at 11', '1 at 103']);
  });
});
