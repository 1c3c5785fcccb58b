import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from './run-cli.js';

const ON = '--model meta-llama/Llama-3.1-8B-Instruct --hardware H100';
const LOAD = '--num-prompts 60 --request-rate 4 --random-output-len 64';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'speculation-'));
  writeFileSync(join(folder, 'two.json'), '[2]');
  writeFileSync(join(folder, 'bad.jsonl'), '{"accepted":[1]}\n{"accepted":[1,"x"]}\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

const config = (more: object = {}) =>
  `--speculative-config '${JSON.stringify({ method: 'eagle', num_speculative_tokens: 3, ...more })}'`;
const simulate = (flags: string) => cli(`simulate ${ON} ${LOAD} ${flags}`);
const result = async (flags: string) => JSON.parse((await simulate(`${flags} --json`)).out);

describe('simulate --speculative-config', () => {
  it('says the same bytes for a seed, and others for another', async () => {
    const once = await simulate(`${config()} --json`);
    expect((await simulate(`${config()} --json`)).out).toBe(once.out);
    expect((await simulate(`${config()} --json --seed 1`)).out).not.toBe(once.out);
  });

  it('draws for every instance by itself', async () => {
    const { simulation } = await result(`${config()} --num-instances 2`);
    const [a, b] = simulation.instances;
    expect(a.draft_tokens).not.toBe(0);
    expect([a.draft_tokens, a.accepted_tokens]).not.toEqual([b.draft_tokens, b.accepted_tokens]);
  });

  it("reports acceptance under vLLM bench's keys, and in its own object", async () => {
    const r = await result(config({ acceptance: join(folder, 'two.json') }));
    expect(r.spec_decode_acceptance_length).toBe(3);
    expect(r.spec_decode_per_position_acceptance_rates).toEqual([1, 1, 0]);
    expect(r.spec_decode_accepted_tokens).toBe(2 * r.spec_decode_num_drafts);
    expect(r.simulation.speculation.accepted_fraction).toBeCloseTo(
      r.spec_decode_acceptance_rate / 100,
      12,
    );
    const plain = await result('');
    expect(plain.spec_decode_num_drafts).toBeUndefined();
    expect(plain.simulation.speculation).toBeNull();
    expect(plain.simulation.pools[0].options.speculative_config).toBeNull();
  });

  it('tells a person what held, and what is assumed', async () => {
    const { out } = await simulate(config({ acceptance: 1 }));
    expect(out).toMatch(
      /Speculation +100 % of [\d,]+ drafts held \(by position 100 %, 100 %, 100 %\); 4\.00 tokens per verification/,
    );
    expect((await simulate(config())).out).toContain('Note: a draft of eagle is assumed to hold');
  });

  it('shows the drafter in memory and in a step', async () => {
    const draft = config({ method: 'draft_model', model: 'meta-llama/Llama-3.2-1B-Instruct' });
    const dry = await simulate(`${draft} --dry-run`);
    expect(dry.out).toContain('− weights of the drafter');
    expect(dry.out).toContain('verifying 3 drafts');
    const explained = await cli(`explain ${ON} ${draft} --batch decode=8@1000`);
    expect(explained.out).toContain('draft: gate and up projection');
    const ngram = await cli(`explain ${ON} ${config({ method: 'ngram' })} --batch decode=8@1000`);
    expect(ngram.out).toContain('looking drafts up (CPU)');
  });

  it('explains a drafter of another precision than its model', async () => {
    const target = ON.replace('8B', '70B');
    const draft = config({ method: 'draft_model', model: 'meta-llama/Llama-3.2-1B-Instruct' });
    const flags = '-tp 2 --quantization fp8 --batch decode=8@1000';
    const { code, out } = await cli(`explain ${target} ${draft} ${flags}`);
    expect(code).toBe(0);
    expect(out).toContain('gemm_memory (bf16)');
    expect(out).toContain('gemm_memory (fp8)');
  });

  it.each<[string, string]>([
    [
      config({ num_speculative_tokens: 0 }),
      '--speculative-config: num_speculative_tokens: expected a whole number from 1 to 64, got 0',
    ],
    [
      `${config({ method: 'ngram' })} --async-scheduling`,
      '--async-scheduling: expected false with ngram',
    ],
    [
      config({ acceptance: 'none.json' }),
      '--speculative-config: acceptance: expected a readable file',
    ],
    [
      config({ acceptance: 'BAD' }),
      'bad.jsonl:2: accepted[1]: expected a whole number from 0 to 255, got "x"',
    ],
  ])('refuses %s', async (flags, message) => {
    const { code, err } = await simulate(flags.replace('BAD', join(folder, 'bad.jsonl')));
    expect(code).toBe(1);
    expect(err).toContain(message);
  });
});
