"""What the recipes say of other extensions, with the extensions themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from flask_babel import Babel
from flask_caching import Cache
from recipes import admin, extensions, owners
from recipes.shop import db, owner, wepay
from shop_browsers import browser_of

from flask_wepay.errors import NotAuthorized
from flask_wepay.pytest_plugin import Connect, DeliverIPN
from flask_wepay.sandbox import Sandbox

BILL = 100001


def test_admin(shop: Flask, wepay_connect: Connect) -> None:
    """An administrator reads who is connected; nobody changes it, and no token is on a page."""
    # Flask-Admin wants it initialised where it is installed.
    Babel(shop)
    admin.add_admin(shop)
    browser = browser_of(shop, "alice")
    wepay_connect(browser)
    with shop.app_context():
        row = db.session.scalars(db.select(admin.WePayToken)).one()
        sealed, state = row.token, row.state_hash
    assert browser.get("/admin/connections/").status_code == 403
    with browser.session_transaction() as visitor:
        visitor["is_admin"] = True

    pages = [
        browser.get(f"/admin/connections/{path}")
        for path in ("", "?search=alice", "details/?id=1&modal=True")
    ]

    assert [page.status_code for page in pages] == [200, 200, 200]
    assert all("alice" in page.text and str(BILL) in page.text for page in pages)
    assert not any(sealed in page.text or state in page.text for page in pages)
    for path in ("new/", "edit/?id=1", "delete/", "action/"):
        browser.post(f"/admin/connections/{path}", data={"id": "1", "action": "delete", "rowid": 1})
    with shop.app_context():
        assert wepay.client_for("alice").authorized


def test_limiter(shop: Flask, wepay_connect: Connect, wepay_ipn: DeliverIPN) -> None:
    """IPNs are not limited; everything else is."""
    extensions.add_limiter(shop, "memory://", "4 per hour")
    browser = browser_of(shop, "alice")
    wepay_connect(browser)

    ipns = [wepay_ipn(browser, BILL).status_code for _ in range(8)]
    pages = [browser.get("/account").status_code for _ in range(6)]

    # A 503 is our own budget's, which WePay answers by coming again.
    assert set(ipns) <= {200, 503}
    assert pages[-1] == 429


def test_session(shop: Flask, tmp_path: Path, wepay_connect: Connect) -> None:
    """A login is remembered in a session that is kept on the server."""
    extensions.add_session(shop, str(tmp_path / "sessions"))
    shop.add_url_rule("/as/<name>", "enter", lambda name: session.update(user=name) or name)
    browser = shop.test_client()
    browser.get("/as/alice")

    assert wepay_connect(browser, login="/wepay/login?next=/account").location == "/account"
    cookie = browser.get_cookie("session")
    assert cookie is not None
    assert len(cookie.value) < 60


def test_cache(shop: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """Each owner has entries of their own, a new connection empties them, no token gets in."""
    names = extensions.add_cache(shop)
    for name, email in (("alice", "bill@example.com"), ("bob", "mary@example.com")):
        wepay_connect(browser_of(shop, name), email=email)
    with shop.app_context():
        wepay.client_for("alice").call("account/create", name="Bridge", description="d")
        before = wepay_sandbox.count("account/find")

        assert [names("alice"), names("bob"), names("alice")] == [["Bridge"], [], ["Bridge"]]
        assert wepay_sandbox.count("account/find") == before + 2
        token = wepay.client_for("alice").token
        cache = Cache(shop, config={"CACHE_TYPE": "SimpleCache"})
        with pytest.raises(TypeError, match="pickled"):
            cache.set("t", token)
    wepay_connect(browser_of(shop, "alice"), email="mary@example.com", login="/wepay/login?force=1")
    with shop.app_context():
        assert names("alice") == []


def test_talisman(shop: Flask, wepay_connect: Connect) -> None:
    """A page of the extension has nothing inline for the policy to forbid."""
    extensions.add_talisman(shop)
    browser = browser_of(shop, "alice")

    page = browser.get("/wepay/callback?code=a&state=b", base_url="https://localhost")

    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert page.status_code == 400
    assert "<style" not in page.text
    assert " style=" not in page.text


@pytest.fixture
def _by_shop() -> Iterator[None]:
    """Own by shop, for as long as a test takes."""
    wepay.owner_loader(owners.shop_of_user)
    yield
    wepay.owner_loader(owner)


def browser_in(shop: Flask, user: str, of: str) -> Any:
    browser = browser_of(shop, user)
    with browser.session_transaction() as visitor:
        visitor["shop"] = of
    return browser


@pytest.mark.usefixtures("_by_shop")
def test_several_accounts(shop: Flask, wepay_connect: Connect) -> None:
    """One person's shops are connected with a WePay user each."""
    wepay_connect(browser_in(shop, "alice", "books"), email="bill@example.com")
    wepay_connect(browser_in(shop, "alice", "tea"), email="mary@example.com")

    assert browser_in(shop, "alice", "books").get("/account").json == {"email": "bill@example.com"}
    assert browser_in(shop, "alice", "tea").get("/account").json == {"email": "mary@example.com"}
    with shop.app_context():
        assert owners.shops_of("alice") == ["alice/books", "alice/tea"]
        assert owners.shops_of("ali") == []


@pytest.mark.usefixtures("_by_shop")
def test_move(shop: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """Another id goes on with the token, the old one has none, and WePay is not asked."""
    wepay_connect(browser_in(shop, "alice", "books"))
    sent = len(wepay_sandbox.log)
    with shop.app_context():
        owners.move(shop, "alice", "books", "alice@new.example")
        owners.move(shop, "nobody", "books", "alice@new.example")
        assert len(wepay_sandbox.log) == sent

        moved = wepay.client_for("alice@new.example/books")
        assert moved.call("user")["email"] == "bill@example.com"
        with pytest.raises(NotAuthorized):
            wepay.client_for("alice/books").call("user")
