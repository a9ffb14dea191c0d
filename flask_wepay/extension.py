"""The extension: its setup on an application, its hooks, and the current client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from authlib.integrations.flask_client import OAuth
from flask import Flask, current_app, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.local import LocalProxy

from .api.batch import send_batch
from .api.caller import Caller
from .api.client import WePayClient
from .api.lookup import find, forget
from .api.throttle import Throttle
from .api.transport import Transport
from .api.windows import MovingWindows
from .errors import ConfigurationError, NotAuthorized, TokenRevoked, WePayError
from .ipns import Origin, signed
from .oauth import invitations
from .oauth.client import register
from .oauth.cookie import check_cookie
from .runner import commands
from .settings import Settings, read_settings
from .state import Hooks, State, checked_owner, current_owner, current_state
from .tokens import Token
from .tokens.store import Store, TokenGetter, TokenSetter
from .web import refusals, views
from .web.button import connect_button
from .web.front_ends import is_of_another_site
from .web.links import local_next
from .web.pages import login_url

__all__ = ["WePay", "current_wepay", "wepay_required"]

_View = TypeVar("_View", bound=Callable[..., Any])
_Hook = TypeVar("_Hook", bound=Callable[..., Any])
_OwnerLoader = TypeVar("_OwnerLoader", bound=Callable[[], str | None])
_Getter = TypeVar("_Getter", bound=TokenGetter)
_Setter = TypeVar("_Setter", bound=TokenSetter)
_FrontEnd = TypeVar("_FrontEnd", bound=Callable[[], str | None])
_Prefill = TypeVar("_Prefill", bound=Callable[[], Mapping[str, Any] | None])


class WePay:
    """The extension, which connects an application's users to WePay and stores their tokens.

    :param app: the application; without it, call :meth:`init_app`.
    :param token_model: a model with :class:`flask_wepay.sqla.WePayTokenMixin`.
    :param session: a callable without arguments that returns a SQLAlchemy session. The
        session of Flask-SQLAlchemy or Flask-SQLAlchemy-Lite is used by default.
    :param oauth: the application's Authlib registry to register the client with; by default
        a private one is created.

    .. versionadded:: 1.0
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        token_model: Any = None,
        session: Callable[[], Any] | None = None,
        oauth: OAuth | None = None,
    ) -> None:
        self._token_model = token_model
        self._session = session
        self._oauth = oauth
        self._hooks = Hooks()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Validate the settings, and register the routes on an application.

        One object may serve several applications, which share nothing.

        :raises ConfigurationError: if a setting is invalid; the message names it.
        """
        if "wepay" in app.extensions:
            raise ConfigurationError("WePay is already initialised on this application.")
        if views.blueprint.name in app.blueprints:
            raise ConfigurationError(
                "This application has a blueprint named 'wepay', as this extension's is: register"
                ' yours under another name, with app.register_blueprint(…, name="payments").'
            )
        settings = read_settings(app)
        check_cookie(app, None)
        transport = Transport(settings)
        registry = register(app, settings, transport, self._oauth, _fetch_token, _update_token)
        application = f"{settings.environment}:{settings.client_id}"
        throttle = Throttle(settings.throttle, settings.throttle_storage, application)
        state = State(
            settings=settings,
            hooks=self._hooks,
            oauth=registry,
            caller=Caller(settings, transport, throttle),
            log_lines=MovingWindows(),
            make_sqlalchemy_store=self._store_of(settings)
            if self._token_model is not None
            else None,
        )
        state.refuse_mixture()
        app.extensions["wepay"] = state
        app.register_blueprint(views.blueprint, url_prefix=settings.url_prefix or None)
        if WePayError not in app.error_handler_spec[None][None]:
            app.register_error_handler(WePayError, refusals.show_error)
        app.context_processor(lambda: {"current_wepay": current_wepay})
        # A global is there in imported macros, too.
        app.jinja_env.globals.setdefault("wepay_connect_button", connect_button)
        # An application's own command of this name is kept.
        app.cli.commands.setdefault("wepay", commands)

    @property
    def oauth(self) -> OAuth:
        """The Authlib registry of the current application; ``.wepay`` is the client."""
        return current_state().oauth

    def client_for(self, owner: str) -> WePayClient:
        """Return a client that acts for an owner, also in a job or a script.

        :raises ConfigurationError: if the owner isn't a string of 1 to 255 characters, or if
            WEPAY_ACCESS_TOKEN is set.
        """
        state = current_state()
        checked = checked_owner(owner, "client_for")
        if state.settings.access_token is not None:
            raise ConfigurationError("With 'WEPAY_ACCESS_TOKEN' you can't act for owners.")
        return WePayClient(state, checked)

    def login_url_for(self, owner: str, *, next_url: str | None = None, popup: bool = False) -> str:
        """Permit the requesting browser to connect an owner, and return the URL to open.

        Use it in an API that authenticates its users by a token, which a navigation doesn't
        carry. The owner is stored in the browser's session, for one connection within an hour.
        The URL doesn't contain the owner: in another browser it connects nobody.

        :param owner: the owner whom you have authenticated.
        :param next_url: a path of this site to come back to, by default WEPAY_LOGIN_REDIRECT.
        :param popup: whether the login is in a pop-up, and notifies the page that opened it.
        :raises NotAuthorized: if another site's page sent the request.
        :raises ConfigurationError: if the owner isn't a string of 1 to 255 characters, or if
            WEPAY_ACCESS_TOKEN is set.
        """
        checked = self.client_for(owner).owner
        if checked is None:
            raise ConfigurationError("login_url_for was given None, and nobody can't connect.")
        if is_of_another_site():
            raise NotAuthorized("Another site's page begins no login.", owner=checked)
        invitations.invite(session, checked)
        return login_url(local_next(next_url), popup=popup)

    def batch(
        self,
        calls: Iterable[tuple[str, str, Mapping[str, Any]]],
        *,
        timeout: float | None = None,
        wait: float = 0.0,
    ) -> list[Any]:
        """Make calls of several owners in requests of up to 50, and return their results.

        :param calls: tuples of an owner, a call's name and its parameters.

        Everything else is as in :meth:`WePayClient.batch`.
        """
        return send_batch(current_state(), calls, timeout=timeout, wait=wait)

    def ipn_url(self) -> str | None:
        """Return the signed URL to pass as the callback_uri of other objects, or None.

        It is None if IPNs can't reach the application: if WEPAY_CALLBACK_URI is False, on
        localhost (except with the sandbox), or if the URL is too long to be signed.

        :raises ConfigurationError: outside a request, if no setting tells the URL.
        """
        settings = current_state().settings
        return signed(settings, lambda: url_for("wepay.ipn", _external=True), Origin())

    def owner_loader(self, function: _OwnerLoader) -> _OwnerLoader:
        """Register the function that returns the current owner's id (str), or None for nobody."""
        self._hooks.owner_loader = _checked_hook(function)
        return function

    def token_getter(self, function: _Getter) -> _Getter:
        """Register the function that returns an owner's token as a mapping, or None.

        Together with :meth:`token_setter` it replaces the token table. The keys are
        access_token, user_id, token_type and expires_at (seconds since 1970, or None).
        """
        self._hooks.token_getter = _checked_hook(function)
        return function

    def token_setter(self, function: _Setter) -> _Setter:
        """Register the function that stores an owner's token, or deletes it if given None."""
        self._hooks.token_setter = _checked_hook(function)
        return function

    def prefill(self, function: _Prefill) -> _Prefill:
        """Register the function that returns values for WePay's registration form.

        It returns a mapping with any of user_name, user_email and user_country, or None.
        """
        self._hooks.prefill = _checked_hook(function)
        return function

    def front_end(self, function: _FrontEnd) -> _FrontEnd:
        """Register the function that returns the current request's kind of front end.

        It returns "page" for a browser that navigates, "htmx", "script", or None to let the
        request's headers decide. Only a page is redirected to wepay.login; htmx gets an
        HX-Redirect, and a script gets a problem document.
        """
        self._hooks.front_end = _checked_hook(function)
        return function

    def error_response(self, error: WePayError) -> ResponseReturnValue:
        """Return the extension's own response to an error.

        Call it in an error handler that handles only some requests itself. If ``error.popup``
        is true, the response notifies the page that opened the window.
        """
        return refusals.answer(error)

    def _store_of(self, settings: Settings) -> Callable[[], Store]:
        model, session = self._token_model, self._session

        def make() -> Store:
            from .sqla import SQLAlchemyStore, session_of

            return SQLAlchemyStore(
                model, session or session_of(current_app), settings.client_id, settings.keyring
            )

        return make


