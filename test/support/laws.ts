/**
 * The laws that hold after every event, recounted from the lists the slow way.
 */

import type { Cluster } from '../../src/core/cluster/cluster.js';
import type { Instance } from '../../src/core/cluster/instance.js';
import { invariant } from '../../src/core/errors.js';

/** @throws {InvariantError} naming the law that broke. */
export function checkLaws(engine: Cluster): void {
  const { metrics } = engine;
  const ended = metrics.completed + metrics.aborted + metrics.rejected;
  invariant(
    engine.numSubmitted === ended + engine.numUnfinished,
    'finished + aborted + rejected + unfinished = submitted',
  );
  for (const instance of engine.instances) {
    checkInstance(instance);
    checkDiligence(instance);
  }
}

/** No instance idles while somebody waits whom the rules would admit (7–12, 45): nobody runs, and the head cannot fit. */
function checkDiligence(instance: Instance): void {
  const { scheduler, kv, config } = instance;
  const { head } = scheduler.waiting;
  if (instance.isBusy || !head) return;
  const { blockSize, enableChunkedPrefill, numSpeculativeTokens } = config.scheduler;
  const { maxNumScheduledTokens, maxNumBatchedTokens } = config.scheduler;
  invariant(scheduler.running.size === 0, 'who runs is served before an instance idles');
  let held = 0;
  for (const { phase, computed, blocks } of scheduler.waiting) {
    if (phase === 'loading') return; // It will wake the instance.
    if (computed > 0) held += blocks;
  }
  invariant(kv.free + held >= kv.capacity, 'an instance that idles holds only what a tier had');
  if (head.computed > 0) return;
  const hit = kv.lookUp(head);
  const budget = Math.min(maxNumScheduledTokens, maxNumBatchedTokens);
  const whole = !enableChunkedPrefill && head.known - hit > budget;
  const blocks = Math.ceil(head.known / blockSize);
  // Drafts want room of their own, in blocks and in the budget (40, 43).
  invariant(
    whole || blocks > kv.capacity || numSpeculativeTokens > 0,
    'an instance idles only when the head of its queue can never be admitted',
  );
}

function checkInstance({ scheduler, kv, config }: Instance): void {
  const { blockSize, maxNumSeqs, maxNumActiveSeqs } = config.scheduler;
  const { decodes, running, waiting, set } = scheduler;
  let used = 0;
  let numDecodes = 0;
  let context = 0;
  let numMembers = 0;
  let numLimbo = 0;
  let position = -1;
  let count = 0;
  let loraDecodes = 0;
  const adapters = new Set<string>();
  for (const request of running) {
    count++;
    const { lora } = request.spec;
    if (lora !== undefined && request.phase === 'decode') loraDecodes++;
    if (lora !== undefined && request.phase !== 'limbo') adapters.add(lora);
    invariant(request.position > position, 'positions rise along the running list');
    position = request.position;
    const computed = request.phase === 'decode' ? decodes.computed(request) : request.computed;
    used += request.phase === 'decode' ? Math.ceil(computed / blockSize) : request.blocks;
    if (request.phase === 'decode') {
      numDecodes++;
      context += computed;
      invariant(computed < request.endComputed, 'a decode has tokens to compute');
    } else if (request.phase === 'prefill' || request.phase === 'verify') {
      invariant(set.members[numMembers] === request, 'members stand in running order');
      numMembers++;
      const verifies = request.phase === 'verify';
      invariant(verifies || computed < request.known, 'a prefill has tokens to compute');
    } else {
      invariant(
        request.phase === 'limbo',
        'who runs computes a prompt, decodes, or awaits its end',
      );
      numLimbo++;
    }
  }
  invariant(count === running.size, 'the running list counts its members');
  invariant(count <= Math.min(maxNumSeqs, maxNumActiveSeqs), 'no more run than may');
  invariant(numDecodes === decodes.size, 'decodes = members that decode');
  invariant(context === decodes.sumComputed, 'Σ context = recount');
  invariant(numMembers === set.numMembers, 'members = those neither in the aggregate nor in limbo');
  invariant(numLimbo === set.numLimbo, 'limbo = members that await their end');
  if (set.adapters) {
    invariant(adapters.size === set.adapters.numActive, 'adapters in use = recount');
    invariant(adapters.size <= config.scheduler.lora!.maxLoras, 'no more adapters run than fit');
    invariant(loraDecodes === set.adapters.numDecodes, 'decodes with adapters = recount');
  }
  let queued = 0;
  let held = 0;
  for (const request of waiting) {
    queued++;
    const holds = request.phase === 'loading' || request.computed > 0;
    invariant(!holds || kv.tiers !== undefined, 'who waits holds nothing but what a tier had');
    invariant(holds || request.phase === 'waiting', 'who is in the queue waits');
    if (holds) used += request.blocks;
    if (holds) held += request.computed;
  }
  invariant(queued === waiting.size, 'the waiting queue counts its members');
  invariant(held === set.heldTokens, 'tokens held by who waits = recount');
  invariant(
    used - kv.sharedBlocks + kv.free === kv.capacity,
    'used (shared ones once) + free = blocks of the pool',
  );
  for (const [i, tier] of (kv.tiers?.tiers ?? []).entries()) {
    let blocks = 0;
    for (const { from, to, strand } of tier) {
      invariant(from < to && strand.users > 0, 'a piece is of a strand that is there');
      blocks += to - from;
    }
    invariant(blocks === tier.numBlocks, 'pieces add up to the blocks of a tier');
    const { capacityBlocks } = config.scheduler.kvTiers![i]!;
    invariant(blocks <= capacityBlocks, 'a tier never exceeds its capacity');
    const { numWritten, numEvicted } = tier;
    invariant(
      numWritten - numEvicted === blocks,
      'what came into a tier is there or was forgotten',
    );
  }
}
