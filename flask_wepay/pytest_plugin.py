"""Fixtures for testing an application that uses WePay, with the sandbox in WePay's place.

Enable them in your ``conftest.py``::

    pytest_plugins = ["flask_wepay.pytest_plugin"]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from flask_wepay.sandbox import IPN, Sandbox
    from flask_wepay.sandbox.server import LiveSandbox


@pytest.fixture
def wepay_sandbox() -> Iterator[Sandbox]:
    """Run a sandbox in the test's process, without a socket.

    It answers all requests to http://127.0.0.1:8010, the default of WEPAY_SANDBOX_URL. Other
    URLs are not affected, except that the real WePay can't be reached.

    .. versionadded:: 1.0
    """
    from flask_wepay.sandbox import Sandbox

    sandbox = Sandbox()
    with sandbox.joined():
        yield sandbox
    sandbox.faults.clear()


@pytest.fixture
def wepay_live_sandbox() -> Iterator[LiveSandbox]:
    """Run a sandbox as a server on a free port; set WEPAY_SANDBOX_URL to its ``url``.

    .. versionadded:: 1.0
    """
    from flask_wepay.sandbox.server import LiveSandbox

    with LiveSandbox() as sandbox:
        yield sandbox


class Connect:
    """Takes a test client through the login, the authorize page and the callback.

    .. versionadded:: 1.0
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def __call__(
        self,
        client: FlaskClient,
        *,
        email: str | None = None,
        deny: bool = False,
        login: str = "/wepay/login",
        base_url: str | None = None,
    ) -> TestResponse:
        """Connect as a WePay user, and return the application's last response.

        :param email: the WePay user, who is registered if unknown; None means the pre-filled
            or the first user.
        :param deny: deny the connection instead.
        :param login: the URL to start at, with its query.
        :param base_url: such as "https://example.com", if the application checks its host.
        :raises AssertionError: if the application redirects to the real WePay.
        """
        from flask_wepay.sandbox.transport import is_wepay

        answer = client.get(login, base_url=base_url)
        assert not is_wepay(answer.location), (
            f"The login redirects to {answer.location}: is 'WEPAY_ENVIRONMENT' other than"
            " 'sandbox'?"
        )
        if not self._leads_to_wepay(answer):
            return answer
        back = self._sandbox.authorize(answer.location or "", email=email, deny=deny)
        return client.get(back)

    def _leads_to_wepay(self, answer: TestResponse) -> bool:
        location = answer.headers.get("Location", "")
        return location.startswith(f"{self._sandbox.url}/v2/oauth2/authorize?")


@pytest.fixture
def wepay_connect(request: pytest.FixtureRequest) -> Connect:
    """Connect a user in one line: ``wepay_connect(client, email="bill@example.com")``.

    It uses the test's sandbox: the live one if the test requests it.

    .. versionadded:: 1.0
    """
    return Connect(_sandbox_of(request))


class DeliverIPN:
    """Delivers IPNs to the application under test, through a test client.

    .. versionadded:: 1.0
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def __call__(
        self,
        client: FlaskClient,
        user_id: int | None = None,
        *,
        callback_uri: str | None = None,
        **fields: object,
    ) -> TestResponse:
        """Deliver the queued IPNs, or a new one if none is queued, and return the last response.

        :param user_id: deliver only IPNs about this WePay user.
        :param callback_uri: the URL of a new IPN, by default that of the user's last token.
        :param fields: further fields, such as ``checkout_id=…``, to select IPNs by.
        :raises LookupError: if no IPN is queued, and the user's tokens have no callback_uri.
        """
        wanted = {name: str(value) for name, value in fields.items()}
        if user_id is not None:
            wanted["user_id"] = str(user_id)
        queued = [] if callback_uri else [ipn for ipn in self._due() if _matches(ipn, wanted)]
        if not queued:
            address = callback_uri or self._callback_uri(user_id)
            queued = [self._sandbox.world.ipns.add(address, **wanted)]
        answers: list[TestResponse] = []

        def post(address: str, form: Mapping[str, str]) -> int:
            answers.append(client.post(address, data=dict(form)))
            return answers[-1].status_code

        for ipn in queued:
            self._sandbox.world.ipns.deliver(ipn, post)
        return answers[-1]

    def _due(self) -> list[IPN]:
        return self._sandbox.world.ipns.due()

    def _callback_uri(self, user_id: int | None) -> str:
        for token in reversed(self._sandbox.world.tokens.values()):
            if token.user_id == user_id and token.callback_uri:
                return token.callback_uri
        raise LookupError("No IPN is queued, and no token of the user has a callback_uri.")


def _matches(ipn: IPN, wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= ipn.fields.items()


@pytest.fixture
def wepay_ipn(request: pytest.FixtureRequest) -> DeliverIPN:
    """Deliver IPNs in one line: ``wepay_ipn(client, user_id)``.

    .. versionadded:: 1.0
    """
    return DeliverIPN(_sandbox_of(request))


def _sandbox_of(request: pytest.FixtureRequest) -> Any:
    live = "wepay_live_sandbox" in request.fixturenames
    return request.getfixturevalue("wepay_live_sandbox" if live else "wepay_sandbox")
