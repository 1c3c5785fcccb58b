/**
 * Waiting until an instant: timers to just before it (they are cut to whole milliseconds, and may be
 * early), then turns of the event loop, which let answers in, until the clock says so. Turning costs a
 * core while it lasts, so that the last half of a millisecond is worth it and a whole one is not.
 */

const TIMER_SLACK_MS = 0.5;

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
      else if (left > TIMER_SLACK_MS) timer = setTimeout(turn, Math.floor(left));
      else setImmediate(turn);
    };
    signal?.addEventListener('abort', end, { once: true });
    turn();
  });
}
