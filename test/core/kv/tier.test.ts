import { describe, expect, it } from 'vitest';
import { Chain } from '../../../src/core/kv/chain.js';
import { Strand } from '../../../src/core/kv/strand.js';
import { Tier } from '../../../src/core/kv/tier.js';
import { RequestTable } from '../../../src/core/request/request.js';
import { Rng } from '../../../src/core/rng.js';

/** Strands of different contents that begin at the root. */
function strands(count: number): Strand[] {
  const root = Strand.root(4);
  const table = new RequestTable();
  return Array.from({ length: count }, (_, content) => {
    const chain = new Chain(4, 0);
    chain.begin(
      table.open(0, { promptTokens: 400, maxTokens: 1, prompt: [{ content, length: 400 }] }, 999),
    );
    chain.moveTo(0);
    const strand = root.turnOff(0, chain);
    strand.users++;
    return strand;
  });
}

/** The same, block by block: least recent first, by strand and position. */
class PlainTier {
  readonly blocks: string[] = [];
  constructor(
    private readonly capacity: number,
    private readonly below: PlainTier | undefined,
  ) {}

  store(strand: number, from: number, to: number): void {
    for (let at = to - 1; at >= from; at--) this.#store(`${strand}:${at}`);
  }

  #store(block: string): void {
    const place = this.blocks.indexOf(block);
    if (place >= 0) this.blocks.splice(place, 1);
    this.blocks.push(block);
    if (this.blocks.length <= this.capacity) return;
    const forgotten = this.blocks.shift()!;
    if (this.below) this.below.#store(forgotten);
  }
}

const blocksOf = (tier: Tier, all: readonly Strand[]): string[] =>
  [...tier].flatMap(({ strand, from, to }) =>
    Array.from({ length: to - from }, (_, i) => `${all.indexOf(strand)}:${to - 1 - i}`),
  );

describe('Tier', () => {
  it('forgets the least recent first, and of a chain the tail', () => {
    const [a, b] = strands(2) as [Strand, Strand];
    const below = new Tier({ index: 1, capacityBlocks: 2, below: undefined });
    const tier = new Tier({ index: 0, capacityBlocks: 4, below });
    tier.store(a, 0, 3);
    tier.store(b, 0, 2);
    expect([tier.holds(a, 0), tier.holds(b, 0)]).toEqual([2, 2]);
    expect(below.holds(a, 2)).toBe(1);
    tier.store(a, 0, 2); // Asked for: newer than b now.
    tier.store(b, 4, 7); // Three more.
    expect([tier.holds(a, 0), tier.holds(b, 0), tier.holds(b, 4)]).toEqual([1, 0, 3]);
    expect([below.holds(b, 0), below.holds(a, 1), below.numBlocks]).toEqual([1, 1, 2]);
  });

  it('passes on what it cannot hold at all', () => {
    const [a] = strands(1) as [Strand];
    const below = new Tier({ index: 1, capacityBlocks: Infinity, below: undefined });
    const tier = new Tier({ index: 0, capacityBlocks: 2, below });
    tier.store(a, 0, 5);
    expect([tier.holds(a, 0), below.holds(a, 2)]).toEqual([2, 3]);
    expect([tier.numWritten, tier.numEvicted]).toEqual([5, 3]);
  });

  it('keeps pieces as if it kept blocks, whatever comes', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new Rng(seed).stream('tier');
      const all = strands(3);
      const capacities = [random.integer(0, 8), random.integer(0, 12)] as const;
      const below = new Tier({ index: 1, capacityBlocks: capacities[1], below: undefined });
      const tier = new Tier({ index: 0, capacityBlocks: capacities[0], below });
      const plainBelow = new PlainTier(capacities[1], undefined);
      const plain = new PlainTier(capacities[0], plainBelow);
      for (let i = 0; i < 40; i++) {
        const strand = random.integer(0, 2);
        const from = random.integer(0, 8);
        const to = from + random.integer(1, 5);
        tier.store(all[strand]!, from, to);
        plain.store(strand, from, to);
        expect({ seed, i, blocks: blocksOf(tier, all) }).toEqual({ seed, i, blocks: plain.blocks });
        expect({ seed, i, blocks: blocksOf(below, all) }).toEqual({
          seed,
          i,
          blocks: plainBelow.blocks,
        });
        const held = (at: number): boolean => plain.blocks.includes(`${strand}:${at}`);
        let end = from;
        while (held(end)) end++;
        expect(tier.holds(all[strand]!, from)).toBe(end - from);
      }
    }
  });
});
