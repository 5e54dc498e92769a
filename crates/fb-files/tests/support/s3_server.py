"""Runs moto on a free port of this machine, prints the port, and ends when its standard input does.

The tests hold the other end of the standard input; so the server ends with them, however they end.
"""

import os
import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


def wait_for_the_end():
    sys.stdin.buffer.read()
    os._exit(0)


class Handler(WSGIRequestHandler):
    # Connections are kept, as real storages do.
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


threading.Thread(target=wait_for_the_end, daemon=True).start()
application = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
print(server.server_port, flush=True)
server.serve_forever()
