/**
 * The waiting queue: who is admitted in a call (7–13), from the head on. The first that does not fit
 * ends it; passed over, and left at its place, is only who would need one LoRA adapter too many, and
 * who waits for KV from a tier: with its blocks, so that nothing can take them from it.
 */

import type { SchedulerConfig } from '../engine.js';
import { NEVER, type Request } from '../request/request.js';
import { addPrefill } from '../step-shape.js';
import type { TimeNs } from '../units.js';
import type { Batch } from './batch.js';
import type { Ahead } from './cadence.js';
import type { Speculation } from './speculation.js';
import type { Share, WalkParts } from './walk.js';

export class Admission implements Ahead {
  /** The call in which the head of the queue, not admitted, may find more in the cache than it did. */
  headGainsAt = Infinity;
  /** Whether somebody was looked at and not admitted. */
  blocked = false;
  readonly #maxRunning: number;
  readonly #watermarkBlocks: number;
  readonly #speculation: Speculation;

  constructor(
    private readonly config: SchedulerConfig,
    speculation: Speculation,
    private readonly window: number,
    private readonly parts: Omit<WalkParts, 'policy'>,
  ) {
    this.#maxRunning = Math.min(config.maxNumSeqs, config.maxNumActiveSeqs);
    this.#watermarkBlocks = Math.floor(config.watermark * config.numGpuBlocks);
    this.#speculation = speculation;
  }

  get isDecoding(): boolean {
    return this.parts.set.isDecoding;
  }

  tokensWithPrefill(enough: number): number {
    const { set, queue } = this.parts;
    let prefill = 0;
    let others = set.decodes.size;
    for (let i = 0; i < set.numMembers; i++) {
      const member = set.members[i]!;
      const tokens = set.wants(member, false);
      if (member.phase === 'prefill') prefill += tokens;
      else others += tokens;
    }
    let slots = this.#maxRunning - set.size;
    for (let next = queue.list.head; next && slots > 0 && prefill < enough; next = next.next) {
      prefill += next.known;
      slots--;
    }
    return prefill === 0 ? 0 : prefill + others;
  }

  /** Admits from the head while it fits (7–13). Whether anyone was admitted with more than one token (47). */
  admit(now: TimeNs, batch: Batch, most: Share, ranPrefill: boolean): boolean {
    const { kv, set, queue, budget, ears } = this.parts;
    const ran = batch.numTokens > 0;
    const { adapters } = set;
    let carriesPrefill = false;
    let next = queue.list.head;
    while (next && budget.left > 0 && set.size < this.#maxRunning) {
      const request: Request = next;
      if (request.placeholders > 0) break; // (36)
      next = request.next;
      if (request.phase === 'loading') continue;
      const lora = adapters && request.spec.lora;
      if (lora !== undefined && !adapters!.admits(lora)) continue;
      const loaded = request.computed > 0;
      const hit = loaded ? request.computed : kv.lookUp(request);
      const found = loaded || !kv.tiers ? 0 : kv.tiers.foundBlocks * this.config.blockSize;
      this.headGainsAt = loaded ? Infinity : kv.gainsAtCall;
      const due = request.known - hit - found;
      const chunk = this.#firstChunk(request, hit + found, most, ran, ranPrefill);
      this.blocked = chunk === 0 || !this.#fits(request, hit, found + chunk, loaded);
      if (this.blocked) {
        if (chunk === 0 || !kv.tiers || !this.#makesRoom(request)) break;
        next = request;
        continue;
      }

      this.headGainsAt = Infinity;
      if (found > 0) {
        const until = kv.tiers!.load(now, request.known - hit);
        set.hold(request, hit, found);
        ears.loading(request, until);
        continue;
      }
      if (!loaded) kv.tiers?.missed(request.known - hit);
      const resumed = request.scheduledAt !== NEVER;
      queue.list.remove(request);
      set.admit(request, hit, chunk, batch.call);
      budget.take(chunk);
      batch.numTokens += chunk;
      addPrefill(batch.shape, chunk, hit, this.window);
      if (lora !== undefined) {
        batch.shape.loraTokens! += chunk;
        batch.loadTicks += adapters!.enter(lora);
      }
      carriesPrefill ||= due > 1;
      if (!resumed) {
        request.scheduledAt = now;
        request.cachedTokens = hit;
      }
      ears.admitted(request, hit, resumed);
    }
    return carriesPrefill;
  }

  /** Tokens the head of the queue would be admitted with; 0: it is not. */
  #firstChunk(
    request: Request,
    hit: number,
    most: Share,
    ran: boolean,
    ranPrefill: boolean,
  ): number {
    const { maxModelLen, enableChunkedPrefill } = this.config;
    const { left } = this.parts.budget;
    const due = request.known - hit;
    if (most.held && due > 1) return 0; // (45)
    let want = due;
    const k = this.#speculation.numDrafts;
    if (k > 0 && due === 1 && !ranPrefill && (ran || hit > 0) && hit + k + 2 <= maxModelLen) {
      want = 1 + k; // (43)
      if (want > left) return 0;
    }
    const chunk = Math.min(want, most.threshold);
    if (chunk <= left) return chunk;
    return enableChunkedPrefill ? left : 0; // (9)
  }

  /** Whether there is room for a request (10), and for its first chunk (11), beyond the watermark (12). */
  #fits(request: Request, hit: number, chunk: number, loaded: boolean): boolean {
    const { kv, set } = this.parts;
    const { schedulerReserveFullIsl, maxModelLen, blockSize } = this.config;
    const watermark = set.size > 0 ? this.#watermarkBlocks : 0;
    const hitFree = loaded ? 0 : kv.hitFreeBlocks;
    const available = kv.free - hitFree - watermark + hit / blockSize;
    if (schedulerReserveFullIsl && set.blocks(Math.min(request.known, maxModelLen)) > available) {
      return false;
    }
    return set.blocksFor(hit + chunk) <= available;
  }

  /**
   * Where nothing runs nobody will give blocks back by itself: the last one that waits with blocks from a
   * tier gives up its own, so that `request` may fit. They stay findable until they are taken.
   */
  #makesRoom(request: Request): boolean {
    const { set, queue } = this.parts;
    if (set.size > 0) return false;
    let last = queue.list.tail;
    while (last && (last === request || last.phase === 'loading' || last.computed === 0)) {
      last = last.prev;
    }
    if (last) set.letGo(last, true);
    return last !== undefined;
  }
}
