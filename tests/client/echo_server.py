"""Run an echo server: print its address, and at each line of input how many connections it had."""

import sys

from servers import RawServer, echo

with RawServer(echo) as server:
    print(server.url, flush=True)  # noqa: T201
    for _ in sys.stdin:
        print(server.connections, flush=True)  # noqa: T201
