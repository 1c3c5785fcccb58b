import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  builtInTokenizer,
  OutputText,
  type OutputTextOptions,
  synthesise,
  type Tokenizer,
} from '../../src/text/index.js';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await builtInTokenizer('cl100k_base');
});
const make = (options: Partial<OutputTextOptions>) =>
  new OutputText({ tokenizer, seed: 1, maxTokens: 100, finishReason: 'length', ...options });
const pieces = (output: OutputText) =>
  Array.from({ length: output.numTokens }, (_, i) => output.piece(i));

describe('OutputText', () => {
  it('without stop strings is the synthesised text, of the length asked for', () => {
    const output = make({});
    expect(output.text()).toBe(synthesise(100, 1, tokenizer).text);
    expect(output).toMatchObject({ numTokens: 100, finishReason: 'length', stopReason: undefined });
  });

  it('ends in a full stop when it stops by itself, and keeps its length', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 3, max: 200 }), (seed, maxTokens) => {
        const text = make({ seed, maxTokens, finishReason: 'stop' }).text();
        expect(tokenizer.count(text)).toBe(maxTokens);
        expect(text).toMatch(/[a-z]\.$/);
      }),
    );
  });

  it('ends before the first stop string, as a search of the whole text would find it', () => {
    const stops = fc.subarray([' the', '.', ', ', 'er', '.\n\n', 'ing th', 'zzz', ' This'], {
      minLength: 1,
    });
    fc.assert(
      fc.property(fc.nat(), stops, fc.boolean(), (seed, stop, includeStop) => {
        const whole = synthesise(200, seed, tokenizer);
        const output = make({ seed, maxTokens: 200, stop, includeStop });
        // Token by token, as a server does it.
        let seen = '';
        let numTokens = 0;
        let starts: number[] = [];
        while (numTokens < 200 && starts.length === 0) {
          seen += whole.pieces[numTokens++];
          starts = stop.map((s) => seen.indexOf(s)).filter((at) => at >= 0);
        }
        expect(output.numTokens).toBe(numTokens);
        expect(output.finishReason).toBe(starts.length > 0 ? 'stop' : 'length');
        if (!includeStop && starts.length > 0) {
          expect(output.text()).toBe(seen.slice(0, Math.min(...starts)));
        }
        if (includeStop && starts.length > 0) {
          expect(output.text().endsWith(output.stopReason!)).toBe(true);
        }
        expect(pieces(output).join('')).toBe(output.text());
        expect(output.text(3, 9)).toBe(pieces(output).slice(3, 9).join(''));
      }),
      { numRuns: 300 },
    );
  });

  it('shows nothing of a stop string that spans tokens', () => {
    const whole = synthesise(100, 1, tokenizer);
    const stop = whole.pieces.slice(10, 13).join('');
    const output = make({ stop: [stop] });
    expect(output).toMatchObject({ numTokens: 13, finishReason: 'stop', stopReason: stop });
    expect(pieces(output).slice(9)).toEqual([whole.pieces[9], '', '', '']);
  });

  it('does not stop within the first minTokens tokens', () => {
    const first = make({ stop: ['.'] }).numTokens;
    const output = make({ stop: ['.'], minTokens: first });
    expect(output.numTokens).toBeGreaterThan(first);
    expect(output.stopReason).toBe('.');
  });

  it('takes the empty stop string for none', () => {
    expect(make({ stop: [''] }).numTokens).toBe(100);
  });
});
