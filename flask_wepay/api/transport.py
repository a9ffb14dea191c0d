"""The only way to WePay: the headers of every request, and the session that sends it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import requests
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict

from ..settings import Settings
from ..tokens import Token
from .answers import Answer
from .calls import Call
from .sessions import LARGEST_BODY, Sessions, deadline, read_body

__all__ = ["USER_AGENT", "Bearer", "Transport", "user_agent"]


def user_agent(distribution: str = "Flask-WePay") -> str:
    """Return the User-Agent, with the version if there is metadata.

    A frozen or vendored copy has no metadata.
    """
    try:
        return f"{distribution}/{version(distribution)}"
    except PackageNotFoundError:
        return distribution


USER_AGENT = user_agent()
#: The headers of every request; requests would send other values.
_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept-Encoding": "identity",
    "Accept": "application/json",
    "Connection": "keep-alive",
}


class Bearer(AuthBase):
    """Put a token into the Authorization header, the only place where it travels."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request."""
        request.headers["Authorization"] = f"Bearer {self._token.access_token}"
        return request


class Transport:
    """Sends the requests of one application, with a connection pool per process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        #: The sessions that send the requests.
        self.sessions = Sessions()

    def post(
        self,
        call: Call,
        seconds: float,
        token: Token | None = None,
        largest: int = LARGEST_BODY,
    ) -> Answer:
        """Post a call within `seconds`, and return the answer.

        :raises Exception: what requests and the layers below raise; its frames hold secrets.
        """
        request = requests.PreparedRequest()
        request.method, request.url = "POST", self._settings.api_url + call.name
        request.body = call.body
        # Not by prepare_headers and prepare_body, which check again what was checked.
        length = {"Content-Length": str(len(call.body))}
        request.headers = CaseInsensitiveDict(
            {**_HEADERS, **self.version_header(), **call.headers, **length}
        )
        if token is not None:
            Bearer(token)(request)
        response = self.sessions.current().send(
            request,
            timeout=deadline(seconds),  # type: ignore[arg-type]
            allow_redirects=False,
            stream=True,
            verify=self._settings.ca_bundle,
            cert=None,
            proxies=dict(self._settings.proxies),
        )
        content = read_body(response, largest)
        return Answer(response.status_code, content, _retry_after(response.headers))

    def version_header(self) -> dict[str, str]:
        """Return the Api-Version header, or nothing if WEPAY_API_VERSION isn't set."""
        version = self._settings.api_version
        return {} if version is None else {"Api-Version": version}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if re.fullmatch(r"[0-9]{1,6}", value) else None
