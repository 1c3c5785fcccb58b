/**
 * KV below the GPU: host memory, a remote store. What the prefix cache forgets goes to the first tier,
 * what that forgets to the second, and what the last one forgets is gone.
 *
 * A look-up that ends on the GPU goes on here; what it finds is read into new blocks. Each tier has a
 * link of its own, on which reads come one after another; links are full duplex, so writing back takes
 * bandwidth in the other direction and nobody waits for it. What is read stays where it was.
 *
 * With no tiers configured there is none of this.
 *
 * @see vLLM v1, `OffloadingConnector` and `WAITING_FOR_REMOTE_KVS`
 */

import type { KvTierConfig } from '../engine.js';
import type { KvTierReport } from '../metrics/report.js';
import type { TimeNs } from '../units.js';
import type { Chain } from './chain.js';
import { Strand } from './strand.js';
import { Tier } from './tier.js';

/** Blocks in a row in one tier. */
interface Find {
  readonly tier: number;
  readonly strand: Strand;
  readonly from: number;
  readonly to: number;
}

export class KvTiers {
  /** Blocks found by the last look-up, after those on the GPU. */
  foundBlocks = 0;
  readonly tiers: readonly Tier[];
  #finds: Find[] = [];
  readonly #traffic: Traffic[];

  constructor(
    private readonly configs: readonly KvTierConfig[],
    private readonly blockSize: number,
  ) {
    const tiers: Tier[] = [];
    let below: Tier | undefined;
    for (let index = configs.length - 1; index >= 0; index--) {
      below = new Tier({ index, capacityBlocks: configs[index]!.capacityBlocks, below });
      tiers.unshift(below);
    }
    this.tiers = tiers;
    this.#traffic = configs.map(() => new Traffic());
  }

  newRoot(): Strand {
    return Strand.root(this.blockSize);
  }

  /** The GPU has forgotten positions `from … to − 1`. */
  store(strand: Strand, from: number, to: number): void {
    this.tiers[0]!.store(strand, from, to);
  }

  forgetFinds(): void {
    this.foundBlocks = 0;
    this.#finds.length = 0;
  }

  /**
   * Goes on with a look-up that found `blocks` blocks on the GPU, the last before position `at` of
   * `strand`: at most up to block `limit`.
   */
  lookUp(chain: Chain, blocks: number, limit: number, strand: Strand, at: number): void {
    for (let block = blocks; block < limit; ) {
      chain.moveTo(block);
      if (!strand.continues(at, chain)) {
        const turned = strand.find(at, chain);
        if (!turned) return;
        strand = turned;
        at = 0;
      }
      const end = at + Math.min(chain.blocks, limit - block);
      const start = at;
      at = this.#findOn(strand, at, end);
      block += at - start;
      this.foundBlocks += at - start;
      if (at < end) return;
    }
  }

  /** Up to which position, at most `end`, some tier holds what comes from `at` on; the fastest has it first. */
  #findOn(strand: Strand, at: number, end: number): number {
    for (let tier = 0; at < end && tier < this.tiers.length; ) {
      const count = Math.min(this.tiers[tier]!.holds(strand, at), end - at);
      if (count === 0) {
        tier++;
        continue;
      }
      // A faster tier may have some of these as well.
      const to = tier === 0 ? at + count : this.#beforeFaster(strand, at, at + count, tier);
      this.#finds.push({ tier, strand, from: at, to });
      at = to;
      tier = 0;
    }
    return at;
  }

  #beforeFaster(strand: Strand, from: number, to: number, tier: number): number {
    for (let faster = 0; faster < tier; faster++) {
      for (const piece of strand.held[faster] ?? []) {
        if (piece.from > from && piece.from < to) to = piece.from;
      }
    }
    return to;
  }

  /** Reads what the last look-up found for a request that asked for `tokens`; returns when it is there. */
  load(now: TimeNs, tokens: number): TimeNs {
    let done = now;
    this.configs.forEach((config, i) => {
      const traffic = this.#traffic[i]!;
      const blocks = this.#finds.reduce((n, f) => (f.tier === i ? n + f.to - f.from : n), 0);
      traffic.queryTokens += tokens;
      if (blocks === 0) return;
      tokens -= blocks * this.blockSize;
      traffic.hitTokens += blocks * this.blockSize;
      const readNs = blocks * config.readNsPerBlock;
      const start = Math.max(now, traffic.freeAt);
      traffic.freeAt = start + readNs;
      traffic.readBlocks += blocks;
      traffic.readNs += readNs;
      done = Math.max(done, traffic.freeAt + config.latencyNs);
    });
    for (const { tier, strand, from, to } of this.#finds.reverse()) {
      this.tiers[tier]!.store(strand, from, to);
    }
    this.forgetFinds();
    return Math.ceil(done);
  }

  /** A request was admitted that asked for `tokens` in vain. */
  missed(tokens: number): void {
    for (const traffic of this.#traffic) traffic.queryTokens += tokens;
  }

  report(): KvTierReport[] {
    return this.configs.map((config, i) => {
      const { queryTokens, hitTokens, readBlocks, readNs } = this.#traffic[i]!;
      const { numBlocks, numWritten, numEvicted } = this.tiers[i]!;
      return {
        name: config.name,
        capacityBlocks: config.capacityBlocks,
        numBlocks,
        queryTokens,
        hitTokens,
        readBytes: readBlocks * config.bytesPerBlock,
        writtenBytes: numWritten * config.bytesPerBlock,
        evictedBlocks: numEvicted,
        readNs,
        writeNs: numWritten * config.writeNsPerBlock,
      };
    });
  }
}

/** What went over the link of one tier towards the GPU. */
class Traffic {
  /** When the link has nothing more to read. */
  freeAt: TimeNs = 0;
  queryTokens = 0;
  hitTokens = 0;
  readBlocks = 0;
  readNs = 0;
}
