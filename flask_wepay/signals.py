"""Signals, which tell the application what happened. The sender is the app.

Each is sent once, after the commit. A receiver that raises is logged, and
neither undoes anything nor keeps the other receivers from running.
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

#: What looks like a token, or stands where a token, a secret or a signature does.
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

#: An owner connected: ``owner`` (str), ``user_id`` (int, WePay's).
#:
#: .. versionadded:: 1.0
wepay_authorized = _signals.signal("wepay-authorized")

#: A login came back without a code: ``owner`` (str), ``error`` (str, such as
#: ``"access_denied"``), ``description`` (str or None).
#:
#: .. versionadded:: 1.0
wepay_denied = _signals.signal("wepay-denied")

#: An owner's last token died: ``owner`` (str), ``user_id`` (int),
#: ``reason`` (str, ``"revoked"``: the only value so far).
#:
#: .. versionadded:: 1.0
wepay_token_revoked = _signals.signal("wepay-token-revoked")

#: WePay deleted the user: ``owner`` (str), ``user_id`` (int). Sent instead of
#: :data:`wepay_token_revoked` where ``/user`` said so.
#:
#: .. versionadded:: 1.0
wepay_user_deleted = _signals.signal("wepay-user-deleted")

#: An IPN about another object arrived: ``fields`` (mapping of str). Sent at least
#: once; a receiver that raises makes the answer 503, so that WePay delivers again.
#:
#: .. versionadded:: 1.0
wepay_ipn_received = _signals.signal("wepay-ipn-received")


def send(signal: NamedSignal, **facts: Any) -> bool:
    """Send a signal of the current app to every receiver; return whether all succeeded."""
    app = app_ctx.app
    succeeded = True
    for receiver in signal.receivers_for(app):
        try:
            app.ensure_sync(receiver)(app, **facts)
        except Exception as error:  # noqa: BLE001
            # Whatever a receiver does wrong must not undo what is already true.
            succeeded = False
            _logger.error("A receiver of %s raised:\n%s", signal.name, _traceback(app, error))
    return succeeded


def _traceback(app: Flask, error: Exception) -> str:
    """Write a traceback without the secrets that a receiver's error may name."""
    text = "".join(traceback.format_exception(error))
    settings = app.extensions["wepay"].settings
    for secret in (settings.client_secret, settings.access_token):
        if secret and secret.value:
            text = text.replace(secret.value, "[redacted]")
    return _SECRET.sub(lambda match: f"{match['name'] or ''}[redacted]", text)
