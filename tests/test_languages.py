"""The pages speak the user's language where the application has Flask-Babel."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from flask import Flask, request
from flask.testing import FlaskClient
from flask_babel import Babel

import flask_wepay
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox
from flask_wepay.web import texts

DENIED = "/wepay/callback?error=access_denied"
CATALOGUES = sorted(
    Path(flask_wepay.__file__).parent.glob("web/translations/*/LC_MESSAGES/wepay.po")
)


@pytest.fixture
def babel(app: Flask) -> Babel:
    """Flask-Babel, with the language that the browser prefers."""
    return Babel(app, locale_selector=lambda: request.headers.get("Accept-Language"))


def lang_and_heading(page: str) -> tuple[str, str]:
    return re.search(r'<html lang="(.*?)">.*<h1>(.*?)</h1>', page, re.DOTALL).groups()


@pytest.mark.parametrize(
    ("language", "lang", "heading"),
    [
        ("en", "en", "You did not connect with WePay"),
        ("es", "es", "No se conectó con WePay"),
        ("es_MX", "es", "No se conectó con WePay"),
        ("fr", "fr", "Vous ne vous êtes pas connecté à WePay"),
        ("fr_CA", "fr", "Vous ne vous êtes pas connecté à WePay"),
        ("de", "en", "You did not connect with WePay"),
        ("zh_Hant", "en", "You did not connect with WePay"),
    ],
)
@pytest.mark.usefixtures("babel")
def test_language_of_a_page(client: FlaskClient, language: str, lang: str, heading: str) -> None:
    """Title, text, labels and ``lang`` are in the language that Flask-Babel chose."""
    page = client.get(DENIED, headers={"Accept-Language": language}).text

    assert lang_and_heading(page) == (lang, heading)
    assert f"<title>{heading}</title>" in page
    label = {"es": "Continuar sin WePay", "fr": "Continuer sans WePay"}
    assert f">{label.get(lang, 'Go on without WePay')}</a>" in page


@pytest.mark.usefixtures("babel")
def test_language_of_a_problem(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """So is what a script is to show."""
    headers = {"Accept-Language": "es", "Sec-Fetch-Mode": "cors"}

    answer = client.get("/wepay/login", headers=headers)

    assert answer.json["detail"] == (
        "Primero conecte con WePay. Esto requiere una conexión con WePay. No se hizo nada."
    )


@pytest.mark.usefixtures("babel")
def test_text_with_a_number(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A number stands where the language has it."""
    for _ in range(10):
        client.get(wepay_sandbox.authorize(client.get("/wepay/login?force=1").location))
    back = wepay_sandbox.authorize(client.get("/wepay/login?force=1").location)

    answer = client.get(back, headers={"Accept-Language": "fr"})

    assert f"réessayez dans {answer.headers['Retry-After']} secondes." in answer.text


@pytest.mark.usefixtures("babel")
def test_page_in_a_popup(app: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """The page that ends a pop-up speaks it, too."""
    client = app.test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "fr"
    client.get("/as/alice")

    page = wepay_connect(client, login="/wepay/login?display=popup").text

    assert lang_and_heading(page) == ("fr", "Connecté à WePay")


def test_without_flask_babel(client: FlaskClient) -> None:
    """Without Flask-Babel the pages are in English, whatever the browser prefers."""
    page = client.get(DENIED, headers={"Accept-Language": "fr"}).text

    assert lang_and_heading(page) == ("en", "You did not connect with WePay")


def test_language_that_the_database_knows(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Where the user's language can't be told, the page is in English, and the log says why."""
    Babel(app, locale_selector=lambda: str(1 // 0))

    page = app.test_client().get(DENIED)

    assert page.status_code == 403
    assert lang_and_heading(page.text) == ("en", "You did not connect with WePay")
    assert "ZeroDivisionError" in caplog.text


def test_language_in_the_log(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody fills the log by asking for a page whose language can't be told."""
    Babel(app, locale_selector=lambda: str(1 // 0))
    client = app.test_client()

    assert {client.get(DENIED).status_code for _ in range(40)} == {403}

    assert caplog.text.count("ZeroDivisionError: ") == 20


# The catalogues


def words(found: Any) -> Iterator[str]:
    """All words of a text, or of texts in tuples."""
    if isinstance(found, texts.Text):
        yield from (found.heading, found.text, *(label for _, label in found.ways))
    elif isinstance(found, tuple):
        for part in found:
            yield from words(part)


@pytest.fixture(scope="module")
def all_words() -> set[str]:
    found = {word for value in vars(texts).values() for word in words(value)}
    return found | {texts.DISCONNECTED, texts.UNCONFIRMED, texts.NOT_NOW, texts.IN_A_WINDOW}


def test_catalogues() -> None:
    """There is Spanish and French, since WePay serves the US and Canada."""
    assert [path.parts[-3] for path in CATALOGUES] == ["es", "fr"]


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_catalogue_is_whole(path: Path, all_words: set[str]) -> None:
    """A catalogue has all words and no others, each with its translation and its number."""
    with path.open("rb") as file:
        catalogue = read_po(file)
    entries = {entry.id: entry for entry in catalogue if entry.id}

    assert set(entries) == all_words
    assert [entry.id for entry in entries.values() if not entry.string or entry.fuzzy] == []
    assert [
        entry.id
        for entry in entries.values()
        if re.findall(r"%\S+", entry.id) != re.findall(r"%\S+", entry.string)
    ] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_catalogue_is_compiled(path: Path) -> None:
    """What is shipped compiled is what its source says: ``make translations`` was run."""
    with path.open("rb") as file:
        catalogue = read_po(file)
    with path.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)

    assert {e.id: compiled.gettext(e.id) for e in catalogue if e.id} == {
        e.id: e.string for e in catalogue if e.id
    }


@pytest.mark.usefixtures("babel")
def test_own_refusal(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """The reason that the extension itself gives is translated as well."""
    back = wepay_sandbox.authorize(client.get("/wepay/login").location)
    wepay_sandbox.drop_next("oauth2/token", before=False)
    client.get(back)

    page = client.get(back, headers={"Accept-Language": "es"})

    assert page.status_code == 409
    assert "Puede que haya llegado a WePay, o puede que no." in page.text