def _checked_hook(function: _Hook) -> _Hook:
    """Return a hook, or refuse an async one, which would never be awaited.

    :raises ConfigurationError: if it is an async function.
    """
    if iscoroutinefunction(function):
        raise ConfigurationError(
            f"The hook {function.__name__!r} is an async function: make it a plain function."
        )
    return function


def wepay_required(view: _View) -> _View:
    """Require a connection for a view; other users go to wepay.login and come back.

    For methods other than GET and HEAD, and for requests that aren't a browser's navigation,
    it raises NotAuthorized: 403, or 401 if nobody is logged in. If the owner's authorization
    is revoked inside the view, the effect is the same. An error about another owner, or within
    a minute of the grant, propagates, so that the browser never loops.

    .. versionadded:: 1.0
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        state = current_state()
        owner, answer = _admit(state)
        if answer is not None:
            return answer
        try:
            return view(*args, **kwargs)
        except (NotAuthorized, TokenRevoked) as error:
            return _lead_on(state, owner, error)

    @wraps(view)
    async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
        state = current_state()
        owner, answer = _admit(state)
        if answer is not None:
            return answer
        try:
            return await view(*args, **kwargs)
        except (NotAuthorized, TokenRevoked) as error:
            return _lead_on(state, owner, error)

    return async_wrapper if iscoroutinefunction(view) else wrapper  # type: ignore[return-value]


def _admit(state: State) -> tuple[str | None, ResponseReturnValue | None]:
    """Return the request's owner, and the response if they must connect first."""
    owner = current_owner(state)
    connected = WePayClient(state, owner).authorized
    return owner, None if connected else refusals.to_login(state, owner)


def _lead_on(
    state: State, owner: str | None, error: NotAuthorized | TokenRevoked
) -> ResponseReturnValue:
    """Return the response if the authorization ended inside the view, or raise the error."""
    if error.owner != owner or state.settings.access_token is not None:
        raise error
    if find(state, owner).lately:
        error.args = (_IN_CIRCLES,)
        raise error
    return refusals.to_login(state, owner)


_IN_CIRCLES = (
    "The authorization ended within a minute of the login that granted it, and the call was not"
    " executed. Another login would loop: was it disconnected, or does another owner connect the"
    " same WePay user?"
)


def _current_client() -> WePayClient:
    state = current_state()
    return WePayClient(state, current_owner(state))


#: The :class:`WePayClient` of the current request's owner.
current_wepay: WePayClient = LocalProxy(_current_client)  # type: ignore[assignment]


def _fetch_token() -> Mapping[str, Any] | None:
    token = current_wepay.token
    return None if token is None else token.as_mapping()


def _update_token(token: Token, **_: Any) -> None:
    state = current_state()
    owner = current_owner(state)
    if owner is None:
        raise NotAuthorized("Nobody is logged in, so no token can be stored.")
    state.store.adopt(owner, token)
    forget(state)
