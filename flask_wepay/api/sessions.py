"""The requests session of a process, with its connection pool.

A plain requests session closes its pool and keeps cookies; this one does the reverse.
"""

from __future__ import annotations

import os
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, poolmanager
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from .connections import CONNECT_TIMEOUT, Pool, TLSPool, attempted

__all__ = ["KeptSession", "Sessions", "deadline", "read_body"]

#: The most bytes of an answer; WePay's largest, a batch of 50, stays far below.
LARGEST_BODY = 8 * 1024 * 1024
CHUNK = 64 * 1024
#: The size of the connection pool, per process and host.
POOL_SIZE = 100

Pools = dict[str, type[HTTPConnectionPool]]

_OURS: Pools = {"http": Pool, "https": TLSPool}
_URLLIB3S_OWN = {"urllib3.connectionpool", "urllib3.connection"}


class Sessions:
    """The sessions of one application, one per process, so that a fork doesn't share sockets.

    If something replaces urllib3's pools or connections, as vcrpy does, its pools are used,
    and no connection that was open before.
    """

    def __init__(self) -> None:
        self._kept: tuple[Any, KeptSession] | None = None

    def current(self) -> KeptSession:
        """Return the session of this process."""
        # What a new urllib3.PoolManager uses.
        usual: Pools = dict(poolmanager.pool_classes_by_scheme)
        classes = [(pool, pool.ConnectionCls) for pool in usual.values()]
        key = os.getpid(), classes
        kept = self._kept
        if kept is None or kept[0] != key:
            modules = {kind.__module__ for pair in classes for kind in pair}
            pools = _OURS if modules <= _URLLIB3S_OWN else usual
            # Two threads may both get here; the later session stays.
            kept = self._kept = key, KeptSession(pools)
        return kept[1]


class _KeptAdapter(HTTPAdapter):
    """An adapter whose connection pool outlives the sessions that use it."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        super().__init__(pool_maxsize=POOL_SIZE, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        with attempted(kwargs["timeout"].total):
            return super().send(*args, **kwargs)

    def close(self) -> None:
        """Keep the pool; every session calls this when it is closed."""


class KeptSession(requests.Session):
    """A session that keeps connections only, so that no owner gets another one's cookies."""

    def __init__(self, pools: Pools) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.adapter = _KeptAdapter(pools)
        self.mount("https://", self.adapter)
        self.mount("http://", self.adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Follow no redirect; requests would read its body even with allow_redirects=False."""


def deadline(seconds: float) -> Timeout:
    """Return a timeout that bounds connecting, and sending and reading together."""
    return Timeout(total=seconds, connect=min(CONNECT_TIMEOUT, seconds))


def read_body(response: requests.Response, largest: int = LARGEST_BODY) -> bytes:
    """Return an answer's body, undecoded and of at most `largest` bytes.

    :raises requests.RequestException: if it is larger, cut short, or arrives too slowly.
    """
    body = bytearray()
    try:
        # The request asks for identity. A compressed body isn't JSON, and is never unpacked.
        while chunk := response.raw.read(CHUNK, decode_content=False):
            body += chunk
            if len(body) > largest:
                raise OSError("the answer is too large")
            if response.raw.length_remaining == 0:
                break
    except (HTTPError, OSError) as error:
        response.close()
        raise requests.ConnectionError("the answer is cut short") from error
    response.raw.release_conn()
    return bytes(body)
