/** Virtual time over gRPC is the run in process: whatever is simulated, the report has the same bytes. */

import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Report, ReportSchema } from '../../gen/llmservingsim/v1/report_pb.js';
import { type Scenario, ScenarioSchema } from '../../gen/llmservingsim/v1/scenario_pb.js';
import { type SimulateResponse, SimulateService } from '../../gen/llmservingsim/v1/service_pb.js';
import { start } from '../../src/cli/compose.js';
import { ConfigError } from '../../src/core/errors.js';
import { PERCENTILES, reportMessage } from '../../src/rpc/messages/report.js';
import { composeScenario } from '../../src/rpc/scenario.js';
import { served } from './served.js';
import { collect, composer } from './support.js';

const NUM_RUNS = Number(process.env.PROPERTY_RUNS ?? 1) * 60;

type PoolInit = NonNullable<MessageInitShape<typeof ScenarioSchema>['pools']>[number];

/** Each feature is drawn on its own, so that they meet in all combinations. */
const scenarios: fc.Arbitrary<Scenario> = fc
  .record({
    seed: fc.nat(1000),
    router: fc.constantFrom('round_robin', 'least_loaded', 'random'),
    numInstances: fc.integer({ min: 1, max: 3 }),
    layout: fc.constantFrom(
      {},
      { tensorParallelSize: 2 },
      { pipelineParallelSize: 2 },
      { dataParallelSize: 2 },
      { tensorParallelSize: 2, pipelineParallelSize: 4 },
    ),
    speculation: fc.option(
      fc.record({
        method: fc.constantFrom('ngram', 'eagle'),
        numSpeculativeTokens: fc.integer({ min: 1, max: 4 }),
        acceptance: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
          minLength: 1,
          maxLength: 3,
        }),
      }),
      { nil: undefined },
    ),
    numLoras: fc.constantFrom(0, 0, 3, 12),
    maxLoras: fc.integer({ min: 1, max: 3 }),
    tierGib: fc.constantFrom(0, 0, 0.05, 4),
    asyncScheduling: fc.boolean(),
    schedulingPolicy: fc.constantFrom('fcfs', 'priority'),
    numGpuBlocksOverride: fc.constantFrom(undefined, 90, 400),
    maxNumSeqs: fc.integer({ min: 1, max: 40 }),
    prefixLen: fc.constantFrom(0, 0, 48, 200),
    numPrompts: fc.integer({ min: 1, max: 60 }),
    requestRate: fc.constantFrom(2, 30, 400, Infinity),
    randomInputLen: fc.integer({ min: 1, max: 300 }),
    randomOutputLen: fc.integer({ min: 1, max: 60 }),
    randomRangeRatio: fc.constantFrom(0, 0.5),
  })
  .map((drawn) => {
    const pool: PoolInit = {
      model: 'meta-llama/Llama-3.1-8B-Instruct',
      hardware: 'H100',
      numInstances: drawn.numInstances,
      options: {
        ...drawn.layout,
        ...(drawn.speculation && { speculativeConfig: drawn.speculation }),
        ...(drawn.numLoras > 0 && { enableLora: true, maxLoras: drawn.maxLoras }),
        ...(drawn.numGpuBlocksOverride && { numGpuBlocksOverride: drawn.numGpuBlocksOverride }),
        asyncScheduling: drawn.asyncScheduling,
        schedulingPolicy: drawn.schedulingPolicy,
        maxNumSeqs: drawn.maxNumSeqs,
        maxModelLen: 1024,
      },
      kvTiers: drawn.tierGib > 0 ? [{ name: 'cpu', capacityGib: drawn.tierGib }] : [],
    };
    const { randomInputLen, randomOutputLen, randomRangeRatio, prefixLen } = drawn;
    return create(ScenarioSchema, {
      seed: drawn.seed,
      router: drawn.router,
      pools: [pool],
      workload: {
        numPrompts: drawn.numPrompts,
        requestRate: drawn.requestRate,
        numLoras: drawn.numLoras,
        source: {
          case: 'random',
          value: { randomInputLen, randomOutputLen, randomRangeRatio, randomPrefixLen: prefixLen },
        },
      },
    });
  });

