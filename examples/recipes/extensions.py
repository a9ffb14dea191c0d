"""Flask-Limiter, Flask-Session, Flask-Caching and Flask-Talisman with Flask-WePay."""

from __future__ import annotations

from typing import Any

from cachelib import FileSystemCache
from flask import Flask
from flask_caching import Cache
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_session import Session
from flask_talisman import Talisman

from flask_wepay import signals

from .shop import wepay


def add_limiter(app: Flask, storage: str, *limits: str) -> Limiter:
    limiter = Limiter(get_remote_address, app=app, storage_uri=storage, default_limits=list(limits))
    # IPNs come from few addresses, and WePay retries a refused one after minutes or hours.
    limiter.exempt(app.view_functions["wepay.ipn"])
    return limiter


def add_session(app: Flask, directory: str) -> None:
    app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=FileSystemCache(directory))
    Session(app)


def add_cache(app: Flask) -> Any:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @cache.memoize(timeout=60)
    def names_of_accounts(owner: str) -> list[Any]:
        """Cache names by owner: never a token, and never a page by its URL alone."""
        accounts = wepay.client_for(owner).call("account/find")
        return [account["name"] for account in accounts]

    def forget(sender: Flask, owner: str, **facts: Any) -> None:
        cache.delete_memoized(names_of_accounts, owner)

    for signal in (signals.wepay_authorized, signals.wepay_token_revoked):
        signal.connect(forget, app, weak=False)
    return names_of_accounts


def add_talisman(app: Flask) -> Talisman:
    # Flask-WePay's pages and scripts come from your own site, and use nothing inline.
    return Talisman(app, content_security_policy={"default-src": "'self'"})
