"""A plugin for buf: messages, type stubs and gRPC stubs, all made by the protoc inside grpcio-tools.

protoc has no gRPC for Python built in, and grpcio-tools brings a protoc but no plugin that buf could
run. So this one unpacks what buf sends, runs that protoc on it, and packs what came out.
"""

import pathlib
import sys
import tempfile

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2
from grpc_tools import protoc


def main() -> None:
    request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = plugin_pb2.CodeGeneratorResponse(
        supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    with tempfile.TemporaryDirectory() as folder:
        schema = pathlib.Path(folder, "schema.binpb")
        files = descriptor_pb2.FileDescriptorSet(file=request.proto_file)
        schema.write_bytes(files.SerializeToString())
        out = pathlib.Path(folder, "out")
        out.mkdir()
        outputs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
        code = protoc.main(
            ["protoc", f"--descriptor_set_in={schema}", *outputs, *request.file_to_generate]
        )
        if code != 0:
            response.error = f"protoc ended with {code}"
        for path in sorted(out.rglob("*.py*")):
            response.file.add(name=str(path.relative_to(out)), content=path.read_text())
    sys.stdout.buffer.write(response.SerializeToString())


if __name__ == "__main__":
    main()
