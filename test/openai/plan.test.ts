import { beforeAll, describe, expect, it } from 'vitest';
import type { GenerationRequest } from '../../src/openai/generation.js';
import type { LiveModel } from '../../src/openai/live-model.js';
import { planAnswers } from '../../src/openai/plan.js';
import { contentOfAnswer, preparePrompt, renderCompletion } from '../../src/text/index.js';
import { fakeService } from './support.js';

let model: LiveModel;
beforeAll(async () => {
  model = (await fakeService({ maxModelLen: 100_000 })).models[0]!;
});
const request: GenerationRequest = {
  model: 'tiny',
  stream: false,
  includeUsage: false,
  continuousUsage: false,
  maxTokens: undefined,
  minTokens: 0,
  ignoreEos: false,
  n: 1,
  stop: [],
  includeStop: false,
  seed: undefined,
  temperature: undefined,
  priority: 0,
  cacheSalt: undefined,
};
const plan = (more: Partial<GenerationRequest>, uniqueSeed = 1, text = 'some prompt') =>
  planAnswers({
    model,
    request: { ...request, ...more },
    prompt: preparePrompt(renderCompletion(text, model.template), model.tokenizer),
    param: 'prompt',
    uniqueSeed,
  });
const textOf = (more: Partial<GenerationRequest>, uniqueSeed?: number, text?: string) =>
  plan(more, uniqueSeed, text)[0]!.output.text();

describe('planAnswers', () => {
  it('with ignore_eos generates exactly max_tokens', () => {
    const [answer] = plan({ ignoreEos: true, maxTokens: 321 });
    expect(answer!.spec).toMatchObject({ maxTokens: 321, finishReason: 'length', promptTokens: 2 });
    expect(model.tokenizer.count(answer!.output.text())).toBe(321);
  });

  it('draws lengths with a mean of about 200 where the request leaves them open', () => {
    const lengths = Array.from({ length: 4_000 }, (_, seed) => plan({}, seed)[0]!.spec);
    const mean = lengths.reduce((sum, { maxTokens }) => sum + maxTokens, 0) / lengths.length;
    expect(mean).toBeGreaterThan(190);
    expect(mean).toBeLessThan(212);
    expect(new Set(lengths.map(({ finishReason }) => finishReason))).toEqual(new Set(['stop']));
  });

  it('cuts a longer answer at max_tokens, and says length', () => {
    for (let seed = 0; seed < 200; seed++) {
      const [{ spec: open }] = plan({}, seed) as [(typeof all)[0]];
      const all = plan({ maxTokens: 100 }, seed);
      const { spec } = all[0]!;
      expect(spec.maxTokens).toBe(Math.min(100, open.maxTokens));
      expect(spec.finishReason).toBe(open.maxTokens <= 100 ? 'stop' : 'length');
    }
  });

  it('gives at least min_tokens', () => {
    for (let seed = 0; seed < 100; seed++) {
      expect(plan({ minTokens: 300 }, seed)[0]!.spec.maxTokens).toBeGreaterThanOrEqual(300);
    }
  });

  it('answers the same to the same seed and prompt, whatever the request’s number', () => {
    expect(textOf({ seed: 7 }, 1)).toBe(textOf({ seed: 7 }, 2));
    expect(textOf({ seed: 7 })).not.toBe(textOf({ seed: 8 }));
    expect(textOf({ seed: 7 }, 1, 'other')).not.toBe(textOf({ seed: 7 }));
    expect(textOf({ temperature: 0 }, 1)).toBe(textOf({ temperature: 0 }, 2));
    expect(textOf({}, 1)).not.toBe(textOf({}, 2));
  });

  it('gives n different answers', () => {
    const answers = plan({ n: 4, ignoreEos: true, maxTokens: 50 });
    expect(new Set(answers.map(({ output }) => output.text())).size).toBe(4);
  });

  it('fixes length and reason by the stop string', () => {
    const [answer] = plan({ stop: ['.'], ignoreEos: true, maxTokens: 500 });
    expect(answer!.spec.finishReason).toBe('stop');
    expect(answer!.spec.maxTokens).toBeLessThan(40);
    expect(answer!.output.text()).not.toContain('.');
  });

  it('names the answer, so that a later prompt may contain it', () => {
    const [{ spec, output }] = plan({ maxTokens: 30 }) as [ReturnType<typeof plan>[0]];
    expect(spec.outputContent).toBe(contentOfAnswer(output.text()));
  });
});
