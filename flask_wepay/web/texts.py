"""What the pages say: a heading, a text, and which ways lead on."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import (
    AuthorizationDenied,
    AuthorizationError,
    ConfigurationError,
    ExchangeFailed,
    NotAuthorized,
    OutcomeUnknown,
    StateMismatch,
    StoreUnavailable,
    Throttled,
    TokenUnreadable,
    WePayError,
)
from ..oauth.flow import DISCONNECTED

__all__ = [
    "CONNECT",
    "CONNECTED",
    "FINISHING",
    "IN_A_WINDOW",
    "NOT_NOW",
    "UNCONFIRMED",
    "Text",
    "text_of",
]


class Text(NamedTuple):
    """A page's words, all of them ours; its ways are (what leads on, its label)."""

    heading: str
    text: str
    ways: tuple[tuple[str, str], ...] = ()


AGAIN = ("retry", "Try again")
CONNECT = ("retry", "Connect with WePay")
CONNECT_AGAIN = ("retry", "Connect again")
RECONNECT = ("reconnect", "Reconnect anyway")
BACK = ("next", "Back to the site")

UNCONFIRMED = "It may or may not have reached WePay. Connect again to be sure."

NOT_NOW = "WePay is not available just now"
IN_A_WINDOW = "Opens a window"

CONNECTED = Text(
    "Connected with WePay",
    "You can close this window.",
    (("next", "Go on"),),
)
FINISHING = Text(
    "Connecting with WePay …",
    "This takes a moment. The page refreshes automatically every %(seconds)d seconds.",
)
_NOBODY = Text(
    "Log in first",
    "This site does not know who you are. Nothing was done.",
    (BACK,),
)
_AT_LOGIN = Text(
    "WePay can't be asked just now",
    "Your connection is kept. Try again in a moment.",
    (AGAIN, RECONNECT),
)
_OVER_BUDGET = Text(
    "One moment, please",
    "Many people are connecting just now. Nothing is lost: try again in %(seconds)d seconds.",
    # The address of this page holds the code, and reloading it finishes the login.
    (("reload", "Try again"),),
)
_REFUSED_BY_WEPAY = Text(
    "WePay did not make the connection",
    "The permission may have been too old. Connect again.",
    (CONNECT_AGAIN, BACK),
)
_UNCONFIRMED = Text(
    "The connection could not be confirmed",
    "WePay may or may not have finished it. Connect again to be sure.",
    (CONNECT_AGAIN, BACK),
)

#: What a page says of an error, wherever that happens; the first class that fits counts.
_ANYWHERE: tuple[tuple[type[WePayError], Text], ...] = (
    (
        AuthorizationDenied,
        Text(
            "You did not connect with WePay",
            "Nothing was changed. You can connect whenever you like.",
            (("next", "Go on without WePay"), CONNECT),
        ),
    ),
    (
        NotAuthorized,
        Text(
            "Connect with WePay first",
            "This needs a connection with WePay. Nothing was done.",
            (CONNECT,),
        ),
    ),
    (
        TokenUnreadable,
        Text(
            "Your connection can't be read just now",
            "It is kept, and works again once this site's keys are back in order.",
            (AGAIN, RECONNECT),
        ),
    ),
    (
        ConfigurationError,
        Text(
            "This site is not set up for WePay correctly",
            "Nothing was changed. The people who run this site find the reason in its log.",
            (BACK,),
        ),
    ),
    (
        StoreUnavailable,
        Text(
            "This site can't reach its records just now",
            "No new connection was saved. Try again in a moment.",
            (AGAIN,),
        ),
    ),
)
#: And what it says of one that ends a callback.
_AT_CALLBACK: tuple[tuple[type[WePayError], Text], ...] = (
    (
        StateMismatch,
        Text(
            "This login can't be finished here",
            "It was begun in another browser, by another user, or more than an hour ago."
            " Nothing was changed.",
            (CONNECT, BACK),
        ),
    ),
    (ExchangeFailed, _REFUSED_BY_WEPAY),
    (OutcomeUnknown, _UNCONFIRMED),
    (
        Throttled,
        Text(
            "WePay is too busy just now",
            "Nothing was changed. Connect again in a moment.",
            (CONNECT_AGAIN, BACK),
        ),
    ),
    (
        WePayError,
        Text(
            "WePay can't be reached just now",
            "Nothing was changed. Connect again in a moment.",
            (CONNECT_AGAIN, BACK),
        ),
    ),
)


def text_of(error: WePayError, *, at_login: bool, nobody: bool) -> Text:
    """Return the text of an error page, or of the page for a user who isn't logged in."""
    if nobody:
        return _NOBODY
    for kind, text in _ANYWHERE:
        if isinstance(error, kind):
            return text
    if at_login:
        return _AT_LOGIN
    if isinstance(error, Throttled) and error.error_code is None:
        return _OVER_BUDGET
    if type(error) is AuthorizationError:
        if error.error is not None:
            return _REFUSED_BY_WEPAY
        # Our own refusal tells the reason: WePay was not asked, or a disconnect came first.
        own = str(error) in (DISCONNECTED, UNCONFIRMED)
        return _UNCONFIRMED._replace(text=str(error)) if own else _UNCONFIRMED
    return next(text for kind, text in _AT_CALLBACK if isinstance(error, kind))
