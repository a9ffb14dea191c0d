"""The extension's state per application, and the owner of the current request."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from threading import Event
from types import NoneType
from typing import TYPE_CHECKING, Any

from authlib.integrations.flask_client import OAuth
from flask import Flask, current_app, has_app_context, has_request_context, request, session
from flask.globals import request_ctx

from .errors import ConfigurationError
from .foreign import plain
from .settings import Settings
from .tokens.store import MERCHANT, HookStore, MerchantStore, Store, TokenGetter, TokenSetter

if TYPE_CHECKING:
    from .api.caller import Caller
    from .api.windows import MovingWindows

__all__ = ["Hooks", "State", "browser_may_own", "checked_owner", "current_owner", "current_state"]

LONGEST_OWNER = 255
#: Characters that databases don't store: NUL, and surrogates, such as a shell's raw bytes become.
_NO_TEXT = re.compile(r"[\0\ud800-\udfff]")
#: The session key of the id that stands in for an owner.
STAND_IN = "_wepay_owner"

_logger = logging.getLogger("flask_wepay")


@dataclass(slots=True)
class Hooks:
    """The hooks of an application, which may be registered after ``init_app``."""

    owner_loader: Callable[[], str | None] | None = None
    token_getter: TokenGetter | None = None
    token_setter: TokenSetter | None = None
    prefill: Callable[[], Mapping[str, Any] | None] | None = None
    front_end: Callable[[], str | None] | None = None


@dataclass(slots=True)
class Changes:
    """What changed last in the tokens of an application, in this process."""

    #: Another object after each change.
    latest: object = None


@dataclass(frozen=True)
class State:
    """The extension's state for one application, in ``app.extensions["wepay"]``."""

    settings: Settings
    hooks: Hooks
    oauth: OAuth
    caller: Caller
    #: Counts the log lines that visitors cause.
    log_lines: MovingWindows = field(repr=False)
    #: Creates the SQLAlchemy store, or None without a token_model.
    make_sqlalchemy_store: Callable[[], Store] | None = field(repr=False)
    changes: Changes = field(default_factory=Changes, repr=False)
    #: Whether the warning of :meth:`warn_of_stand_in` was logged.
    warned: Event = field(default_factory=Event, repr=False)

    @property
    def store(self) -> Store:
        """The token store, resolved at its first use because hooks may be registered late.

        :raises ConfigurationError: if there is no store or more than one, or if the current
            context is that of another application.
        """
        getter, setter = self.hooks.token_getter, self.hooks.token_setter
        if self.settings.access_token is not None:
            self.refuse_mixture()
            return MerchantStore(self.settings.access_token)
        if getter is not None or setter is not None:
            if getter is None or setter is None or self.make_sqlalchemy_store is not None:
                raise ConfigurationError(
                    "'token_getter' and 'token_setter' replace the token table together: register"
                    " both, and don't pass a token_model."
                )
            return HookStore(getter, setter)
        if self.make_sqlalchemy_store is None:
            raise ConfigurationError(
                "There is no token store. Did you forget WePay(token_model=…), or a"
                " 'token_getter' and a 'token_setter'?"
            )
        if has_app_context() and _current_app().extensions.get("wepay") is not self:
            raise ConfigurationError(
                "This client belongs to another application than the current one: create it in the"
                " current one."
            )
        return self._sqlalchemy_store

    @cached_property
    def _sqlalchemy_store(self) -> Store:
        assert self.make_sqlalchemy_store is not None
        return self.make_sqlalchemy_store()

    def refuse_mixture(self) -> None:
        """Refuse a merchant's own token in a platform, which must not act as itself.

        :raises ConfigurationError: if there is also a token_model or a token hook.
        """
        hooks = (self.make_sqlalchemy_store, self.hooks.token_getter, self.hooks.token_setter)
        if self.settings.access_token is not None and any(hooks):
            raise ConfigurationError(
                "'WEPAY_ACCESS_TOKEN' is set together with a token_model or token hooks: a"
                " platform must not act as itself. Is it a stray environment variable?"
            )

    def warn_of_stand_in(self) -> None:
        """Log once per application that browsers stand in for owners."""
        if self.warned.is_set():
            return
        self.warned.set()
        _logger.warning(
            "There is no owner_loader and no Flask-Login, so a random id in the browser's session"
            " is the owner. In production this is an error."
        )


def current_state() -> State:
    """Return the state of the current application.

    :raises RuntimeError: if the extension wasn't initialised on it.
    """
    try:
        return current_app.extensions["wepay"]  # type: ignore[no-any-return]
    except KeyError:
        raise RuntimeError(
            "This application has no Flask-WePay. Did you forget to call 'init_app' on it?"
        ) from None


def current_owner(state: State, *, make: bool = False) -> str | None:
    """Return the owner of the current request, or None if nobody is logged in.

    With `make`, a browser gets a random id as its owner where that is permitted.

    :raises ConfigurationError: if the loader returns an invalid id, or is missing in production.
    """
    if state.settings.access_token is not None:
        return MERCHANT
    app = _current_app() if has_request_context() else None
    if app is None or request_ctx.app is not app:
        # The session is the request's, and names an owner of that application.
        return None
    if state.hooks.owner_loader is not None:
        return checked_owner(state.hooks.owner_loader(), "owner_loader")
    if hasattr(app, "login_manager"):
        return _user_of_flask_login()
    if state.settings.environment == "production":
        raise ConfigurationError(
            "In production 'owner_loader' is required without Flask-Login: register a function"
            " with @wepay.owner_loader that returns the id of the logged-in user, or None."
        )
    state.warn_of_stand_in()
    if make and STAND_IN not in session:
        session[STAND_IN] = secrets.token_urlsafe(16)
    return checked_owner(session.get(STAND_IN), "the session")


def _user_of_flask_login() -> str | None:
    """Return the id of Flask-Login's user, loaded once per request and user.

    A commit expires the user. Loading it again would take a database connection, and hold it
    during the call to WePay.
    """
    from flask_login import current_user

    user = current_user._get_current_object()  # noqa: SLF001
    this: Any = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    seen: list[tuple[Any, str | None]] = vars(this).setdefault("_wepay_user", [])
    # A login, a logout or another user puts another object here.
    if not seen or seen[0][0] is not user:
        seen[:] = [(user, checked_owner(user.get_id(), "current_user.get_id()"))]
    return seen[0][1]


def _current_app() -> Flask:
    return current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001


def browser_may_own(state: State) -> bool:
    """Return whether a random id in the browser's session may stand in for an owner."""
    return (
        state.hooks.owner_loader is None
        and not hasattr(current_app, "login_manager")
        and state.settings.environment != "production"
    )


def checked_owner(owner: object, source: str) -> str | None:
    """Return the owner that `source` gave, if it is valid.

    :raises ConfigurationError: if it isn't a string, is empty or too long, or can't be stored.
    """
    # A LocalProxy of None equals None, but isn't the object None.
    if isinstance(owner, NoneType):
        return None
    text = plain(owner)
    if text is None:
        raise ConfigurationError(
            f"{source} gave an owner of type {type(owner).__name__}, not a string: give"
            " str(user.id), or None if nobody is logged in."
        )
    if not 0 < len(text) <= LONGEST_OWNER or _NO_TEXT.search(text):
        raise ConfigurationError(
            f"{source} gave an owner that is empty, over 255 characters, or has characters that"
            " a database can't store."
        )
    return text
