/**
 * Waiting until an instant: timers to just before it (they are cut to whole milliseconds, and may be
 * early), then turns of the event loop, which let answers in, until the clock says so. Turning costs a
 * core while it lasts, so that the last half of a millisecond is worth it and a whole one is not.
 */

const TIMER_SLACK_MS = 0.5;
/** A turn of the loop in which nothing came in takes less. */
const IDLE_TURN_MS = 0.01;

/**
 * Resolves at `dueMs` (by `performance.now`) or when `signal` aborts; at once when it is past.
 *
 * @param onIdle told how long turns of the loop lasted in which there was nothing else to do
 */
export function waitUntil(
  dueMs: number,
  signal?: AbortSignal,
  onIdle?: (ms: number) => void,
): Promise<void> {
  if (performance.now() >= dueMs || signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    let idledMs = 0;
    let turnedMs = -Infinity;
    const end = () => {
      if (idledMs > 0) onIdle?.(idledMs);
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const turn = () => {
      if (signal?.aborted) return;
      const now = performance.now();
      if (now - turnedMs < IDLE_TURN_MS) idledMs += now - turnedMs;
      const left = dueMs - now;
      if (left <= 0) end();
      else if (left > TIMER_SLACK_MS) timer = setTimeout(turn, Math.floor(left));
      else {
        turnedMs = now;
        setImmediate(turn);
      }
    };
    signal?.addEventListener('abort', end, { once: true });
    turn();
  });
}
