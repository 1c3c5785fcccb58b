/**
 * What a handler is: a function from a request to responses, which knows nothing of the transport.
 *
 * One set of handlers is mounted on grpc-js and on Connect. Streams are async generators: a transport
 * pulls when its reader has room, and stops pulling to slow the engine down.
 */

import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';

/** One call under way. */
export interface Call {
  /** Aborted when the caller goes away or its deadline passes. */
  readonly signal: AbortSignal;
  /** A header (metadata) of the call, by its lower-case name. */
  header(name: string): string | undefined;
}

export type Handler<M extends DescMethod> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, call: Call) => Promise<MessageInitShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, call: Call) => AsyncIterable<MessageInitShape<O>>
      : M extends DescMethodBiDiStreaming<infer I, infer O>
        ? (
            requests: AsyncIterable<MessageShape<I>>,
            call: Call,
          ) => AsyncIterable<MessageInitShape<O>>
        : never;

export type Handlers<S extends DescService> = {
  readonly [K in keyof S['method']]: Handler<S['method'][K]>;
};

/** Any handler, as a transport calls it: one request or many in, one response or many out. */
export type AnyHandler = (
  request: unknown,
  call: Call,
) => Promise<unknown> | AsyncIterable<unknown>;

/** A service with its handlers, ready to be mounted. */
export interface Mounted {
  readonly service: DescService;
  readonly handlers: Readonly<Record<string, AnyHandler>>;
}

export const mount = <S extends DescService>(service: S, handlers: Handlers<S>): Mounted => ({
  service,
  handlers: handlers as unknown as Mounted['handlers'],
});

/** Rejects with the reason of `signal` as soon as it is aborted. */
export function untilAborted(signal: AbortSignal): Promise<never> & { cancel(): void } {
  let cancel = () => {};
  const promise = new Promise<never>((_, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    cancel = () => signal.removeEventListener('abort', abort);
  });
  promise.catch(() => {});
  return Object.assign(promise, { cancel: () => cancel() });
}

/** Waits, or rejects as soon as the caller is gone. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const aborted = untilAborted(signal);
  let timer: NodeJS.Timeout | undefined;
  try {
    await Promise.race([
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms);
      }),
      aborted,
    ]);
  } finally {
    clearTimeout(timer);
    aborted.cancel();
  }
}
