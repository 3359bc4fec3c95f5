"""What the Python side of the Hollowtrees tests shares: stubs, TLS files, and orders as JSON, one a line each way."""

import json
import sys
import threading

from google.protobuf import json_format

CONFIG = json.loads(sys.argv[1])
# Where protoc has written the stubs.
sys.path.insert(0, CONFIG["stubs"])

_write_lock = threading.Lock()


def say(line):
    with _write_lock:
        print(json.dumps(line), flush=True)


def serve_orders(orders):
    """Each order runs in a thread of its own, so that one that waits holds up no other; ends with the input."""

    def run(order):
        try:
            answer = {"answer": orders[order["do"]](order)}
        except Exception as error:  # A defect of the test: told to whoever gave the order.
            answer = {"broken": repr(error)}
        say({"id": order["id"], **answer})

    say({"id": 0, "answer": "ready"})
    for line in sys.stdin:
        threading.Thread(target=run, args=(json.loads(line),), daemon=True).start()


def as_json(message):
    """All fields under the names of the definition, also those that are empty; bytes in Base64."""
    return json_format.MessageToDict(
        message, including_default_value_fields=True, preserving_proto_field_name=True
    )


def from_json(fields, message):
    return json_format.ParseDict(fields, message)


def pem(name):
    """The bytes of a file that the configuration names; None when it names none."""
    path = CONFIG.get(name)
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()
