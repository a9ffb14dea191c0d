"""Signals that notify the application of what happened. The sender is the app.

Each signal is sent once, after the commit. An exception in a receiver is logged; it
undoes nothing, and the other receivers still run.
"""

from __future__ import annotations

import logging
import re
import traceback
from typing import Any

from blinker import NamedSignal, Namespace
from flask import Flask
from flask.globals import app_ctx

__all__ = [
    "wepay_authorized",
    "wepay_denied",
    "wepay_ipn_received",
    "wepay_token_revoked",
    "wepay_user_deleted",
]

#: Matches a token, and the value of anything named like a token, a secret or a signature.
_SECRET = re.compile(
    r"""\b(?:STAGE|PRODUCTION)_[\w-]+
    | (?P<name>
        (?:access_token|client_secret|wepay_signature)['"]?\s*[=:]\s*['"]? | Bearer\s+
      ) [^\s'"&,}]+
    """,
    re.VERBOSE,
)

_signals = Namespace()
_logger = logging.getLogger("flask_wepay")

#: Sent when an owner has connected: ``owner`` (str), ``user_id`` (int, WePay's).
#:
#: .. versionadded:: 1.0
wepay_authorized = _signals.signal("wepay-authorized")

#: Sent when a login comes back with an error instead of a code: ``owner`` (str), ``error``
#: (str, such as ``"access_denied"``), ``description`` (str or None).
#:
#: .. versionadded:: 1.0
wepay_denied = _signals.signal("wepay-denied")

#: Sent when an owner's last active token is revoked: ``owner`` (str), ``user_id`` (int),
#: ``reason`` (str, currently always ``"revoked"``).
#:
#: .. versionadded:: 1.0
wepay_token_revoked = _signals.signal("wepay-token-revoked")

#: Sent when ``/user`` says that WePay deleted the user: ``owner`` (str), ``user_id`` (int).
#: It takes the place of :data:`wepay_token_revoked`.
#:
#: .. versionadded:: 1.0
wepay_user_deleted = _signals.signal("wepay-user-deleted")

#: Sent when an IPN about an object other than a user arrives: ``fields`` (mapping of str).
#: It is sent at least once per IPN. If a receiver raises, the response is 503, and WePay
#: delivers the IPN again.
#:
#: .. versionadded:: 1.0
wepay_ipn_received = _signals.signal("wepay-ipn-received")


def send(signal: NamedSignal, **facts: Any) -> bool:
    """Send a signal of the current app to every receiver, and return whether all succeeded."""
    app = app_ctx.app
    succeeded = True
    for receiver in signal.receivers_for(app):
        try:
            app.ensure_sync(receiver)(app, **facts)
        except Exception as error:  # noqa: BLE001
            # Whatever a receiver raises must not undo what is already committed.
            succeeded = False
            _logger.error("A receiver of %s raised:\n%s", signal.name, _traceback(app, error))
    return succeeded


def _traceback(app: Flask, error: Exception) -> str:
    """Return a traceback without the secrets that a receiver's exception may contain."""
    text = "".join(traceback.format_exception(error))
    settings = app.extensions["wepay"].settings
    for secret in (settings.client_secret, settings.access_token):
        if secret and secret.value:
            text = text.replace(secret.value, "[redacted]")
    return _SECRET.sub(lambda match: f"{match['name'] or ''}[redacted]", text)
