/**
 * A caller who does not read. It speaks HTTP/2 itself, with a window of 0, because clients of gRPC take
 * all there is and keep it on their own side: this one may not be sent a byte of any message until it reads.
 */

import { once } from 'node:events';
import { connect } from 'node:http2';
import {
  create,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';

export interface ClosedReader<M> {
  /** Reads all there is from now on, to the end. */
  read(): Promise<M[]>;
  /** Goes away. */
  leave(): void;
}

export function closedReader<D extends DescMethod>(
  address: string,
  { parent, name, input, output }: D,
  requests: readonly MessageInitShape<D['input']>[],
): ClosedReader<MessageShape<D['output']>> {
  const session = connect(`http://${address}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => {}); // Its stream tells it too.
  const stream = session.request({
    ':method': 'POST',
    ':path': `/${parent.typeName}/${name}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  for (const request of requests) stream.write(framed(toBinary(input, create(input, request))));
  stream.end();
  return {
    async read() {
      session.settings({ initialWindowSize: 2 ** 16 });
      const trailers = once(stream, 'trailers');
      const bytes = Buffer.concat(await stream.toArray());
      const [{ 'grpc-status': status, 'grpc-message': message }] = await trailers;
      session.close();
      if (status !== '0') throw new Error(`it ended with ${status}: ${message}`);
      return unframed(bytes).map((one) => fromBinary(output, one) as MessageShape<D['output']>);
    },
    leave: () => session.destroy(),
  };
}

/** As gRPC writes it: whether it is compressed, four bytes of length, the message. */
function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const HEAD_BYTES = 5;

function unframed(bytes: Buffer): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + HEAD_BYTES + bytes.readUInt32BE(at + 1);
    messages.push(new Uint8Array(bytes.subarray(at + HEAD_BYTES, end)));
    at = end;
  }
  return messages;
}
