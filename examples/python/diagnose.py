#!/usr/bin/env python3
"""Has an incident diagnosed by a walker, with nothing but grpcio: the contract comes from the walker itself.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python diagnose.py walker.example:4310 --recording incident --token-file token --ca ca.crt
    venv/bin/python diagnose.py walker.example:4310 --source prod --front-end web --start 2026-03-01T10:20:00Z --token-file token

Prints progress on standard error and the ranked services on standard output. Ends with exit code 1 and the code of gRPC when
the walker refuses.
"""

import argparse
import pathlib
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "automap.v1.WalkerService"


class Walker:
    """A walker; its methods take and answer dictionaries in the JSON form of the contract."""

    def __init__(self, address, ca=None, token_file=None):
        if ca is None:
            self.channel = grpc.insecure_channel(address)
        else:
            self.channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(pathlib.Path(ca).read_bytes()))
        self.token_file = token_file
        pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))
        self.methods = pool.FindServiceByName(SERVICE).methods_by_name

    def metadata(self):
        """What says who calls. The file is read for each call, so that a renewed token is taken up."""
        if self.token_file is None:
            return ()
        return (("authorization", "Bearer " + pathlib.Path(self.token_file).read_text().strip()),)

    def _call(self, kind, name, request, timeout):
        method = self.methods[name]
        message = json_format.ParseDict(request, message_factory.GetMessageClass(method.input_type)())
        answer = message_factory.GetMessageClass(method.output_type)
        stub = getattr(self.channel, kind)(
            f"/{SERVICE}/{name}", request_serializer=lambda m: m.SerializeToString(), response_deserializer=answer.FromString
        )
        return stub(message, metadata=self.metadata(), timeout=timeout)

    def ask(self, name, request, timeout=60):
        """Calls a method with one answer."""
        answer = self._call("unary_unary", name, request, timeout)
        return json_format.MessageToDict(answer, preserving_proto_field_name=True)

    def stream(self, name, request, timeout=600):
        """Calls a method with many answers."""
        for answer in self._call("unary_stream", name, request, timeout):
            yield json_format.MessageToDict(answer, preserving_proto_field_name=True)

    def diagnose(self, request, on_progress=lambda progress: None):
        """Has an incident diagnosed and waits for the answer."""
        for part in self.stream("Diagnose", request):
            if "progress" in part:
                on_progress(part["progress"])
            if "diagnosis" in part:
                return part["diagnosis"]
        raise EOFError("the walker's answer ended before its diagnosis")


def request_of(arguments):
    """The request that flags describe."""
    source = {"recording": arguments.recording} if arguments.recording else {"query": {"name": arguments.source}}
    request = {"source": source, "settings": {"record": arguments.record}}
    if arguments.front_end:
        request["context"] = {
            "system": arguments.system,
            "front_end": arguments.front_end,
            "anomaly_start": arguments.start,
        }
    return request


def main():
    parser = argparse.ArgumentParser(description="Has an incident diagnosed by a walker.")
    parser.add_argument("address", help="host:port of the walker")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--recording", help="a recording below the collector's root")
    what.add_argument("--source", help="a server that the collector is configured with")
    parser.add_argument("--system", default="default")
    parser.add_argument("--front-end")
    parser.add_argument("--start", help="when the anomaly began, 2026-03-01T10:20:00Z")
    parser.add_argument("--record", action="store_true", help="have the incident remembered")
    parser.add_argument("--ca", help="PEM file of the authority; without it the walker is spoken to in clear")
    parser.add_argument("--token-file")
    arguments = parser.parse_args()
    try:
        walker = Walker(arguments.address, arguments.ca, arguments.token_file)
        diagnosis = walker.diagnose(request_of(arguments), lambda progress: print(progress.get("detail", ""), file=sys.stderr))
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    for ranked in diagnosis["ranking"]:
        print(f"{ranked['service']}\t{ranked.get('score', 0):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
