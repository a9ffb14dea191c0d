"""WePay's dialect of OAuth2 for Authlib: its scope, its two requests and its bearer calls.

https://developer.wepay.com/api/api-calls/oauth2
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import urlencode

import requests
from authlib.integrations.base_client import MissingTokenError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.flask_client.apps import FlaskOAuth2App
from authlib.integrations.requests_client import OAuth2Session
from flask import Flask
from urllib3.exceptions import HTTPError

from ..api.calls import check_call
from ..api.sessions import deadline, read_body
from ..api.transport import USER_AGENT, Bearer, Transport
from ..errors import ConfigurationError, InvalidCall
from ..settings import Settings
from ..tokens import MalformedToken, Token, check_access_token, read_token

__all__ = ["PREFILL", "SCOPE", "WePayApp", "register"]

#: All permissions, because WePay no longer supports a selection.
SCOPE = "manage_accounts,collect_payments,view_user,preapprove_payments,send_money"
PREFILL = ("user_name", "user_email", "user_country")


class WePaySession(OAuth2Session):  # type: ignore[misc]
    """A session for one request, with WePay's host only, no redirects and one deadline."""

    def __init__(self, *, settings: Settings, transport: Transport, **kwargs: Any) -> None:
        super().__init__(scope=SCOPE, **kwargs)
        self._settings = settings
        # Ignore netrc and the environment's proxies.
        self.trust_env = False
        self.verify = settings.ca_bundle
        self.proxies = dict(settings.proxies)
        self.headers["Accept"] = "application/json"
        self.headers["Accept-Encoding"] = "identity"
        self.mount(settings.api_url, transport.sessions.current().adapter)

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        """Send a request under the rules for all requests, and read its answer.

        :raises InvalidCall: if the URL isn't WePay's.
        """
        if not url.startswith(self._settings.api_url):
            raise InvalidCall(f"Only URLs under {self._settings.api_url} are called.")
        seconds = kwargs.pop("timeout", None) or self._settings.timeout
        kwargs |= {
            "timeout": deadline(float(seconds)),
            "allow_redirects": False,
            "stream": True,
            "verify": self.verify,
            "proxies": None,
        }
        response: requests.Response = super().request(method, url, **kwargs)
        response.raw = io.BytesIO(read_body(response))
        return response

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Follow no redirect; requests would read its body even with allow_redirects=False."""


def _direct(method: str) -> Callable[..., requests.Response]:
    """Return a method of the client, whose frame has no mapping with a token."""

    def send(self: WePayApp, url: str, **kwargs: Any) -> requests.Response:
        if "token" in kwargs:
            kwargs["token"] = _held(kwargs["token"])
        return self.request(method, url, **kwargs)

    send.__doc__ = f"Send a {method} request; see :meth:`request`."
    return send


class WePayApp(FlaskOAuth2App):  # type: ignore[misc]
    """The registered Authlib client, ``wepay.oauth.wepay``.

    Used directly, it acts for the current owner and returns the plain response:
    ``wepay.oauth.wepay.post("user", json={})``. It raises the exceptions of requests and
    Authlib; for typed exceptions use :meth:`flask_wepay.WePayClient.call`.

    .. versionadded:: 1.0
    """

    client_cls = WePaySession

    @property
    def token(self) -> Mapping[str, Any] | None:
        """The current owner's token, read each time, and never from Authlib's cache in ``g``."""
        return self._fetch_token()  # type: ignore[no-any-return]

    @token.setter
    def token(self, token: Mapping[str, Any]) -> None:
        held = read_token(token)
        # An exception below must not show it.
        del token
        if isinstance(held, str):
            raise MalformedToken(held)
        self._update_token(held)

    get, post, patch, put, delete = map(_direct, ("GET", "POST", "PATCH", "PUT", "DELETE"))

    def create_authorization_url(
        self, redirect_uri: str, *, state: str, **kwargs: Any
    ) -> dict[str, str]:
        """Return the URL of the authorize page, with the documented arguments only.

        The arguments user_name, user_email and user_country pre-fill WePay's form.
        """
        arguments = {
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "scope": SCOPE,
            "state": state,
            **{name: kwargs[name] for name in PREFILL if kwargs.get(name) is not None},
        }
        return {"url": f"{self.authorize_url}?{urlencode(arguments)}", "state": state}

    def request(
        self,
        method: str,
        url: str,
        token: Token | Mapping[str, Any] | str | None = None,
        **kwargs: Any,
    ) -> requests.Response:
        """Send a request to a WePay call, with the given token or the current owner's.

        The response's copy of the request has no Authorization header.
        """
        token = _held(token)
        call = check_call(url)
        bearer = None if kwargs.pop("withhold_token", False) else self._bearer(token)
        del token
        try:
            return self._send(method, call, auth=bearer, **kwargs)
        except (OSError, HTTPError) as error:
            failure: BaseException = _without_request(error)
        except BaseException as error:  # noqa: BLE001
            error.__cause__ = error.__context__ = None
            failure = error.with_traceback(None)
        # Raised here, where nothing refers to the frames that saw the token.
        raise failure

    def _send(
        self, method: str, call: str, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> requests.Response:
        headers = {**self.client_kwargs["transport"].version_header(), **(headers or {})}
        with self._get_oauth_client() as session:
            response: requests.Response = session.request(
                method, self.api_base_url + call, withhold_token=True, headers=headers, **kwargs
            )
            # A pickled or logged response must not contain the token.
            response.request = response.request.copy()
            response.request.headers.pop("Authorization", None)
            return response

    def _bearer(self, token: Token | str | None) -> Bearer:
        # An empty mapping means a lookup without a result, not the current owner's token.
        held = _held(self.token) if token is None else token
        if held is None:
            raise MissingTokenError()
        if isinstance(held, str):
            raise MalformedToken(held)
        return Bearer(held)

    def authorize_redirect(self, redirect_uri: str | None = None, **kwargs: Any) -> NoReturn:
        """Refuse, because a login outside ``wepay.login`` lacks its checks.

        :raises ConfigurationError: always.
        """
        raise ConfigurationError("Send the browser to url_for('wepay.login') instead.")

    def authorize_access_token(self, **kwargs: Any) -> NoReturn:
        """Refuse, because the extension has its own callback.

        :raises ConfigurationError: always.
        """
        raise ConfigurationError("The callback is the extension's own route, 'wepay.callback'.")

    def fetch_access_token(self, **kwargs: Any) -> NoReturn:
        """Refuse, because an exchange revokes the tokens in the token table.

        :raises ConfigurationError: always.
        """
        raise ConfigurationError("The route 'wepay.callback' does the exchange.")


def _held(token: Token | Mapping[str, Any] | str | None) -> Token | str | None:
    """Return the token of a mapping, or what is wrong with it; no frame keeps the mapping."""
    if token is None or isinstance(token, Token):
        return token
    try:
        return Token(check_access_token(dict(token).get("access_token")), None)  # type: ignore[arg-type]
    except (MalformedToken, TypeError, ValueError):
        return "'token' isn't a mapping with a valid 'access_token'"


def _without_request(error: Exception) -> requests.RequestException:
    """Return an exception of requests without its request and frames, which have the token."""
    kind = type(error) if isinstance(error, requests.RequestException) else requests.ConnectionError
    return kind(str(error))


def register(
    app: Flask,
    settings: Settings,
    transport: Transport,
    registry: OAuth | None,
    fetch_token: Callable[[], Mapping[str, Any] | None],
    update_token: Callable[..., None],
) -> OAuth:
    """Register the client "wepay" with a registry, and create it immediately.

    Without a registry a private one is created, and the application's own is not touched.

    :raises ConfigurationError: if the registry belongs to another application, or to none yet.
    """
    if registry is None:
        # OAuth(app) would replace the application's registry.
        registry = OAuth()
        registry.app = app
    elif registry.app is not app:
        raise ConfigurationError(
            "'oauth' is the registry of another application, or of none yet: call its"
            " init_app(app) first, and give each application a registry of its own."
        )
    # Authlib would read any argument that is missing here from the WEPAY_* settings.
    registry.register(
        "wepay",
        client_cls=WePayApp,
        client_id=settings.client_id,
        client_secret=settings.client_secret.value,
        access_token_url=settings.token_url,
        authorize_url=settings.authorize_url,
        api_base_url=settings.api_url,
        client_kwargs={"settings": settings, "transport": transport},
        fetch_token=fetch_token,
        update_token=update_token,
        user_agent=USER_AGENT,
        **dict.fromkeys(
            (
                "request_token_url",
                "request_token_params",
                "access_token_params",
                "refresh_token_url",
                "refresh_token_params",
                "authorize_params",
                "server_metadata_url",
            )
        ),
    )
    # Authlib creates clients lazily, which isn't thread-safe.
    if not isinstance(registry.create_client("wepay"), WePayApp):
        raise ConfigurationError(
            "'oauth' already has a client named 'wepay': remove it, because the extension registers"
            " its own."
        )
    return registry
