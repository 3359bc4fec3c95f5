"""A Hollowtrees action plugin, for both versions, on stubs that protoc and grpc_python_plugin made."""

import threading
from concurrent import futures

import grpc

import talk  # First: it shows Python where the stubs are.
from health.v1 import health_pb2, health_pb2_grpc
from v1 import action_pb2, action_pb2_grpc
from v2 import event_pb2, event_pb2_grpc

received = []
# How the next calls are answered, one after the other; "ok" when none is left.
plans = []
# Calls that hang.
waiting = []
# A call takes its plan and is written down at once.
lock = threading.Lock()
health = {"status": "SERVING"}


def take(version, message, context):
    with lock:
        plan = plans.pop(0) if plans else {}
        received.append(
            {
                "version": version,
                "message": talk.as_json(message),
                "peer": context.peer(),
                "timeRemaining": context.time_remaining(),
                "metadata": {key: value for key, value in context.invocation_metadata() if isinstance(value, str)},
            }
        )
    if plan.get("hang"):
        hang_until_given_up(context)
    if "code" in plan:
        context.abort(grpc.StatusCode[plan["code"]], plan.get("details", ""))
    return plan.get("status", "ok")


def hang_until_given_up(context):
    gone = threading.Event()
    if context.add_callback(gone.set):
        waiting.append(context)
        gone.wait()
        waiting.remove(context)


class Action(action_pb2_grpc.ActionServicer):
    def HandleAlert(self, request, context):
        return action_pb2.ActionResult(status=take("v1", request, context))


class EventHandler(event_pb2_grpc.EventHandlerServicer):
    def Handle(self, request, context):
        return event_pb2.Result(status=take("v2", request, context))


class Health(health_pb2_grpc.HealthServicer):
    def Check(self, request, context):
        return health_pb2.HealthCheckResponse(status=health["status"])


def start():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)])
    action_pb2_grpc.add_ActionServicer_to_server(Action(), server)
    event_pb2_grpc.add_EventHandlerServicer_to_server(EventHandler(), server)
    if talk.CONFIG["health"]:
        health_pb2_grpc.add_HealthServicer_to_server(Health(), server)
    if talk.CONFIG.get("cert") is None:
        server.add_insecure_port(talk.CONFIG["address"])
    else:
        clients = talk.pem("clientCa")
        credentials = grpc.ssl_server_credentials(
            [(talk.pem("key"), talk.pem("cert"))], clients, require_client_auth=clients is not None
        )
        server.add_secure_port(talk.CONFIG["address"], credentials)
    server.start()
    return server


server = start()


def plan(order):
    with lock:
        plans[:] = order["plans"]


def take_received(order):
    with lock:
        taken = received[:]
        received.clear()
    return taken


def set_health(order):
    health["status"] = order["status"]


talk.serve_orders(
    {
        "plan": plan,
        "received": take_received,
        "health": set_health,
        "waiting": lambda order: len(waiting),
    }
)
server.stop(None)
