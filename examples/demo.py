"""Run the crowdfunding example against the sandbox, and stop both together.

``make demo`` does this; without make, from the top of the checkout::

    python3 -m venv .venv
    .venv/bin/pip install -e . -r examples/crowdfunding/requirements.txt
    .venv/bin/python examples/demo.py
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
HOST = "127.0.0.1"
PATIENCE = 60  # seconds that a server has to start

Server = subprocess.Popen[bytes]


class Failed(Exception):
    """The demo cannot go on; the message is the one line to show."""


def main() -> None:
    """Start everything, say where it is, and wait for Ctrl-C."""
    for name in ("flask_wepay", "flask_login", "flask_migrate", "flask_wtf"):
        if importlib.util.find_spec(name) is None:
            raise Failed(f"'{name}' is not installed: see the top of {__file__}.")

    port, sandbox_port = free_port("PORT", 8000), free_port("SANDBOX_PORT", 8010)
    if port == sandbox_port:
        raise Failed("PORT and SANDBOX_PORT must be two different ports.")

    data = Path(os.environ.get("DEMO_DATA", EXAMPLES / "instance")).resolve()
    with running(data, port, sandbox_port) as servers:
        print(f"\n  Open  http://{HOST}:{port}\n")
        print(f"  The sandbox, in place of WePay, is at http://{HOST}:{sandbox_port}")
        print(f"  Data and log are in {data}")
        print("  Ctrl-C stops both.", flush=True)
        wait_for_end(servers)


@contextmanager
def running(data: Path, port: int, sandbox_port: int) -> Iterator[list[Server]]:
    """Run the sandbox and the example until the end of the block."""
    data.mkdir(parents=True, exist_ok=True)
    # The sandbox keeps everything in memory, so each demo begins anew.
    (data / "crowdfunding.sqlite").unlink(missing_ok=True)
    log = data / "demo.log"
    environment = example_environment(data, port, sandbox_port)
    flask = ["flask", "--app", "crowdfunding"]

    with ExitStack() as stack:
        output = stack.enter_context(log.open("w"))

        def start(*command: str) -> Server:
            server = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=EXAMPLES,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            stack.callback(stop, server)
            return server

        try:
            sandbox = start("flask_wepay.sandbox", "--port", str(sandbox_port))
            for command in (["db", "upgrade"], ["seed"]):
                if start(*flask, *command).wait():
                    raise Failed(f"'flask {' '.join(command)}' failed.")
            example = start(*flask, "run", "--port", str(port))
            wait_for_answer(sandbox, sandbox_port)
            wait_for_answer(example, port)
            yield [sandbox, example]
        except Failed as failed:
            last = "\n".join(f"  {line}" for line in log.read_text().splitlines()[-12:])
            raise Failed(f"{failed} The last lines of {log}:\n{last}") from None


def free_port(name: str, default: int) -> int:
    """Read a port from the environment, and see that nothing listens there."""
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise Failed(f"{name} must be a port, a number up to 65535, not '{value}'.")
    with socket.socket() as probe:
        if os.name == "posix":  # elsewhere this option would let two programs share the port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(value)))
        except OSError as error:
            raise Failed(
                f"Port {value} cannot be used ({error.strerror}): stop what runs there, "
                f"or choose another one, {name}={int(value) + 1} say."
            ) from None
    return int(value)


def example_environment(data: Path, port: int, sandbox_port: int) -> dict[str, str]:
    """Give the settings of the example; FLASK_* variables of your own stay out of it."""
    return {key: value for key, value in os.environ.items() if not key.startswith("FLASK_")} | {
        "FLASK_DEMO": "true",
        "FLASK_SECRET_KEY": secrets.token_urlsafe(32),
        "FLASK_SESSION_COOKIE_NAME": f"session_{port}",  # browsers share cookies between ports
        "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{data / 'crowdfunding.sqlite'}",
        "FLASK_WEPAY_ENVIRONMENT": "sandbox",
        "FLASK_WEPAY_SANDBOX_URL": f"http://{HOST}:{sandbox_port}",
        "PYTHONUNBUFFERED": "1",
    }


def wait_for_answer(server: Server, port: int) -> None:
    """Wait until the server answers a request."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Failed(f"The server for port {port} stopped.")
        connection = http.client.HTTPConnection(HOST, port, timeout=5)
        try:
            connection.request("GET", "/")
            if connection.getresponse().status >= 500:
                raise Failed(f"The server on port {port} answers with an error.")
            return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise Failed(f"The server on port {port} does not answer.")


def wait_for_end(servers: list[Server]) -> None:
    """Wait until a server stops, which neither does by itself."""
    while all(server.poll() is None for server in servers):
        time.sleep(0.2)
    raise Failed("A server stopped.")


def stop(process: Server) -> None:
    """End a process that may have ended already."""
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    # Being told to end is the same as Ctrl-C: the servers must not stay behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        print("\n  Stopped.")
    except Failed as failed:
        sys.exit(f"demo: {failed}")
