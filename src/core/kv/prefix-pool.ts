/**
 * KV with a prefix cache: vLLM's automatic prefix caching, at a cost per stretch of a prompt instead of
 * per block.
 *
 * Four ideas make that exact:
 *
 *   free blocks   those without a content are always used before those with one (rule 23), so the free
 *                 list is a number and a list of contents, oldest first; `free −= n` evicts as many
 *                 contents as then find no room
 *   decodes       publish a block every blockSize calls; which call, follows from when they joined. So
 *                 nothing is done until a decode leaves, or a look-up arrives at a block it may have
 *                 published meanwhile
 *   duplicates    requests that compute the same blocks at the same time hold a copy each. Copies know
 *                 when they were cached, so one that is entered late still comes first where it should
 *
 *   private       what a request does not name, nobody else can find. Until it is preempted there is
 *                 nobody to look, and its blocks are entered when they are released, all at once
 *
 * A content is never cached without the ones before it: whoever holds a block holds a copy of those
 * before it, and releases them later.
 */

import type { SchedulerConfig } from '../engine.js';
import type { Request } from '../request/request.js';
import type { DecodeSet } from '../sched/decode-set.js';
import { BlockTable } from './block-table.js';
import { Chain } from './chain.js';
import { ContentTree } from './content-tree.js';
import type { KvPool } from './kv-pool.js';
import { KvTiers } from './kv-tiers.js';
import type { Copy, Stretch } from './stretch.js';
import { UnusedCopies } from './unused-copies.js';

/** Added to the position of what an update publishes: after all that its call published. */
const LATE = 2 ** 40;

export class PrefixPool implements KvPool {
  free: number;
  readonly capacity: number;
  sharedBlocks = 0;
  hitFreeBlocks = 0;
  gainsAtCall = Infinity;
  readonly tiers: KvTiers | undefined;

  readonly #blockSize: number;
  readonly #lookahead: number;
  /** Computed tokens of a decode that have not been received: their block has no content yet (35). */
  readonly #inFlight: 0 | 1;
  /** Cursors: of the request that looks up, and of the one that publishes. */
  readonly #chain: Chain;
  readonly #writing: Chain;
  readonly #unused = new UnusedCopies();
  readonly #tree: ContentTree;
  /** By slot of the request. */
  readonly #tables: BlockTable[] = [];
  /** What the last look-up found; of the last one only `#lastHitBlocks`. */
  readonly #hits: Stretch[] = [];
  #numHits = 0;
  #lastHitBlocks = 0;

  constructor(
    config: SchedulerConfig,
    private readonly decodes: DecodeSet,
    lookahead: number,
  ) {
    this.capacity = config.numGpuBlocks - 1;
    this.free = this.capacity;
    this.#blockSize = config.blockSize;
    this.#lookahead = lookahead;
    this.tiers = config.kvTiers && new KvTiers(config.kvTiers, config.blockSize);
    this.#tree = new ContentTree(config.blockSize, this.#unused, this.tiers);
    this.#inFlight = config.asyncScheduling ? 1 : 0;
    this.#chain = new Chain(config.blockSize, lookahead);
    this.#writing = new Chain(config.blockSize, lookahead);
  }

  get cachedBlocks(): number {
    let deferred = 0;
    for (const table of this.#tables) {
      if (table?.following) this.#catchUp(table);
      deferred += table?.deferred ?? 0;
    }
    return this.#tree.numContents + deferred;
  }

  // ---- looking up ----

  lookUp(request: Request): number {
    this.#numHits = 0;
    this.hitFreeBlocks = 0;
    this.gainsAtCall = Infinity;
    this.tiers?.forgetFinds();
    return isPrivate(request) ? 0 : this.#find(request);
  }

