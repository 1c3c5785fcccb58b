/**
 * Waiting until an instant: a timer to just before it (timers are off by a millisecond, and may be
 * early), then turns of the event loop, which let answers in, until the clock says so.
 */

const TIMER_SLACK_MS = 1.5;

/** Resolves at `dueMs` (by `performance.now`) or when `signal` aborts; at once when it is past. */
export function waitUntil(dueMs: number, signal?: AbortSignal): Promise<void> {
  if (performance.now() >= dueMs || signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const turn = () => {
      if (signal?.aborted) return;
      const left = dueMs - performance.now();
      if (left <= 0) end();
      else if (left > TIMER_SLACK_MS) timer = setTimeout(turn, left - TIMER_SLACK_MS);
      else setImmediate(turn);
    };
    signal?.addEventListener('abort', end, { once: true });
    turn();
  });
}
