/** `EstimateStep`: one step of a pool, operator by operator. */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { ScenarioSchema } from '../../../gen/llmservingsim/v1/scenario_pb.js';
import type {
  EstimateStepRequest,
  EstimateStepResponseSchema,
} from '../../../gen/llmservingsim/v1/service_pb.js';
import type { StepShape } from '../../core/engine.js';
import { explainStep } from '../../core/perf/explain.js';
import { withDrafts } from '../../core/perf/speculation.js';
import { shapeOfBatch } from '../../core/step-shape.js';
import { invalidField } from '../errors.js';
import { type ComposeOptions, composeScenario, type Place } from '../scenario.js';

const PLACE: Place = { scenario: 'pool', pool: () => 'pool' };

export async function estimateStep(
  request: EstimateStepRequest,
  options: ComposeOptions,
): Promise<MessageInitShape<typeof EstimateStepResponseSchema>> {
  if (!request.pool) throw invalidField('pool', 'where the step runs', undefined);
  const scenario = create(ScenarioSchema, { pools: [request.pool] });
  const { pools } = await composeScenario(scenario, options, PLACE);
  const pool = pools[0]!;
  const { seconds, rows } = explainStep(
    pool,
    withDrafts(shapeOf(request, pool.cost.window), pool.scheduler),
  );
  return {
    durationMs: seconds * 1e3,
    operators: rows.map((row) => ({
      name: row.name,
      durationMs: row.seconds * 1e3,
      bound: row.bound,
      flop: row.flop,
      bytes: row.bytes,
      linkBytes: row.linkBytes,
      count: row.count,
    })),
    level: pool.level,
  };
}

/** Prompts of equal length, decodes of equal context. */
function shapeOf(request: EstimateStepRequest, window: number): StepShape {
  const { numDecodes, decodeContext, prefillTokens, prefillHistory } = request;
  const numPrefills = prefillTokens === 0 ? 0 : request.numPrefills || 1;
  if (numDecodes + prefillTokens === 0) {
    throw invalidField('num_decodes', 'a decode, or prefill_tokens', 0);
  }
  if (numDecodes > 0 && decodeContext < 1) {
    throw invalidField('decode_context', 'tokens each decode attends to, at least 1', 0);
  }
  if (numPrefills > prefillTokens) {
    throw invalidField('num_prefills', 'at most prefill_tokens', numPrefills);
  }
  const chunk = numPrefills === 0 ? 0 : prefillTokens / numPrefills;
  const history = numPrefills === 0 ? 0 : prefillHistory / numPrefills;
  return shapeOfBatch(
    [
      { numPrefills, chunk, history },
      { numDecodes, context: decodeContext },
    ],
    window,
  );
}
