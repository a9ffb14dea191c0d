"""OAuth and calls without a library, as the floor and the limit make them."""

from __future__ import annotations

import hmac
import json
import secrets
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from flask import abort, redirect, request, session
from werkzeug.wrappers import Response

from . import CLIENT_ID, CLIENT_SECRET, SCOPES, Setup

REDIRECT_URI = "https://localhost/wepay/callback"


class Client:
    def __init__(self, name: str, setup: Setup) -> None:
        self._name = name
        self._provider = setup.provider
        address = urlsplit(setup.provider)
        self._pool = urllib3.HTTPSConnectionPool(
            address.hostname, address.port, ca_certs=setup.bundle
        )

    def login(self) -> Response:
        session["state"] = secrets.token_urlsafe(32)
        arguments = {
            "client_id": CLIENT_ID,
            "redirect_uri": REDIRECT_URI,
            "scope": ",".join(SCOPES),
            "state": session["state"],
        }
        return redirect(f"{self._provider}/v2/oauth2/authorize?{urlencode(arguments)}")

    def check_state(self) -> str:
        state = session.pop("state", "")
        if not state or not hmac.compare_digest(state, request.args["state"]):
            abort(400)
        return state

    def exchange(self) -> dict[str, Any]:
        return self.post(
            "oauth2/token",
            {
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "redirect_uri": REDIRECT_URI,
                "code": request.args["code"],
            },
        )

    def post(self, call: str, body: dict[str, Any], access_token: str | None = None) -> Any:
        headers = {"Content-Type": "application/json", "User-Agent": self._name}
        if access_token is not None:
            headers["Authorization"] = f"Bearer {access_token}"
        answer = self._pool.request(
            "POST", f"/v2/{call}", body=json.dumps(body), headers=headers, timeout=20, retries=False
        )
        if answer.status != 200:
            abort(502)
        return json.loads(answer.data)
