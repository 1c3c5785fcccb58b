/** The one object in which ends of requests are told; filled again for each. */

import type { FinishReason, RequestHandle, RequestSpec } from '../engine.js';
import { NEVER, NOWHERE, type Request } from '../request/request.js';
import type { RequestOutcome } from '../trace/tracer.js';
import type { TimeNs } from '../units.js';

export class Outcome implements RequestOutcome {
  handle: RequestHandle = 0;
  spec: RequestSpec = { promptTokens: 0, maxTokens: 0 };
  index = 0;
  instance = NOWHERE;
  reason: FinishReason = 'abort';
  arrivedAt: TimeNs = 0;
  scheduledAt: TimeNs | undefined;
  firstTokenAt: TimeNs | undefined;
  lastTokenAt: TimeNs | undefined;
  endedAt: TimeNs = 0;
  outputTokens = 0;
  cachedTokens = 0;
  numPreemptions = 0;

  of(
    request: Request,
    reason: FinishReason,
    endedAt: TimeNs,
    lastTokenAt: TimeNs,
    outputTokens: number,
  ): this {
    this.handle = request.handle;
    this.spec = request.spec;
    this.index = request.index;
    this.instance = request.instance;
    this.reason = reason;
    this.arrivedAt = request.arrivedAt;
    this.scheduledAt = whenEver(request.scheduledAt);
    this.firstTokenAt = whenEver(request.firstTokenAt);
    this.lastTokenAt = whenEver(lastTokenAt);
    this.endedAt = endedAt;
    this.outputTokens = outputTokens;
    this.cachedTokens = request.cachedTokens;
    this.numPreemptions = request.numPreemptions;
    return this;
  }
}

const whenEver = (at: TimeNs): TimeNs | undefined => (at === NEVER ? undefined : at);
