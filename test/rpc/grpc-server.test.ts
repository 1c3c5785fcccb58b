import { create, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { ReportSchema } from '../../gen/llmservingsim/v1/report_pb.js';
import {
  type SimulateResponse,
  SimulateService,
  StatusService,
} from '../../gen/llmservingsim/v1/service_pb.js';
import { start } from '../../src/cli/compose.js';
import { ManualClock } from '../../src/pipeline/clock.js';
import { reportMessage } from '../../src/rpc/messages/report.js';
import { composeScenario } from '../../src/rpc/scenario.js';
import { closedReader } from './closed-reader.js';
import { served } from './served.js';
import { collect, composer, detailsOf, errorOf, smallScenario, unary, until } from './support.js';

const ms = (n: number) => n * 1e6;

describe('Simulate over gRPC', () => {
  const on = served(SimulateService);

  const run = (request: object): Promise<SimulateResponse[]> =>
    collect(on.client.simulate!(request));
  const kinds = (messages: SimulateResponse[]) =>
    messages.flatMap(({ content }) =>
      content.case === 'events' ? content.value.events.map(({ kind }) => kind.case) : content.case,
    );

  it('equals the run in process, byte for byte of the report', async () => {
    const [last] = await run({ scenario: smallScenario() });
    const composed = await composeScenario(smallScenario(), { composer, allowFiles: true });
    const started = start(composed, { percentiles: [90, 99] });
    while (!started.simulation.advance(1000));
    const expected = create(ReportSchema, reportMessage(started.run(false)));
    expect(last!.content.case).toBe('report');
    const got = last!.content.value as typeof expected;
    expect(got.completed).toBe(20);
    expect(toBinary(ReportSchema, got)).toEqual(toBinary(ReportSchema, expected));
  });

  it('tells the same report whatever the detail', async () => {
    const [brief] = await run({ scenario: smallScenario() });
    const whole = await run({ scenario: smallScenario(), detail: 'tokens' });
    expect(whole.at(-1)).toEqual(brief);
  });

  it('tells requests, steps and tokens, in order, the report last', async () => {
    const messages = await run({ scenario: smallScenario(), detail: 'tokens' });
    const events = messages.flatMap(({ content }) =>
      content.case === 'events' ? content.value.events : [],
    );
    const count = (name: string) => events.filter(({ kind }) => kind.case === name).length;
    expect(count('requestArrive')).toBe(20);
    expect(count('requestSchedule')).toBe(20);
    expect(count('requestFinish')).toBe(20);
    const tokens = events.reduce(
      (sum, { kind }) => sum + (kind.case === 'tokens' ? kind.value.requestIds.length : 0),
      0,
    );
    expect(tokens).toBe(200);
    const times = events.map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    const finish = events.find(({ kind }) => kind.case === 'requestFinish')!.kind;
    expect(finish.value).toMatchObject({ requestId: '0', promptTokens: 64, outputTokens: 10 });
    expect(kinds(messages).at(-1)).toBe('report');
  });

  it('tells of several tokens in one step, and of the drafts, with speculation', async () => {
    const speculativeConfig = { method: 'eagle', numSpeculativeTokens: 2, acceptance: [1] };
    const pool = { model: 'meta-llama/Llama-3.1-8B-Instruct', hardware: 'H100' };
    const scenario = smallScenario({ pools: [{ ...pool, options: { speculativeConfig } }] });
    const messages = await run({ scenario, detail: 'tokens' });
    const events = messages.flatMap(({ content }) =>
      content.case === 'events' ? content.value.events : [],
    );
    const counts = events.flatMap(({ kind }) =>
      kind.case === 'tokens'
        ? kind.value.requestIds.map((_, i) => kind.value.numTokens[i] ?? 1)
        : [],
    );
    // Ten tokens each: the first alone, then three a step.
    expect([counts.length, Math.max(...counts)]).toEqual([20 * 4, 3]);
    expect(counts.reduce((sum, n) => sum + n)).toBe(200);
    const report = messages.at(-1)!.content.value as { simulationJson: string };
    expect(JSON.parse(report.simulationJson).speculation.acceptance_length).toBe(3);
    const steps = await run({ scenario, detail: 'steps' });
    const drafts = steps.flatMap(({ content }) =>
      content.case === 'events'
        ? content.value.events.map(({ kind }) =>
            kind.case === 'step' ? kind.value.draftTokens : 0,
          )
        : [],
    );
    expect(drafts.reduce((sum, n) => sum + n)).toBeGreaterThanOrEqual(20 * 3 * 2 - 20);
  });

  it('puts at most as many events into a message as asked for', async () => {
    const messages = await run({
      scenario: smallScenario(),
      detail: 'steps',
      maxEventsPerMessage: 3,
    });
    const sizes = messages.map(({ content }) =>
      content.case === 'events' ? content.value.events.length : 0,
    );
    expect(Math.max(...sizes)).toBe(3);
  });

  it('names requests by number when asked to', async () => {
    const request = { scenario: smallScenario(), detail: 'tokens' };
    const columns = async (more: object) =>
      (await run({ ...request, ...more })).flatMap(({ content }) =>
        content.case !== 'events'
          ? []
          : content.value.events.flatMap(({ kind }) =>
              kind.case === 'tokens' ? [kind.value] : [],
            ),
      );
    const ids = (await columns({})).map(({ requestIds }) => requestIds);
    const numbers = (await columns({ tokensByNumber: true })).map((batch) => batch.requestNumbers);
    expect(numbers.map((column) => column.map(String))).toEqual(ids);
  });

  it('keeps wall time when asked to', async () => {
    const request = { scenario: smallScenario(), detail: 'tokens' };
    const virtual = await run(request);
    const wall = await run({ ...request, clock: 'wall', speed: 50 });
    expect(kinds(wall)).toEqual(kinds(virtual));
    expect(wall.at(-1)).toEqual(virtual.at(-1));
  });

  it.each([
    ['an unknown detail', { detail: 'everything' }, grpc.status.INVALID_ARGUMENT, 'detail'],
    ['an unknown clock', { clock: 'sand' }, grpc.status.INVALID_ARGUMENT, 'clock'],
    ['a negative speed', { speed: -1 }, grpc.status.INVALID_ARGUMENT, 'speed'],
    [
      'no scenario',
      { scenario: undefined },
      grpc.status.INVALID_ARGUMENT,
      'scenario: expected what runs',
    ],
    [
      'no pools',
      { scenario: smallScenario({ pools: [] }) },
      grpc.status.INVALID_ARGUMENT,
      'scenario.pools: expected at least one pool',
    ],
    [
      'an unknown model',
      { scenario: smallScenario({ pools: [{ model: 'llama-9', hardware: 'H100' }] }) },
      grpc.status.NOT_FOUND,
      'scenario.pools[0].model',
    ],
    [
      'unknown hardware',
      {
        scenario: smallScenario({
          pools: [{ model: 'meta-llama/Llama-3.1-8B-Instruct', hardware: 'H1000' }],
        }),
      },
      grpc.status.NOT_FOUND,
      'scenario.pools[0].hardware',
    ],
    [
      'a layout that cannot be',
      {
        scenario: smallScenario({
          pools: [
            {
              model: 'meta-llama/Llama-3.1-8B-Instruct',
              hardware: 'H100',
              options: { tensorParallelSize: 5 },
            },
          ],
        }),
      },
      grpc.status.INVALID_ARGUMENT,
      'scenario.pools[0].options.tensor_parallel_size',
    ],
    [
      'an unknown method of speculation',
      {
        scenario: smallScenario({
          pools: [
            {
              model: 'meta-llama/Llama-3.1-8B-Instruct',
              hardware: 'H100',
              options: { speculativeConfig: { method: 'guess', numSpeculativeTokens: 2 } },
            },
          ],
        }),
      },
      grpc.status.INVALID_ARGUMENT,
      'scenario.pools[0].options.speculative_config.method: expected one of ngram',
    ],
    [
      'a wrong load',
      { scenario: smallScenario({ workload: { requestRate: -1 } }) },
      grpc.status.INVALID_ARGUMENT,
      'scenario.workload.request_rate',
    ],
    [
      'an unknown router',
      { scenario: smallScenario({ router: 'psychic' }) },
      grpc.status.INVALID_ARGUMENT,
      'scenario.router',
    ],
  ])('refuses %s, naming the field', async (_, change, code, field) => {
    const error = await errorOf(run({ scenario: smallScenario(), ...change }));
    expect([error.code, error.details.slice(0, field.length)]).toEqual([code, field]);
    expect(detailsOf(error)).toEqual(['ErrorInfo', 'BadRequest']);
  });

  const longRun = {
    detail: 'tokens',
    scenario: smallScenario({
      workload: {
        numPrompts: 2000,
        requestRate: 50,
        source: { case: 'random', value: { randomInputLen: 64, randomOutputLen: 50 } },
      },
    }),
  };

  it('waits for a reader that does not read, and tells it everything when it does', async () => {
    const { method } = SimulateService;
    const reader = closedReader(on.server.address, method.simulate, [longRun]);
    await until(() => on.server.rpc.numRuns === 1);
    // Meanwhile others are told all of the same run.
    const told = await run(longRun);
    await run(longRun);
    expect(on.server.rpc.numRuns).toBe(1);
    expect(told.length).toBeGreaterThan(20);
    expect(await reader.read()).toEqual(told);
    await until(() => on.server.rpc.numRuns === 0);
  });

  it('ends with a reader that never reads', async () => {
    const reader = closedReader(on.server.address, SimulateService.method.simulate, [longRun]);
    await until(() => on.server.rpc.numRuns === 1);
    reader.leave();
    await until(() => on.server.rpc.numRuns === 0);
  });

  it.each([
    ['as many requests as are drawn', { numPrompts: 1e9, requestRate: 5 }],
    ['an endless ramp', { numPrompts: 1e8, rampUpStrategy: 'linear', rampUpEndRps: 1 }],
  ])('does not begin %s', async (_, workload) => {
    const error = await errorOf(run({ scenario: smallScenario({ workload }) }));
    expect(error.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  });

  it('ends a run whose deadline has passed', async () => {
    const endless = smallScenario({
      workload: { numPrompts: 1e6, requestRate: 1, source: { case: 'random', value: {} } },
    });
    const call = on.client.simulate!(
      { scenario: endless, clock: 'wall' },
      { deadline: Date.now() + 50 },
    );
    const error = await errorOf(collect(call));
    expect(error.code).toBe(grpc.status.DEADLINE_EXCEEDED);
    await until(() => on.server.rpc.numRuns === 0);
  });
});

describe('Generate over gRPC', () => {
  const clock = new ManualClock();
  const on = served(SimulateService, { clock });

  it('sends tokens when their step is over, and how it ended', async () => {
    const got: object[] = [];
    const call = on.client.generate!({
      prompt: { case: 'promptTokens', value: 5 },
      maxTokens: 3,
      ignoreEos: true,
    });
    call.on('data', (message: { atMs: number; numTokens: number; finish?: object }) =>
      got.push({ at: message.atMs, n: message.numTokens, done: message.finish !== undefined }),
    );
    await until(() => on.server.cluster.numUnfinished === 1);
    for (let i = 1; i <= 3; i++) {
      clock.advance(ms(10));
      await until(() => got.length === i);
    }
    expect(got).toEqual([
      { at: 10, n: 1, done: false },
      { at: 20, n: 1, done: false },
      { at: 30, n: 1, done: true },
    ]);
  });

  it('adds up what a slow reader has not taken', async () => {
    const call = on.client.generate!({
      prompt: { case: 'text', value: 'Count to a hundred.' },
      maxTokens: 100,
      ignoreEos: true,
    });
    const messages = collect<{ numTokens: number; text: string; finish?: object }>(call);
    await until(() => on.server.cluster.numUnfinished === 1);
    clock.advance(ms(2000));
    const got = await messages;
    expect(got.length).toBe(1);
    expect(got[0]).toMatchObject({
      numTokens: 100,
      finish: { finishReason: 'length', outputTokens: 100 },
    });
    expect(got[0]!.text.length).toBeGreaterThan(100);
  });

  it('frees the KV of a caller who goes away', async () => {
    const freeBlocks = () => on.server.cluster.snapshot()[0]!.freeBlocks;
    const free = freeBlocks();
    const call = on.client.generate!({
      prompt: { case: 'promptTokens', value: 40 },
      maxTokens: 100,
    });
    call.on('error', () => {});
    await until(() => on.server.cluster.numUnfinished === 1);
    clock.advance(ms(30));
    expect(freeBlocks()).toBeLessThan(free);
    call.cancel();
    await until(() => {
      clock.advance(0);
      return on.server.cluster.counts.aborted > 0;
    });
    expect(freeBlocks()).toBe(free);
    expect(on.server.cluster.numUnfinished).toBe(0);
  });

  it.each([
    ['an unknown model', { model: 'gpt-9' }, grpc.status.NOT_FOUND],
    ['no prompt', { prompt: { case: undefined } }, grpc.status.INVALID_ARGUMENT],
    [
      'a prompt over the window',
      { prompt: { case: 'promptTokens', value: 256 } },
      grpc.status.INVALID_ARGUMENT,
    ],
    ['an answer over the window', { maxTokens: 255 }, grpc.status.INVALID_ARGUMENT],
    ['no length to ignore the end at', { ignoreEos: true }, grpc.status.INVALID_ARGUMENT],
  ])('refuses %s', async (_, change, code) => {
    const request = { prompt: { case: 'promptTokens', value: 5 }, ...change };
    const error = await errorOf(collect(on.client.generate!(request)));
    expect(error.code).toBe(code);
    expect(detailsOf(error)).toEqual(['ErrorInfo', 'BadRequest']);
    expect(on.server.cluster.numUnfinished).toBe(0);
  });
});

describe('StatusService over gRPC', () => {
  const clock = new ManualClock();
  const on = served(StatusService, { clock });

  it('tells the state of the live cluster', async () => {
    const subscription = on.server.cluster
      .request$({ promptTokens: 8, maxTokens: 100 })
      .subscribe();
    clock.advance(ms(10));
    expect(await unary(on.client, 'getStatus', {})).toMatchObject({
      status: {
        atMs: 10,
        runningRequests: 1,
        pendingRequests: 0,
        inflightBatches: 1,
        instances: [{ numRunning: 1, numBlocks: 100, model: 'small' }],
      },
    });
    subscription.unsubscribe();
    clock.advance(0);
  });

  it('tells it again when it changes', async () => {
    const call = on.client.watchStatus!({ intervalMs: 10, onlyChanges: true });
    call.on('error', () => {});
    const seen: number[] = [];
    call.on('data', ({ status }: { status: { runningRequests: number } }) =>
      seen.push(status.runningRequests),
    );
    await until(() => seen.length === 1);
    const subscription = on.server.cluster
      .request$({ promptTokens: 8, maxTokens: 100 })
      .subscribe();
    clock.advance(ms(10));
    await until(() => seen.length === 2);
    expect(seen).toEqual([0, 1]);
    call.cancel();
    subscription.unsubscribe();
    clock.advance(0);
  });

  it('lists models and hardware', async () => {
    const { models } = await unary(on.client, 'listModels', {});
    expect((models as { name: string }[]).map(({ name }) => name)).toContain('qwen/Qwen3-8B');
    expect((models as { served: boolean }[]).filter(({ served }) => served)).toEqual([
      expect.objectContaining({ name: 'small', maxModelLen: 256 }),
    ]);
    const { hardware } = await unary(on.client, 'listHardware', {});
    expect((hardware as { name: string }[]).map(({ name }) => name)).toContain('H100');
  });
});
