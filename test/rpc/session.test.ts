import type { MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import {
  SimulateService,
  type SimulateStreamRequestSchema,
  type SimulateStreamResponse,
} from '../../gen/llmservingsim/v1/service_pb.js';
import { closedReader } from './closed-reader.js';
import { served } from './served.js';
import { collect, errorOf, smallScenario, until } from './support.js';

describe('SimulateStream', () => {
  const on = served(SimulateService, { limits: { maxConcurrentRuns: 2 } });

  const configure = (more: object = {}) => ({
    command: {
      case: 'configure',
      value: { scenario: smallScenario({ workload: undefined }), detail: 'requests', ...more },
    },
  });
  const submit = (request: object) => ({
    command: {
      case: 'submit',
      value: { request: { promptTokens: 100, outputTokens: 5, ...request } },
    },
  });
  const cancel = (requestId: string) => ({ command: { case: 'cancel', value: { requestId } } });
  const advance = (untilMs: number) => ({ command: { case: 'advance', value: { untilMs } } });

  /** Sends all commands, and tells what came back in short words. */
  async function talk(commands: object[]): Promise<string[]> {
    const call = on.client.simulateStream!();
    for (const command of commands) call.write(command);
    call.end();
    return (await collect<SimulateStreamResponse>(call)).flatMap(words);
  }

  const words = ({ content }: SimulateStreamResponse): string[] => {
    switch (content.case) {
      case 'events':
        return content.value.events.map(({ kind, instance }) => {
          const { requestId, finishReason } = kind.value as never as Record<string, string>;
          return `${kind.case} ${requestId}${finishReason ? ` ${finishReason}` : ''} @${instance}`;
        });
      case 'advanced':
        return [`advanced ${content.value.atMs}, ${content.value.numUnfinished} left`];
      default:
        return [content.case!];
    }
  };

  it('is a simulation in virtual time, one command after the other', async () => {
    expect(
      await talk([
        configure(),
        submit({ requestId: 'a' }),
        advance(25),
        submit({ requestId: 'b', arrivalMs: 500 }),
        advance(499),
        advance(Infinity),
      ]),
    ).toEqual([
      'requestArrive a @0',
      'requestSchedule a @0',
      'advanced 25, 1 left',
      'requestFinish a length @0',
      'advanced 499, 1 left',
      'requestArrive b @0',
      'requestSchedule b @0',
      'requestFinish b length @0',
      expect.stringMatching(/^advanced 5\d\d\..*, 0 left$/),
      'report',
    ]);
  });

  it('numbers its messages', async () => {
    const call = on.client.simulateStream!();
    for (const command of [configure(), submit({}), advance(1), submit({}), advance(2)])
      call.write(command);
    call.end();
    const numbers = (await collect<SimulateStreamResponse>(call)).map(({ sequence }) => sequence);
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
  });

  it('finishes what is under way when the caller has nothing more to say', async () => {
    expect((await talk([configure(), submit({ requestId: 'a' })])).slice(-2)).toEqual([
      'requestFinish a length @0',
      'report',
    ]);
  });

  it('cancels', async () => {
    const long = submit({ requestId: 'a', outputTokens: 1000 });
    expect(
      (await talk([configure(), long, advance(100), cancel('a'), cancel('b')])).slice(-3),
    ).toEqual(['advanced 100, 1 left', 'requestFinish a abort @0', 'report']);
  });

  it('gives the same as Simulate of the same requests', async () => {
    const requests = Array.from({ length: 30 }, (_, i) => ({
      requestId: `r${i}`,
      arrivalMs: i * 7,
      promptTokens: 50 + i,
      outputTokens: 1 + (i % 9),
    }));
    const scenario = smallScenario({
      workload: { source: { case: 'requests', value: { requests } } },
    });
    const one = await collect<SimulateStreamResponse>(on.client.simulate!({ scenario }));
    const call = on.client.simulateStream!();
    call.write(configure());
    for (const request of requests) call.write(submit(request));
    call.end();
    const other = await collect<SimulateStreamResponse>(call);
    const report = (messages: SimulateStreamResponse[]) => messages.at(-1)!.content.value as object;
    const numbers = ({ ...all }: object) => ({ ...all, simulationJson: '' });
    expect(numbers(report(other))).toEqual(numbers(report(one)));
  });

  it('keeps wall time, and jumps when told to', async () => {
    const call = on.client.simulateStream!();
    const messages = collect<SimulateStreamResponse>(call);
    call.write(configure({ clock: 'wall', speed: 1 }));
    call.write(submit({ requestId: 'a', outputTokens: 100_000 }));
    call.write({ command: { case: 'pause', value: {} } });
    call.write({ command: { case: 'resume', value: {} } });
    call.write({ command: { case: 'setSpeed', value: { speed: Infinity } } });
    call.end();
    expect((await messages).flatMap(words).slice(-2)).toEqual([
      'requestFinish a length @0',
      'report',
    ]);
  });

  it.each([
    ['in virtual time', {}],
    ['as fast as the wall clock goes', { clock: 'wall', speed: Infinity }],
  ])('waits for a reader that does not read %s', async (_, how) => {
    const commands = [
      configure({ detail: 'tokens', ...how }),
      ...Array.from({ length: 20 }, () => submit({ outputTokens: 5000 })),
    ] as MessageInitShape<typeof SimulateStreamRequestSchema>[];
    const { simulateStream } = SimulateService.method;
    const reader = closedReader(on.server.address, simulateStream, commands);
    await until(() => on.server.rpc.numRuns === 1);
    // Meanwhile others are told all of the same session.
    for (let i = 0; i < 2; i++) expect((await talk(commands)).at(-1)).toBe('report');
    expect(on.server.rpc.numRuns).toBe(1);
    const told = (await reader.read()).flatMap(({ content }) =>
      content.case === 'events' ? content.value.events.map(({ kind }) => kind) : [],
    );
    const numTokens = told.map((kind) =>
      kind.case === 'tokens' ? kind.value.requestIds.length : 0,
    );
    expect(numTokens.reduce((sum, n) => sum + n, 0)).toBe(20 * 5000);
    await until(() => on.server.rpc.numRuns === 0);
  });

  it('refuses more simulations than it runs at once', async () => {
    const calls = [0, 1, 2].map(() => {
      const call = on.client.simulateStream!();
      call.write(configure());
      return call;
    });
    const error = await errorOf(Promise.race(calls.map(collect)));
    expect([error.code, error.details.slice(0, 25)]).toEqual([8, '2 simulations are running']);
    for (const call of calls) {
      call.on('error', () => {});
      call.cancel();
    }
    await until(() => on.server.rpc.numRuns === 0);
  });

  it.each([
    ['a first command that is not configure', [advance(1)], 'command: expected configure, first'],
    ['a second configure', [configure(), configure()], 'command: expected configure only once'],
    ['a step back in time', [configure(), advance(5), advance(4)], 'advance.until_ms'],
    [
      'speed in virtual time',
      [configure(), { command: { case: 'setSpeed', value: { speed: 2 } } }],
      'set_speed',
    ],
    ['advance on the wall clock', [configure({ clock: 'wall' }), advance(4)], 'advance'],
    [
      'a taken name',
      [configure(), submit({ requestId: 'a' }), submit({ requestId: 'a' })],
      'submit.request.request_id',
    ],
    ['a load', [configure({ scenario: smallScenario() })], 'configure.scenario.workload'],
    [
      'an unknown model',
      [
        configure({
          scenario: smallScenario({
            workload: undefined,
            pools: [{ model: 'x', hardware: 'H100' }],
          }),
        }),
      ],
      'configure.scenario.pools[0].model',
    ],
  ])('refuses %s', async (_, commands, field) => {
    const { details } = await errorOf(talk(commands));
    expect(details.slice(0, field.length)).toBe(field);
  });
});
