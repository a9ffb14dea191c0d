"""A minimal provider: it answers at once, so that what is measured is the asking side.

It keeps connections, and answers the token request and any call in WePay's dialect and in
that of RFC 6749 alike, for it reads neither.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import certifi
import trustme

from .turns import apart

#: "certifi" is what applications have: all the world's authorities, read with each new TLS
#: context. "tiny" is the one authority of this benchmark: nobody's production.
BUNDLES = {
    "certifi": "trusting certifi's authorities, as applications do",
    "tiny": "trusting one authority only, the best case of who opens connections anew",
}
USER = {
    "user_id": 47134,
    "user_name": "Bill Clerico",
    "first_name": "Bill",
    "last_name": "Clerico",
    "email": "bill@example.com",
    "state": "registered",
    "callback_uri": "https://example.com/wepay/ipn",
}


@contextmanager
def over_tls(directory: Path) -> Iterator[Provider]:
    """Run a provider, and write the bundles that trust it: ``certifi.pem`` and ``tiny.pem``."""
    authority = trustme.CA()
    own = authority.cert_pem.bytes()
    (directory / "tiny.pem").write_bytes(own)
    (directory / "certifi.pem").write_bytes(Path(certifi.where()).read_bytes() + own)
    certificate = directory / "server.pem"
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
    with apart(Provider, certificate) as provider:
        yield provider


class Provider:
    """A provider that runs in a thread, over TLS if it is given a certificate.

    Each of its answers takes `delay` seconds.
    """

    def __init__(self, certificate: Path | None = None, delay: float = 0) -> None:
        self._delay = delay
        self._connections = 0
        self._serials = itertools.count(1)
        self._port: Future[int] = Future()
        target, arguments = asyncio.run, [self._serve(certificate)]
        threading.Thread(target=target, args=arguments, daemon=True).start()
        scheme = "http" if certificate is None else "https"
        self._url = f"{scheme}://127.0.0.1:{self._port.result()}"

    def url(self) -> str:
        return self._url

    def connections(self) -> int:
        """Return how many connections were opened so far, their TLS handshakes included."""
        return self._connections

    async def _serve(self, certificate: Path | None) -> None:
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self), "127.0.0.1", 0, ssl=context, backlog=200
        )
        self._port.set_result(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    def connected(self) -> None:
        self._connections += 1

    def answer(self, head: bytes, transport: asyncio.Transport) -> None:
        path = head.split(b" ", 2)[1]
        body = json.dumps(self._token() if path.endswith(b"/oauth2/token") else USER)
        answer = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, transport.write, answer)
        else:
            transport.write(answer)

    def _token(self) -> dict[str, object]:
        # A user of its own for each, so that nobody's earlier token would have been revoked.
        serial = next(self._serials)
        access_token = f"STAGE_{serial:064}"
        return {"user_id": 10**6 + serial, "access_token": access_token, "token_type": "BEARER"}


class Connection(asyncio.Protocol):
    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._provider.connected()
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            _, found, rest = head.partition(b"content-length:")
            body_end = end + 4 + (int(rest.split(b"\r\n", 1)[0]) if found else 0)
            if len(self._received) < body_end:
                return
            self._received = self._received[body_end:]
            self._provider.answer(head, self._transport)
