"""What the extension keeps per application, and whose request this is."""

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
from flask import Flask, current_app, has_request_context, request, session
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
#: What no database stores: NUL, and halves of characters, such as bytes of a shell become.
_NO_TEXT = re.compile(r"[\0\ud800-\udfff]")
#: The session's key of the id that stands in for an owner.
STAND_IN = "_wepay_owner"

_logger = logging.getLogger("flask_wepay")


@dataclass(slots=True)
class Hooks:
    """The functions that an application registered; they may come after ``init_app``."""

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
    """The extension's state of one application, in ``app.extensions["wepay"]``."""

    settings: Settings
    hooks: Hooks
    oauth: OAuth
    caller: Caller
    #: Counts what visitors cause in the log.
    log_lines: MovingWindows = field(repr=False)
    #: Make the store on SQLAlchemy, or None where there is no token_model.
    make_sqlalchemy_store: Callable[[], Store] | None = field(repr=False)
    changes: Changes = field(default_factory=Changes, repr=False)
    #: Whether the warning of :meth:`warn_of_stand_in` was logged.
    warned: Event = field(default_factory=Event, repr=False)

    @property
    def store(self) -> Store:
        """The token store, found when it is used because hooks may be registered late.

        :raises ConfigurationError: if there is none, or more than one, or its session would be
            that of another application, whose context is the current one.
        """
        getter, setter = self.hooks.token_getter, self.hooks.token_setter
        if self.settings.access_token is not None:
            self.refuse_mixture()
            return MerchantStore(self.settings.access_token)
        if getter is not None or setter is not None:
            if getter is None or setter is None or self.make_sqlalchemy_store is not None:
                raise ConfigurationError(
                    "'token_getter' and 'token_setter' replace the token table together: register"
                    " both, and pass no token_model."
                )
            return HookStore(getter, setter)
        if self.make_sqlalchemy_store is None:
            raise ConfigurationError(
                "There is nowhere to keep tokens. Did you forget WePay(token_model=…), or a"
                " 'token_getter' and a 'token_setter'?"
            )
        if current_app and current_app.extensions.get("wepay") is not self:
            raise ConfigurationError(
                "This client was made in another application than the current one: make it there."
            )
        return self._sqlalchemy_store

    @cached_property
    def _sqlalchemy_store(self) -> Store:
        assert self.make_sqlalchemy_store is not None
        return self.make_sqlalchemy_store()

    def refuse_mixture(self) -> None:
        """Refuse a merchant's own token in a platform, which must not act as itself.

        :raises ConfigurationError: if there is a token_model or a token hook beside it.
        """
        hooks = (self.make_sqlalchemy_store, self.hooks.token_getter, self.hooks.token_setter)
        if self.settings.access_token is not None and any(hooks):
            raise ConfigurationError(
                "'WEPAY_ACCESS_TOKEN' is set together with a token_model or token hooks: a"
                " platform must not act as itself. Is it a stray environment variable?"
            )

    def warn_of_stand_in(self) -> None:
        """Log, once per application, that browsers own what they connect."""
        if self.warned.is_set():
            return
        self.warned.set()
        _logger.warning(
            "There is no owner_loader and no Flask-Login: a random id in the browser's session"
            " owns what it connects. In production this is an error."
        )


def current_state() -> State:
    """Return the state of the current application.

    :raises RuntimeError: if the extension was not initialised on it.
    """
    try:
        return current_app.extensions["wepay"]  # type: ignore[no-any-return]
    except KeyError:
        raise RuntimeError(
            "This application has no Flask-WePay. Did you forget to call 'init_app' on it?"
        ) from None


def current_owner(state: State, *, make: bool = False) -> str | None:
    """Return who owns the current request's authorization, or None for nobody.

    With `make` a browser without an owner is given one, where a browser may be one.

    :raises ConfigurationError: if the loader gives no usable id, or is missing in production.
    """
    if state.settings.access_token is not None:
        return MERCHANT
    if not has_request_context() or request_ctx.app is not _current_app():
        # The session is the request's, and names an owner of that application.
        return None
    if state.hooks.owner_loader is not None:
        return checked_owner(state.hooks.owner_loader(), "owner_loader")
    if hasattr(current_app, "login_manager"):
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
    """Return the id of Flask-Login's user, asked once per request and user.

    A commit expires the user, and asking again would take the connection back that the commit
    gave away, and hold it while WePay is waited for.
    """
    from flask_login import current_user

    user = current_user._get_current_object()  # noqa: SLF001
    this: Any = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    seen: list[tuple[Any, str | None]] = vars(this).setdefault("_wepay_user", [])
    # A login, a logout or another user puts another object there.
    if not seen or seen[0][0] is not user:
        seen[:] = [(user, checked_owner(user.get_id(), "current_user.get_id()"))]
    return seen[0][1]


def _current_app() -> Flask:
    return current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001


def browser_may_own(state: State) -> bool:
    """Tell whether a random id in the browser's session stands in for an owner."""
    return (
        state.hooks.owner_loader is None
        and not hasattr(current_app, "login_manager")
        and state.settings.environment != "production"
    )


def checked_owner(owner: object, source: str) -> str | None:
    """Return an owner as `source` gave it, if it can be one.

    :raises ConfigurationError: if it is no string, empty, too long, or no text that is stored.
    """
    # A LocalProxy of None is not None, and says that it is.
    if isinstance(owner, NoneType):
        return None
    text = plain(owner)
    if text is None:
        raise ConfigurationError(
            f"{source} gave an owner of type {type(owner).__name__}, not a string: give"
            " str(user.id), or None for nobody."
        )
    if not 0 < len(text) <= LONGEST_OWNER or _NO_TEXT.search(text):
        raise ConfigurationError(
            f"{source} gave an owner that is empty, over 255 characters, or no text that a"
            " database stores."
        )
    return text
