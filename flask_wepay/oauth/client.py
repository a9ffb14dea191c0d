"""WePay's dialect of OAuth2 for Authlib: its scope, its two requests, its bearer calls.

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

#: Choosing permissions is no longer supported: it is always all of them.
SCOPE = "manage_accounts,collect_payments,view_user,preapprove_payments,send_money"
PREFILL = ("user_name", "user_email", "user_country")


class WePaySession(OAuth2Session):  # type: ignore[misc]
    """A session of one request: WePay's host only, no redirects, one deadline."""

    def __init__(self, *, settings: Settings, transport: Transport, **kwargs: Any) -> None:
        super().__init__(scope=SCOPE, **kwargs)
        self._settings = settings
        # Neither netrc nor the environment's proxies are used by themselves.
        self.trust_env = False
        self.verify = settings.ca_bundle
        self.proxies = dict(settings.proxies)
        self.headers["Accept"] = "application/json"
        self.headers["Accept-Encoding"] = "identity"
        self.mount(settings.api_url, transport.sessions.current().adapter)

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        """Send a request under the rules that hold for all of them, and read its answer.

        :raises InvalidCall: if it would go anywhere but to WePay.
        """
        if not url.startswith(self._settings.api_url):
            raise InvalidCall(f"Only addresses under {self._settings.api_url} are called.")
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
        """Follow nothing: requests reads a redirect's body even where it must not follow."""


def _direct(method: str) -> Callable[..., requests.Response]:
    """Make a client's method, whose frame has no mapping with a token."""

    def send(self: WePayApp, url: str, **kwargs: Any) -> requests.Response:
        if "token" in kwargs:
            kwargs["token"] = _held(kwargs["token"])
        return self.request(method, url, **kwargs)

    send.__doc__ = f"Send a {method} request; see :meth:`request`."
    return send


class WePayApp(FlaskOAuth2App):  # type: ignore[misc]
    """The registered Authlib client, ``wepay.oauth.wepay``.

    Used directly it acts for the current owner and returns the bare response:
    ``wepay.oauth.wepay.post("user", json={})``. The errors are those of requests and
    Authlib; :meth:`flask_wepay.WePayClient.call` is what gives typed ones.

    .. versionadded:: 1.0
    """

    client_cls = WePaySession

    @property
    def token(self) -> Mapping[str, Any] | None:
        """The current owner's token, read anew: never Authlib's copy in ``g``."""
        return self._fetch_token()  # type: ignore[no-any-return]

    @token.setter
    def token(self, token: Mapping[str, Any]) -> None:
        held = read_token(token)
        # What is raised below must not show it.
        del token
        if isinstance(held, str):
            raise MalformedToken(held)
        self._update_token(held)

    get, post, patch, put, delete = map(_direct, ("GET", "POST", "PATCH", "PUT", "DELETE"))

    def create_authorization_url(
        self, redirect_uri: str, *, state: str, **kwargs: Any
    ) -> dict[str, str]:
        """Return the address of the authorize page, with the documented arguments only.

        Of further arguments user_name, user_email and user_country are for WePay's form.
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
        """Send a request to a call of WePay, for the given token or the current owner's.

        The response's own copy of the request has no Authorization header.
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
        # Raised out here, where nothing leads to the frames that saw the token.
        raise failure

    def _send(
        self, method: str, call: str, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> requests.Response:
        headers = {**self.client_kwargs["transport"].version_header(), **(headers or {})}
        with self._get_oauth_client() as session:
            response: requests.Response = session.request(
                method, self.api_base_url + call, withhold_token=True, headers=headers, **kwargs
            )
            # Whoever pickles or logs the response does not have the token.
            response.request = response.request.copy()
            response.request.headers.pop("Authorization", None)
            return response

    def _bearer(self, token: Token | str | None) -> Bearer:
        # An empty mapping is a look-up that found nothing, not a wish for the owner's token.
        held = _held(self.token) if token is None else token
        if held is None:
            raise MissingTokenError()
        if isinstance(held, str):
            raise MalformedToken(held)
        return Bearer(held)

    def authorize_redirect(self, redirect_uri: str | None = None, **kwargs: Any) -> NoReturn:
        """Refuse: a login that does not go through ``wepay.login`` has none of its checks.

        :raises ConfigurationError: always.
        """
        raise ConfigurationError("Send the browser to url_for('wepay.login') instead.")

    def authorize_access_token(self, **kwargs: Any) -> NoReturn:
        """Refuse: the callback is the extension's own.

        :raises ConfigurationError: always.
        """
        raise ConfigurationError("The callback is the extension's own route, 'wepay.callback'.")

    def fetch_access_token(self, **kwargs: Any) -> NoReturn:
        """Refuse: an exchange past the token table revokes what is in it.

        :raises ConfigurationError: always.
        """
        raise ConfigurationError("The exchange is the work of the route 'wepay.callback'.")


def _held(token: Token | Mapping[str, Any] | str | None) -> Token | str | None:
    """Return the token of a mapping, or what is wrong with it: no frame needs the mapping then."""
    if token is None or isinstance(token, Token):
        return token
    try:
        return Token(check_access_token(dict(token).get("access_token")), None)  # type: ignore[arg-type]
    except (MalformedToken, TypeError, ValueError):
        return "'token' is no mapping with a usable 'access_token'"


def _without_request(error: Exception) -> requests.RequestException:
    """Return an error of requests without the request and the frames it carries, token and all."""
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
    """Register the client "wepay" with a registry, and create it right away.

    Without a registry a private one is made, and the application's own stays as it is.

    :raises ConfigurationError: if the registry serves another application, or none yet.
    """
    if registry is None:
        # OAuth(app) would put itself in the place of the application's registry.
        registry = OAuth()
        registry.app = app
    elif registry.app is not app:
        raise ConfigurationError(
            "'oauth' is a registry of another application, or of none yet: call its"
            " init_app(app) first, and give each application a registry of its own."
        )
    # What is left out here, Authlib would read from WEPAY_* keys of the configuration.
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
    # Authlib creates clients lazily and not thread-safely.
    if not isinstance(registry.create_client("wepay"), WePayApp):
        raise ConfigurationError(
            "'oauth' has a client named 'wepay' already: leave that to this extension."
        )
    return registry
