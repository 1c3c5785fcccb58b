/** What an instance did, as messages: for the report of a run, and for the state of a live one. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  InstanceReportSchema,
  KvTierCountsSchema,
  LoraCountsSchema,
  SpeculationCountsSchema,
} from '../../../gen/llmservingsim/v1/report_pb.js';
import type { InstanceReport, KvTierReport } from '../../core/metrics/report.js';
import { msFromNs } from '../../core/units.js';

export function instanceMessage(
  instance: InstanceReport,
): MessageInitShape<typeof InstanceReportSchema> {
  const { busyNs, workNs, speculation, lora, kvTiers, ...counts } = instance;
  return {
    ...counts,
    busyMs: msFromNs(busyNs),
    ...(workNs !== undefined && { workMs: msFromNs(workNs) }),
    ...optionalCounts({ speculation, lora, kvTiers }),
  };
}

interface OptionalCounts {
  readonly speculation?: MessageInitShape<typeof SpeculationCountsSchema>;
  readonly lora?: MessageInitShape<typeof LoraCountsSchema>;
  readonly kvTiers?: MessageInitShape<typeof KvTierCountsSchema>[];
}

/** What only some instances have: drafts, adapters, tiers. */
export function optionalCounts({
  speculation,
  lora,
  kvTiers,
}: {
  readonly [K in 'speculation' | 'lora' | 'kvTiers']?: InstanceReport[K] | undefined;
}): OptionalCounts {
  return {
    ...(speculation && {
      speculation: { ...speculation, acceptedPerPosition: [...speculation.acceptedPerPosition] },
    }),
    ...(lora && { lora: { ...lora, loadMs: msFromNs(lora.loadNs) } }),
    ...(kvTiers && { kvTiers: kvTiers.map(tierMessage) }),
  };
}

const tierMessage = (tier: KvTierReport): MessageInitShape<typeof KvTierCountsSchema> => ({
  ...tier,
  readMs: msFromNs(tier.readNs),
  writeMs: msFromNs(tier.writeNs),
});