  #find(request: Request): number {
    const chain = this.#chain;
    // At least one token is computed again, so that there is something to sample from (27).
    const limit = this.#fullBlocks(request.known);
    let blocks = 0;
    let at = this.#tree.rootOf(request);
    chain.begin(request);
    while (blocks < limit) {
      chain.moveTo(blocks);
      if (at.writers) this.#letWrite(at, chain.key);
      const child = at.childAt(chain);
      if (!child) {
        if (at.writers) this.gainsAtCall = this.#nextWriteAt(at, chain.key);
        break;
      }
      const found = Math.min(child.numBlocks, chain.blocks, limit - blocks);
      this.#hits[this.#numHits++] = child;
      this.#lastHitBlocks = found;
      if (child.copies!.users === 0) this.hitFreeBlocks += found;
      blocks += found;
      if (found < child.numBlocks) break;
      at = child;
    }
    if (this.tiers && blocks < limit) this.#findBelow(this.tiers, request, blocks, limit);
    return blocks * this.#blockSize;
  }

  /** Goes on in the tiers where the GPU has no more. */
  #findBelow(tiers: KvTiers, request: Request, blocks: number, limit: number): void {
    const last = this.#numHits > 0 ? this.#hits[this.#numHits - 1]! : this.#tree.rootOf(request);
    const at = this.#numHits > 0 ? last.at + this.#lastHitBlocks : 0;
    tiers.lookUp(this.#chain, blocks, limit, last.strand!, at);
  }

  /** Decodes at the end of `tip` that filled the block with this hash enter what they owe. */
  #letWrite(tip: Stretch, key: number): void {
    for (let table = tip.writers; table; ) {
      const next: BlockTable | undefined = table.nextWriter;
      if (table.nextKey === key) this.#catchUp(table);
      table = next;
    }
  }

  #nextWriteAt(tip: Stretch, key: number): number {
    let call = Infinity;
    for (let table = tip.writers; table; table = table.nextWriter) {
      if (table.nextKey === key) call = Math.min(call, this.#fillsAt(table.request, table.blocks));
    }
    return call;
  }

  /** The call in which a decode publishes its block `block`. */
  #fillsAt(request: Request, block: number): number {
    return (block + 1) * this.#blockSize + this.#inFlight - request.offset;
  }

  /** Whole blocks before the last of `known` tokens whose identity these tokens decide. */
  #fullBlocks(known: number): number {
    return Math.floor((known - Math.max(1, this.#lookahead)) / this.#blockSize);
  }

  // ---- taking and giving ----

  admit(request: Request, fresh: number): void {
    const table = this.#tableOf(request);
    table.clear(this.#tree.rootOf(request));
    for (let i = 0; i < this.#numHits; i++) {
      let stretch = this.#hits[i]!;
      const blocks = i === this.#numHits - 1 ? this.#lastHitBlocks : stretch.numBlocks;
      if (blocks < stretch.numBlocks) stretch = this.#tree.split(stretch, blocks);
      const copy = stretch.copies!;
      if (copy.users++ === 0) {
        this.#unused.remove(copy);
        this.free -= blocks;
      } else this.sharedBlocks += blocks;
      table.push(copy, blocks);
    }
    this.take(fresh);
  }

  take(blocks: number): void {
    this.free -= blocks;
    if (this.#unused.numBlocks > this.free) this.#evict(this.#unused.numBlocks - this.free);
  }

  release(request: Request, blocks: number, comesBack: boolean): void {
    const table = this.#tableOf(request);
    if (table.deferred > 0) this.#enterDeferred(table, comesBack);
    this.free += blocks - table.blocks;
    for (let i = table.size - 1; i >= 0; i--) {
      let copy: Copy | undefined = table.copies[i]!;
      for (let left = table.counts[i]!; left > 0; copy = copy!.above) {
        const { numBlocks } = copy!.stretch;
        left -= numBlocks;
        if (--copy!.users > 0) {
          this.sharedBlocks -= numBlocks;
          continue;
        }
        this.#unused.push(copy!);
        this.free += numBlocks;
      }
    }
    table.clear(this.#tree.root);
  }

  /** Enters the blocks of a private request; where it does not come back nobody has to find them. */
  #enterDeferred(table: BlockTable, comesBack: boolean): void {
    this.#writing.begin(table.request);
    this.#writing.moveTo(0);
    const root = this.#tree.rootOf(table.request);
    const stretch = this.#tree.newStretch(this.#writing, table.deferred, root);
    if (comesBack) root.add(stretch);
    const copy = this.#tree.newCopy(0, 0, 0);
    stretch.enter(copy);
    table.push(copy, table.deferred);
    table.deferred = 0;
  }

  /** Forgets `blocks` contents that nobody uses: the oldest, and of a copy the last. */
  #evict(blocks: number): void {
    for (let left = blocks; left > 0; ) {
      const copy = this.#unused.oldest!;
      const { stretch } = copy;
      const evicted = Math.min(left, stretch.numBlocks);
      left -= evicted;
      if (copy.next || stretch.copies !== copy) {
        // Others hold it too: only this copy goes.
        if (evicted < stretch.numBlocks) this.#tree.split(stretch, stretch.numBlocks - evicted);
        this.#unused.remove(copy);
        this.#tree.dropCopy(copy);
        continue;
      }
      this.#tree.numContents -= evicted;
      const end = stretch.at + stretch.numBlocks;
      this.tiers?.store(stretch.strand!, end - evicted, end);
      if (evicted < stretch.numBlocks) {
        stretch.numBlocks -= evicted;
        this.#unused.numBlocks -= evicted;
        continue;
      }
      this.#unused.remove(copy);
      this.#tree.drop(stretch, copy);
    }
  }

  // ---- publishing ----

  publish(request: Request, tokens: number, call: number, late: boolean): void {
    const table = this.#tableOf(request);
    const blocks = Math.floor(tokens / this.#blockSize);
    if (blocks <= table.blocks) return;
    if (isPrivate(request)) {
      table.deferred = Math.max(table.deferred, blocks);
      return;
    }
    const wasFollowing = table.following;
    if (wasFollowing) table.stopWaiting();
    this.#append(table, blocks, call, 0, late ? request.position + LATE : request.position);
    if (wasFollowing) this.#wait(table);
  }

  follow(request: Request): void {
    const table = this.#tableOf(request);
    if (isPrivate(request)) table.following = true;
    else this.#wait(table);
  }

  unfollow(request: Request): void {
    const table = this.#tableOf(request);
    if (!table.following) return;
    this.#catchUp(table);
    if (isPrivate(request)) table.following = false;
    else table.stopWaiting();
  }

  #wait(table: BlockTable): void {
    this.#writing.begin(table.request);
    this.#writing.moveTo(table.blocks);
    table.awaitAt(table.tip, this.#writing.key);
  }

  /** Enters what a decode has published since it was looked at last. */
  #catchUp(table: BlockTable): void {
    const { request } = table;
    const tokens = this.decodes.computed(request) - this.#inFlight;
    const blocks = Math.floor(tokens / this.#blockSize);
    if (blocks <= table.blocks) return;
    if (isPrivate(request)) {
      table.deferred = Math.max(table.deferred, blocks);
      return;
    }
    table.stopWaiting();
    const call = this.#fillsAt(request, table.blocks);
    this.#append(table, blocks, call, this.#blockSize, request.position);
    this.#wait(table);
  }

  /**
   * Enters the next contents of a request, up to `blocks` in all. The first is cached in `call`, each
   * further one `stride` calls later.
   */
  #append(table: BlockTable, blocks: number, call: number, stride: number, position: number): void {
    const chain = this.#writing;
    const from = table.blocks;
    chain.begin(table.request);
    while (table.blocks < blocks) {
      chain.moveTo(table.blocks);
      const copy = this.#tree.newCopy(call + (table.blocks - from) * stride, stride, position);
      let count = Math.min(chain.blocks, blocks - table.blocks);
      let stretch = table.tip.childAt(chain);
      if (stretch) {
        count = stretch.sameOrder(copy, Math.min(count, stretch.numBlocks));
        if (count < stretch.numBlocks) stretch = this.#tree.split(stretch, count);
      } else {
        stretch = this.#tree.newStretch(chain, count, table.tip);
        table.tip.add(stretch);
      }
      stretch.enter(copy);
      table.push(copy, count);
    }
  }

  #tableOf(request: Request): BlockTable {
    const table = this.#tables[request.slot];
    if (table) return table;
    const created = new BlockTable(request, this.#tree.root);
    this.#tables[request.slot] = created;
    return created;
  }
}

/** Whether there is nobody who could look for the blocks of a running request. */
function isPrivate({ spec, numPreemptions }: Request): boolean {
  return spec.prompt === undefined && spec.outputContent === undefined && numPreemptions === 0;
}
