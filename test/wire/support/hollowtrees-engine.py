"""Calls a gRPC server with stubs that protoc and grpc_python_plugin made, as a Hollowtrees engine would."""

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool

import talk  # First: it shows Python where the stubs are.
from health.v1 import health_pb2, health_pb2_grpc
from reflection.v1 import reflection_pb2, reflection_pb2_grpc
from reflection.v1alpha import reflection_pb2 as alpha_pb2, reflection_pb2_grpc as alpha_pb2_grpc
from v1 import action_pb2, action_pb2_grpc
from v2 import event_pb2, event_pb2_grpc

ADDRESS = talk.CONFIG["address"]


def connect():
    # No retries behind the back of the test.
    options = [("grpc.enable_retries", 0)]
    if talk.CONFIG.get("ca") is None:
        return grpc.insecure_channel(ADDRESS, options)
    credentials = grpc.ssl_channel_credentials(talk.pem("ca"), talk.pem("key"), talk.pem("cert"))
    return grpc.secure_channel(ADDRESS, credentials, options)


channel = connect()
CALLS = {
    "v1": (action_pb2_grpc.ActionStub(channel).HandleAlert, action_pb2.AlertEvent),
    "v2": (event_pb2_grpc.EventHandlerStub(channel).Handle, event_pb2.CloudEvent),
    "check": (health_pb2_grpc.HealthStub(channel).Check, health_pb2.HealthCheckRequest),
}
PATHS = {"v1": "/action.Action/HandleAlert", "v2": "/proto.EventHandler/Handle"}
REFLECTIONS = {
    "v1": (reflection_pb2_grpc, reflection_pb2),
    "v1alpha": (alpha_pb2_grpc, alpha_pb2),
}


def ended(error):
    return {"code": error.code().name, "details": error.details()}


def options_of(order):
    return {"timeout": order.get("timeout"), "metadata": order.get("metadata")}


def call(order):
    method, message_type = CALLS[order["to"]]
    try:
        return {"message": talk.as_json(method(talk.from_json(order["message"], message_type()), **options_of(order)))}
    except grpc.RpcError as error:
        return ended(error)


def call_with_bytes(order):
    """Sends bytes that need not be a message."""
    method = channel.unary_unary(PATHS[order["to"]])
    try:
        return {"bytes": method(bytes.fromhex(order["bytes"]), **options_of(order)).hex()}
    except grpc.RpcError as error:
        return ended(error)


def watch(order):
    """What a watch of the service tells until it ends, or until so many answers have come."""
    statuses = []
    stream = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=order["service"]))
    try:
        for answer in stream:
            name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            statuses.append(name)
            talk.say({"id": order["id"], "told": name})
            if len(statuses) == order.get("most"):
                stream.cancel()
                return {"statuses": statuses}
        return {"statuses": statuses, "code": "OK"}
    except grpc.RpcError as error:
        return {"statuses": statuses, **ended(error)}


def reflect(order, **question):
    stubs, messages = REFLECTIONS[order["version"]]
    request = messages.ServerReflectionRequest(**question)
    return next(stubs.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]), **options_of(order)))


def services(order):
    return [service.name for service in reflect(order, list_services="").list_services_response.service]


def describe(order):
    """The methods of a service with the fields of what they take and give, as the server describes them."""
    answer = reflect(order, file_containing_symbol=order["service"])
    if answer.HasField("error_response"):
        return {"error": grpc.StatusCode.NOT_FOUND.value[0] == answer.error_response.error_code}
    pool = descriptor_pool.DescriptorPool()
    for file in answer.file_descriptor_response.file_descriptor_proto:
        pool.Add(descriptor_pb2.FileDescriptorProto.FromString(file))
    return {
        method.name: {"takes": fields_of(method.input_type), "gives": fields_of(method.output_type)}
        for method in pool.FindServiceByName(order["service"]).methods
    }


def fields_of(message):
    return {field.name: [field.number, kind_of(field)] for field in message.fields}


def kind_of(field):
    if field.message_type is None:
        return descriptor_pb2.FieldDescriptorProto.Type.Name(field.type)
    if field.message_type.GetOptions().map_entry:
        return "map"
    return fields_of(field.message_type)


talk.serve_orders(
    {
        "call": call,
        "bytes": call_with_bytes,
        "watch": watch,
        "services": services,
        "describe": describe,
    }
)
