/** The details of an error as gRPC carries them: a `google.rpc.Status` in a binary trailer. */

import { create, toBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema, anyPack } from '@bufbuild/protobuf/wkt';
import type { ConnectError } from '@connectrpc/connect';
import { Metadata } from '@grpc/grpc-js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';

export function statusMetadata({ code, rawMessage, details }: ConnectError): Metadata {
  const metadata = new Metadata();
  if (details.length === 0) return metadata;
  const packed = details.map((detail): Any => {
    if ('desc' in detail) return anyPack(detail.desc, create(detail.desc, detail.value));
    const { type, value } = detail;
    return create(AnySchema, { typeUrl: `type.googleapis.com/${type}`, value });
  });
  const status = create(StatusSchema, { code, message: rawMessage, details: packed });
  metadata.set('grpc-status-details-bin', Buffer.from(toBinary(StatusSchema, status)));
  return metadata;
}
