/**
 * A sending thread: an event loop, connections and a parser of its own. It is told what to send when it
 * is due, and returns records, those of one turn of the loop in one message.
 */

import { setMaxListeners } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import type { RequestRecord } from '../request.js';
import {
  clockOffsetMs,
  type FromThread,
  type Order,
  type ThreadData,
  type ToThread,
} from './messages.js';
import { counterOf, openSender } from './sender-spec.js';

const port = parentPort!;
const { spec } = workerData as ThreadData;
const { sender, monitor, close } = openSender(spec, await counterOf(spec));
monitor.begin();
const offsetMs = clockOffsetMs();
const abort = new AbortController();
// Every request under way listens for the end of the run.
setMaxListeners(0, abort.signal);

const tell = (message: FromThread) => port.postMessage(message);
let records: (readonly [number, RequestRecord])[] = [];

async function send({ key, request, originMs, scheduledMs }: Order): Promise<void> {
  const origin = originMs - offsetMs;
  const times = {
    originMs: origin,
    scheduledMs: origin + scheduledMs,
    dispatchedMs: performance.now(),
  };
  const record = await sender.send(request, times, abort.signal);
  if (records.push([key, record]) === 1) setImmediate(flush);
}

function flush(): void {
  tell({ records });
  records = [];
}

port.on('message', ({ send: orders = [], abort: stop, finish }: ToThread) => {
  for (const order of orders) void send(order);
  if (stop) abort.abort();
  if (!finish) return;
  tell({ finished: { use: monitor.stop(), changes: sender.options.encoder.changes } });
  close();
});
tell({ ready: true });