/** As `simulate` runs it; or the field that is refused. */
async function inProcess(scenario: Scenario): Promise<Uint8Array | string> {
  try {
    const composed = await composeScenario(scenario, { composer, allowFiles: false });
    const started = start(composed, { percentiles: PERCENTILES });
    while (!started.simulation.advance(1000));
    return toBinary(ReportSchema, create(ReportSchema, reportMessage(started.run(false))));
  } catch (error) {
    if (error instanceof ConfigError || (error as Error).name === 'ConnectError') {
      return (error as { rawMessage?: string }).rawMessage ?? (error as Error).message;
    }
    throw error;
  }
}

describe('a report over gRPC', () => {
  const on = served(SimulateService);

  const reportOf = async (request: object): Promise<Report> => {
    const messages = await collect<SimulateResponse>(on.client.simulate!(request));
    return messages.at(-1)!.content.value as Report;
  };

  it(
    `has the bytes of the run in process, in ${NUM_RUNS} scenarios`,
    async () => {
      let simulated = 0;
      await fc.assert(
        fc.asyncProperty(scenarios, async (scenario) => {
          const expected = await inProcess(scenario);
          if (typeof expected === 'string') {
            await expect(reportOf({ scenario })).rejects.toMatchObject({ details: expected });
            return;
          }
          simulated++;
          const report = await reportOf({ scenario });
          expect(Buffer.from(toBinary(ReportSchema, report)).equals(expected)).toBe(true);
        }),
        { numRuns: NUM_RUNS, seed: 8 },
      );
      // What is refused would prove nothing.
      expect(simulated).toBeGreaterThan(NUM_RUNS / 2);
    },
    NUM_RUNS * 1000,
  );

  it('counts the same when every token is told, and recorded', async () => {
    await fc.assert(
      fc.asyncProperty(scenarios, async (scenario) => {
        if (typeof (await inProcess(scenario)) === 'string') return;
        const counts = ({ duration, completed, totalOutputTokens, instances }: Report) => ({
          duration,
          completed,
          totalOutputTokens,
          instances: instances.map(({ numSteps, speculation, lora, kvTiers }) => ({
            numSteps,
            speculation,
            lora,
            kvTiers,
          })),
        });
        const told = await reportOf({ scenario, detail: 'tokens', record: true });
        expect(counts(told)).toEqual(counts(await reportOf({ scenario })));
      }),
      { numRuns: 20, seed: 9 },
    );
  });

  it('tells what each instance did: bubbles, drafts, adapters, tiers', async () => {
    const pool = {
      model: 'meta-llama/Llama-3.1-8B-Instruct',
      hardware: 'H100',
      options: {
        pipelineParallelSize: 2,
        enableLora: true,
        speculativeConfig: { method: 'ngram', numSpeculativeTokens: 2, acceptance: [0.5] },
        numGpuBlocksOverride: 100,
        maxModelLen: 1024,
      },
      kvTiers: [{ name: 'cpu', capacityGib: 4 }],
    };
    const scenario = create(ScenarioSchema, {
      pools: [pool],
      workload: {
        numPrompts: 40,
        requestRate: 20,
        numLoras: 4,
        source: {
          case: 'random',
          value: { randomInputLen: 200, randomOutputLen: 20, randomPrefixLen: 64 },
        },
      },
    });
    const { instances, simulationJson } = await reportOf({ scenario });
    const [json] = JSON.parse(simulationJson).instances;
    const [instance] = instances;
    expect(instance).toMatchObject({
      numSteps: json.num_steps,
      busyMs: json.busy_ms,
      workMs: json.work_ms,
      speculation: { draftTokens: json.draft_tokens, acceptedTokens: json.accepted_tokens },
      lora: { loads: json.lora_loads, evictions: json.lora_evictions, loadMs: json.lora_load_ms },
      kvTiers: [{ name: 'cpu', hitTokens: json.kv_tiers[0].hit_tokens }],
    });
    expect(instance!.workMs).toBeLessThan(instance!.busyMs);
    expect(instance!.speculation!.acceptedTokens).toBeGreaterThan(0);
    expect(instance!.lora!.loads).toBeGreaterThan(3);
    expect(instance!.kvTiers[0]!.writtenBytes).toBeGreaterThan(0);
  });
});
