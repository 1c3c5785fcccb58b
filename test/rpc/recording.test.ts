import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, describe, expect, it } from 'vitest';
import { type SimulateResponse, SimulateService } from '../../gen/llmservingsim/v1/service_pb.js';
import { start } from '../../src/cli/compose.js';
import { Recorder, RecordingFile } from '../../src/files/recorder.js';
import { readRecording } from '../../src/files/recording.js';
import { composeScenario } from '../../src/rpc/scenario.js';
import { closedReader } from './closed-reader.js';
import { served } from './served.js';
import {
  collect,
  composer,
  detailsOf,
  errorOf,
  grpcClient,
  smallScenario,
  startServer,
  until,
} from './support.js';

const folder = mkdtempSync(join(tmpdir(), 'rpc-recording-'));

describe('a recording asked for in Simulate', () => {
  const on = served(SimulateService, { limits: { allowFiles: false } });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  const scenarioOf = (numPrompts: number) =>
    smallScenario({
      workload: {
        numPrompts,
        requestRate: 50,
        source: { case: 'random', value: { randomInputLen: 64, randomOutputLen: 20 } },
      },
    });
  const scenario = scenarioOf(2000);
  const piecesOf = (messages: readonly SimulateResponse[]) =>
    messages.flatMap(({ content }) =>
      content.case === 'recording' ? [Buffer.from(content.value.data)] : [],
    );
  const recorded = async (more: object = {}) =>
    piecesOf(await collect(on.client.simulate!({ scenario, record: true, ...more })));

  it('is the file that a run in process writes, in pieces of bounded size', async () => {
    const path = join(folder, 'here.jsonl');
    const file = new RecordingFile(path);
    const composed = await composeScenario(scenario, { composer, allowFiles: false });
    const tracers = [new Recorder(file, composed.pools[0]!.spec.model.name)];
    const started = start(composed, { percentiles: [], tracers });
    while (!started.simulation.advance(1000));
    file.close();
    const pieces = await recorded();
    expect(pieces.length).toBeGreaterThan(3);
    expect(Math.max(...pieces.map(({ length }) => length))).toBe(64 * 1024);
    expect(Buffer.concat(pieces).equals(readFileSync(path))).toBe(true);
  });

  it('is the same whatever else is told, and however fast', async () => {
    const brief = Buffer.concat(await recorded());
    const told = Buffer.concat(await recorded({ detail: 'tokens' }));
    const wall = Buffer.concat(await recorded({ clock: 'wall', speed: 1000 }));
    expect([told.equals(brief), wall.equals(brief)]).toEqual([true, true]);
  });

  it('reads as one', async () => {
    const path = join(folder, 'there.jsonl');
    writeFileSync(path, Buffer.concat(await recorded()));
    const requests = readRecording(path);
    expect(requests).toHaveLength(2000);
    expect(requests[0]).toMatchObject({
      model: 'meta-llama/Llama-3.1-8B-Instruct',
      promptTokens: 64,
      outputTokens: 20,
      finishReason: 'length',
    });
    expect(requests.every(({ gapsMs }) => gapsMs.length === 19)).toBe(true);
  });

  it('comes before the report, whose sums may differ in their last digits', async () => {
    const messages = await collect<SimulateResponse>(
      on.client.simulate!({ scenario, record: true }),
    );
    const cases = messages.map(({ content }) => content.case);
    expect(new Set(cases.slice(0, -1))).toEqual(new Set(['recording']));
    const [alone] = await collect<SimulateResponse>(on.client.simulate!({ scenario }));
    const numbers = ({ content }: SimulateResponse) =>
      content.case === 'report' ? [content.value.duration, content.value.ttft?.p99Ms] : [];
    expect(numbers(messages.at(-1)!)).toEqual(numbers(alone!));
  });

  it('waits for a reader that does not read', async () => {
    const { simulate } = SimulateService.method;
    // More pieces than may stand in a buffer.
    const long = scenarioOf(20_000);
    const reader = closedReader(on.server.address, simulate, [{ scenario: long, record: true }]);
    await until(() => on.server.rpc.numRuns === 1);
    // Meanwhile others are told all of the same run.
    const told = Buffer.concat(await recorded({ scenario: long }));
    await recorded({ scenario: long });
    expect(on.server.rpc.numRuns).toBe(1);
    expect(Buffer.concat(piecesOf(await reader.read())).equals(told)).toBe(true);
    await until(() => on.server.rpc.numRuns === 0);
  });

  it('counts as events, a request and each of its tokens', async () => {
    const frugal = await startServer({ limits: { maxEventsPerRun: 2000 * 21 - 1 } });
    const caller = grpcClient(SimulateService, frugal.address);
    const error = await errorOf(collect(caller.simulate!({ scenario, record: true })));
    expect([error.code, detailsOf(error)]).toEqual([
      grpc.status.RESOURCE_EXHAUSTED,
      ['ErrorInfo', 'RetryInfo'],
    ]);
    expect(await collect(caller.simulate!({ scenario }))).toHaveLength(1);
    caller.close();
    await frugal.close();
  });
});
