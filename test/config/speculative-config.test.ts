import { describe, expect, it } from 'vitest';
import { scenarioFromData } from '../../src/config/scenario-file.js';
import { requestFromProto } from '../../src/config/scenario-from-proto.js';
import {
  speculationFromRequest,
  speculativeFromJson,
} from '../../src/config/speculative-config.js';

const FLAG = '--speculative-config';
const RECORDED = [[2, 0, 1]];

const ofFlag = (config: object | string) =>
  speculationFromRequest(
    speculativeFromJson(typeof config === 'string' ? config : JSON.stringify(config)),
    FLAG,
    () => RECORDED,
  );

/** The same object in a scenario file. */
function ofFile(config: unknown) {
  const pool = { model: 'qwen/Qwen3-8B', hardware: 'A100' };
  const data = { pools: [{ ...pool, options: { speculative_config: config } }] };
  const { pools } = requestFromProto(scenarioFromData(data, 's.yaml'), 's.yaml');
  const at = 's.yaml: pools[0].options.speculative_config';
  return speculationFromRequest(pools[0]!.speculativeConfig!, at, () => RECORDED);
}

const NGRAM = { method: 'ngram', num_speculative_tokens: 3 };

describe('speculative config', () => {
  it.each<[object, object]>([
    [NGRAM, { method: 'ngram', numSpeculativeTokens: 3 }],
    [
      { ...NGRAM, prompt_lookup_max: 5, prompt_lookup_min: 2 },
      { method: 'ngram', numSpeculativeTokens: 3 },
    ],
    [
      { ...NGRAM, method: 'deepseek_mtp' },
      { method: 'mtp', numSpeculativeTokens: 3 },
    ],
    [
      { model: 'yuhuili/EAGLE3-LLaMA3.1-Instruct-8B', num_speculative_tokens: 2 },
      { method: 'eagle3', numSpeculativeTokens: 2 },
    ],
    [
      { ...NGRAM, acceptance: 0.6 },
      { method: 'ngram', numSpeculativeTokens: 3, acceptance: { kind: 'rates', rates: [0.6] } },
    ],
    [
      { ...NGRAM, acceptance: [0.9, 0.5] },
      {
        method: 'ngram',
        numSpeculativeTokens: 3,
        acceptance: { kind: 'rates', rates: [0.9, 0.5] },
      },
    ],
    [
      { ...NGRAM, acceptance: 'runs/a.jsonl' },
      {
        method: 'ngram',
        numSpeculativeTokens: 3,
        acceptance: { kind: 'recorded', counts: RECORDED },
      },
    ],
  ])('means the same as a flag and in a file: %j', (config, spec) => {
    expect(ofFlag(config)).toEqual(spec);
    expect(ofFile(config)).toEqual(spec);
  });

  it('looks up the draft model, and takes a model without a method for one', () => {
    const config = {
      model: 'qwen/qwen3-0.6b',
      num_speculative_tokens: 4,
      draft_tensor_parallel_size: 1,
    };
    for (const spec of [ofFlag(config), ofFile(config)]) {
      expect(spec).toMatchObject({ method: 'draft_model', draftTensorParallelSize: 1 });
      expect(spec.draft!.name).toBe('qwen/Qwen3-0.6B');
    }
  });

  it.each<[object | string, string]>([
    [
      'ngram',
      `${FLAG}: expected a JSON object such as {"method":"ngram","num_speculative_tokens":3}, got "ngram"`,
    ],
    [
      { ...NGRAM, acceptence: 1 },
      `${FLAG}: acceptence: expected one of method, num_speculative_tokens, model`,
    ],
    [{ ...NGRAM, acceptence: 1 }, 'Did you mean acceptance?'],
    [{ method: 3 }, `${FLAG}: method: expected a text, got 3`],
    [
      { ...NGRAM, method: 'eagle2' },
      `${FLAG}: method: expected one of ngram, draft_model, eagle, eagle3, mtp, got "eagle2"`,
    ],
    [
      { num_speculative_tokens: 3 },
      `${FLAG}: method: expected one of ngram, draft_model, eagle, eagle3, mtp, got nothing`,
    ],
    [
      { method: 'ngram' },
      `${FLAG}: num_speculative_tokens: expected a whole number from 1 to 64, got nothing`,
    ],
    [
      { ...NGRAM, num_speculative_tokens: 0 },
      `${FLAG}: num_speculative_tokens: expected a whole number from 1 to 64, got 0`,
    ],
    [
      { ...NGRAM, num_speculative_tokens: '3' },
      `${FLAG}: num_speculative_tokens: expected a whole number, got "3"`,
    ],
    [
      { ...NGRAM, acceptance: 1.5 },
      `${FLAG}: acceptance: expected a probability in [0, 1], got 1.5`,
    ],
    [
      { ...NGRAM, acceptance: [0.5, -1] },
      `${FLAG}: acceptance[1]: expected a probability in [0, 1], got -1`,
    ],
    [
      { ...NGRAM, acceptance: true },
      `${FLAG}: acceptance: expected a probability, a list of them, or the path of a recording, got true`,
    ],
    [
      { ...NGRAM, prompt_lookup_max: 2, prompt_lookup_min: 3 },
      `${FLAG}: prompt_lookup_min: expected a whole number from 1 to 2, got 3`,
    ],
    [
      { ...NGRAM, method: 'draft_model' },
      `${FLAG}: model: expected the name of a draft model, got nothing`,
    ],
    [
      { ...NGRAM, method: 'draft_model', model: 'qwen/Qwen3-0.6' },
      `${FLAG}: model: expected a name of list-models, or the path of a config.json, got "qwen/Qwen3-0.6"`,
    ],
  ])('refuses %j', (config, message) => {
    expect(() => ofFlag(config)).toThrow(message);
  });

  it.each<[object, string]>([
    [
      { ...NGRAM, methud: 1 },
      's.yaml: pools[0].options.speculative_config.methud: expected one of method',
    ],
    [
      { ...NGRAM, acceptance: true },
      's.yaml: pools[0].options.speculative_config.acceptance: expected a list, got true',
    ],
    [
      { ...NGRAM, acceptance: [0.5, 2] },
      's.yaml: pools[0].options.speculative_config.acceptance[1]: expected a probability in [0, 1], got 2',
    ],
    [
      { ...NGRAM, acceptance: 0.5, acceptance_file: 'x' },
      'speculative_config.acceptance: expected probabilities or a file, not both, got [0.5]',
    ],
  ])('refuses %j in a file', (config, message) => {
    expect(() => ofFile(config)).toThrow(message);
  });
});
