/**
 * Server reflection: the schema, told by the server itself, so that grpcurl, `buf curl` and Postman need
 * no files. v1 and v1alpha are the same messages under two names.
 */

import { type DescFile, type DescService, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import type {
  ServerReflection,
  ServerReflectionRequest,
} from '../../../gen/grpc/reflection/v1/reflection_pb.js';
import type { Handlers } from '../call.js';

export class Schema {
  readonly #services: readonly DescService[];
  readonly #files = new Map<string, DescFile>();
  /** Messages, enums, services and methods, by full name. */
  readonly #symbols = new Map<string, DescFile>();

  constructor(services: readonly DescService[]) {
    this.#services = services;
    for (const { file } of services) this.#add(file);
  }

  answer(request: ServerReflectionRequest) {
    const { messageRequest: asked } = request;
    switch (asked.case) {
      case 'listServices': {
        const service = this.#services.map(({ typeName }) => ({ name: typeName }));
        return { case: 'listServicesResponse' as const, value: { service } };
      }
      case 'fileByFilename':
        return this.#file(this.#files.get(asked.value), asked.value);
      case 'fileContainingSymbol':
        return this.#file(this.#symbols.get(asked.value), asked.value);
      case 'allExtensionNumbersOfType': {
        if (!this.#symbols.has(asked.value)) return this.#file(undefined, asked.value);
        const value = { baseTypeName: asked.value, extensionNumber: [] };
        return { case: 'allExtensionNumbersResponse' as const, value };
      }
      case 'fileContainingExtension':
        return this.#file(undefined, asked.value.containingType);
      default:
        return failure(Code.InvalidArgument, 'nothing was asked');
    }
  }

  #add(file: DescFile): void {
    const name = `${file.name}.proto`;
    if (this.#files.has(name)) return;
    this.#files.set(name, file);
    for (const type of [...file.messages, ...file.enums, ...file.services]) {
      this.#symbols.set(type.typeName, file);
    }
    for (const message of file.messages) this.#addNested(message, file);
    for (const service of file.services) {
      for (const { name } of service.methods)
        this.#symbols.set(`${service.typeName}.${name}`, file);
    }
    for (const dependency of file.dependencies) this.#add(dependency);
  }

  #addNested(message: DescFile['messages'][number], file: DescFile): void {
    for (const { typeName } of message.nestedEnums) this.#symbols.set(typeName, file);
    for (const nested of message.nestedMessages) {
      this.#symbols.set(nested.typeName, file);
      this.#addNested(nested, file);
    }
  }

  /** A file and all it depends on, so that one question is enough. */
  #file(file: DescFile | undefined, name: string) {
    if (!file) return failure(Code.NotFound, `there is no ${name}`);
    const closure = new Set<DescFile>();
    const visit = (one: DescFile) => {
      if (closure.has(one)) return;
      closure.add(one);
      one.dependencies.forEach(visit);
    };
    visit(file);
    const fileDescriptorProto = [...closure].map(({ proto }) =>
      toBinary(FileDescriptorProtoSchema, proto),
    );
    return { case: 'fileDescriptorResponse' as const, value: { fileDescriptorProto } };
  }
}

const failure = (errorCode: Code, errorMessage: string) => ({
  case: 'errorResponse' as const,
  value: { errorCode, errorMessage },
});

export function reflectionHandlers(schema: Schema): Handlers<typeof ServerReflection> {
  return {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        const messageResponse = schema.answer(request);
        yield { validHost: request.host, originalRequest: request, messageResponse };
      }
    },
  };
}
