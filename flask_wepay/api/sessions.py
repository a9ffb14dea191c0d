"""The session of requests that is kept per process, and its connections with it.

The sessions of requests close their pools and keep cookies; this one does the reverse.
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

#: Bytes of an answer; WePay's largest, a batch of 50, stays far below.
LARGEST_BODY = 8 * 1024 * 1024
CHUNK = 64 * 1024
#: Connections kept per process and host.
POOL_SIZE = 100

Pools = dict[str, type[HTTPConnectionPool]]

_OURS: Pools = {"http": Pool, "https": TLSPool}
_URLLIB3S_OWN = {"urllib3.connectionpool", "urllib3.connection"}


def _usual_pools() -> Pools:
    """Return the pools that anybody's new urllib3.PoolManager takes."""
    return dict(poolmanager.pool_classes_by_scheme)


class Sessions:
    """The sessions of one application: one per process, for a fork must not read its parent's.

    Where something has taken the place of urllib3's pools or connections, vcrpy for one, it is
    used, and no connection that was open before.
    """

    def __init__(self) -> None:
        self._kept: tuple[Any, KeptSession] | None = None

    def current(self) -> KeptSession:
        """Return the session to send with now."""
        usual = _usual_pools()
        classes = [(pool, pool.ConnectionCls) for pool in usual.values()]
        key = os.getpid(), classes
        kept = self._kept
        if kept is None or kept[0] != key:
            modules = {kind.__module__ for pair in classes for kind in pair}
            pools = _OURS if modules <= _URLLIB3S_OWN else usual
            # Two threads may both come by here; then the later session stays.
            kept = self._kept = key, KeptSession(pools)
        return kept[1]


class _KeptAdapter(HTTPAdapter):
    """An adapter whose pool outlives the sessions that use it."""

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
        """Keep the pool: every session that is done calls this."""


class KeptSession(requests.Session):
    """A session that keeps connections and nothing else: no cookie of one owner for the next."""

    def __init__(self, pools: Pools) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.adapter = _KeptAdapter(pools)
        self.mount("https://", self.adapter)
        self.mount("http://", self.adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Follow nothing: requests reads a redirect's body even where it must not follow."""


def deadline(seconds: float) -> Timeout:
    """Return a timeout that bounds connecting, and all of sending and reading together."""
    return Timeout(total=seconds, connect=min(CONNECT_TIMEOUT, seconds))


def read_body(response: requests.Response, largest: int = LARGEST_BODY) -> bytes:
    """Read an answer's body, undecoded and of so many bytes at most.

    :raises requests.RequestException: if it is larger, cut short, or comes too slowly.
    """
    body = bytearray()
    try:
        # identity was asked for; a compressed body is not JSON, and so no bomb either.
        while chunk := response.raw.read(CHUNK, decode_content=False):
            body += chunk
            if len(body) > largest:
                raise OSError("the answer is too large")
    except (HTTPError, OSError) as error:
        response.close()
        raise requests.ConnectionError("the answer broke off") from error
    response.raw.release_conn()
    return bytes(body)
