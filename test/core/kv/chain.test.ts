import { describe, expect, it } from 'vitest';
import type { RequestSpec } from '../../../src/core/engine.js';
import { Chain } from '../../../src/core/kv/chain.js';
import { RequestTable } from '../../../src/core/request/request.js';

const table = new RequestTable();
const request = (spec: RequestSpec) => table.open(0, spec, 1000);

/** Blocks of four tokens from `block` on, as the cursor sees them. */
function at(spec: RequestSpec, block: number, lookahead = 0): Chain {
  const chain = new Chain(4, lookahead);
  chain.begin(request(spec));
  chain.moveTo(block);
  return chain;
}

describe('Chain', () => {
  it('sees whole blocks of one content as a run', () => {
    const spec = { promptTokens: 14, maxTokens: 1, prompt: [{ content: 7, length: 14, first: 3 }] };
    expect(at({ ...spec, outputContent: 8 }, 1)).toMatchObject({ content: 7, first: 7, blocks: 2 });
  });

  it('joins segments that continue one another', () => {
    const whole = at({ promptTokens: 8, maxTokens: 1, prompt: [{ content: 7, length: 8 }] }, 0);
    const parts = [
      { content: 7, length: 3 },
      { content: 7, length: 5, first: 3 },
    ];
    const joined = at({ promptTokens: 8, maxTokens: 1, prompt: parts }, 0);
    expect([joined.key, joined.blocks, joined.numPieces]).toEqual([whole.key, 2, 0]);
  });

  it('spells a block across a seam as its pieces', () => {
    const prompt = [
      { content: 1, length: 6 },
      { content: 2, length: 2, first: 9 },
    ];
    const chain = at({ promptTokens: 8, maxTokens: 4, prompt, outputContent: 3 }, 1);
    expect(chain.pieces.slice(0, chain.numPieces)).toEqual([1, 4, 2, 2, 9, 2]);
    expect(chain.blocks).toBe(1);
    chain.moveTo(2);
    expect(chain).toMatchObject({ content: 3, first: 0, blocks: Infinity, numPieces: 0 });
  });

  it('takes in the token after a block where its content depends on it', () => {
    const prompt = [{ content: 1, length: 8 }];
    const chain = at({ promptTokens: 8, maxTokens: 9, prompt, outputContent: 3 }, 0, 1);
    expect(chain).toMatchObject({ content: 1, first: 0, blocks: 1, numPieces: 0 });
    chain.moveTo(1);
    expect(chain.pieces.slice(0, chain.numPieces)).toEqual([1, 4, 4, 3, 0, 1]);
  });

  it('keeps what a request does not name to itself', () => {
    const spec = { promptTokens: 8, maxTokens: 4 };
    const [one, two] = [at(spec, 0), at(spec, 0)];
    expect(one.blocks).toBe(Infinity);
    expect(one.content).not.toBe(two.content);
    const answer = at({ ...spec, outputContent: 5 }, 2);
    expect(answer).toMatchObject({ content: 5, first: 0 });
  });
});
