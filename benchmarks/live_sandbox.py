"""The sandbox as a server in a process of its own; its greeting says where it is."""

from __future__ import annotations

from flask_wepay.sandbox.server import LiveSandbox

from .processes import serve


def main() -> None:
    with LiveSandbox() as sandbox:
        serve(
            lambda: {"connections": sandbox.connections},
            {"url": sandbox.url, "token": sandbox.issue_token()},
        )


if __name__ == "__main__":
    main()
