"""Calls a method of a server that it knows nothing of but its address: the contract comes from reflection.

Input: {"address": "127.0.0.1:4310", "method": "automap.v1.WalkerService/Diagnose", "requests": [{...}],
        "tls": null | {"ca": PEM, "certificate": PEM | null, "key": PEM | null, "server_name": ...},
        "token": text | null, "timeout": seconds}
Output: {"answers": [{...}], "code": "OK", "message": "", "details": [{"type": "ErrorInfo", ...}]}
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

DETAILS = [error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo, error_details_pb2.BadRequest]


def connect(address, tls):
    if tls is None:
        return grpc.insecure_channel(address)
    encoded = {name: tls[name].encode() if tls.get(name) else None for name in ("ca", "certificate", "key")}
    credentials = grpc.ssl_channel_credentials(encoded["ca"], encoded["key"], encoded["certificate"])
    options = []
    if tls.get("server_name"):
        options.append(("grpc.ssl_target_name_override", tls["server_name"]))
    return grpc.secure_channel(address, credentials, options)


def call(channel, asked):
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    service, name = asked["method"].split("/")
    method = pool.FindServiceByName(service).methods_by_name[name]
    request = message_factory.GetMessageClass(method.input_type)
    answer = message_factory.GetMessageClass(method.output_type)
    requests = [json_format.ParseDict(fields, request()) for fields in asked["requests"]]
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    stub = getattr(channel, kind)(
        f"/{asked['method']}", request_serializer=request.SerializeToString, response_deserializer=answer.FromString
    )
    sent = iter(requests) if method.client_streaming else requests[0]
    metadata = [("authorization", f"Bearer {asked['token']}")] if asked.get("token") else []
    answers = stub(sent, metadata=metadata, timeout=asked["timeout"])
    return answers if method.server_streaming else [answers]


def details(error):
    status = rpc_status.from_call(error)
    for packed in status.details if status else []:
        for known in DETAILS:
            message = known()
            if packed.Is(known.DESCRIPTOR):
                packed.Unpack(message)
                fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
                yield {"type": known.DESCRIPTOR.name, **fields}


def main():
    asked = json.load(sys.stdin)
    result = {"answers": [], "code": "OK", "message": "", "details": []}
    with connect(asked["address"], asked.get("tls")) as channel:
        try:
            for answer in call(channel, asked):
                fields = json_format.MessageToDict(answer, preserving_proto_field_name=True)
                result["answers"].append(fields)
        except grpc.RpcError as error:
            result.update(code=error.code().name, message=error.details(), details=list(details(error)))
    json.dump(result, sys.stdout)


main()
