"""A minimal provider: it answers at once, so that what is measured is the asking side.

It speaks TLS on loopback, or plain HTTP where it is given no certificate, keeps
connections, and answers the token request and any call in WePay's dialect and in that of
RFC 6749 alike, for it reads neither. It counts connections (after their TLS handshakes)
and requests, and tells both on standard output.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import sys

USER = {
    "user_id": 47134,
    "user_name": "Bill Clerico",
    "first_name": "Bill",
    "last_name": "Clerico",
    "email": "bill@example.com",
    "state": "registered",
    "callback_uri": "https://example.com/wepay/ipn",
}
counts = {"connections": 0, "requests": 0}
_serial = itertools.count(1)


class Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        counts["connections"] += 1
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            body_end = end + 4 + _length(head)
            if len(self._received) < body_end:
                return
            self._received = self._received[body_end:]
            self._transport.write(_answer(head))


def _length(head: bytes) -> int:
    _, found, rest = head.partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


def _answer(head: bytes) -> bytes:
    counts["requests"] += 1
    path = head.split(b" ", 2)[1]
    body = json.dumps(_token() if path.endswith(b"/oauth2/token") else USER).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


def _token() -> dict[str, object]:
    # A user of its own for each, so that nobody's earlier token would have been revoked.
    serial = next(_serial)
    access_token = f"STAGE_{serial:064}"
    return {"user_id": 10**6 + serial, "access_token": access_token, "token_type": "BEARER"}


async def main(certificate: str | None) -> None:
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, ssl=context, backlog=200)
    _say({"port": server.sockets[0].getsockname()[1]})
    ended = loop.create_future()

    def asked() -> None:
        if sys.stdin.readline():
            _say(counts)
        else:
            loop.remove_reader(sys.stdin)
            ended.set_result(None)

    loop.add_reader(sys.stdin, asked)
    await ended


def _say(answer: object) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if sys.argv[1:] else None))
