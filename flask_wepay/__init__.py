"""Connect the users of a Flask application to WePay."""

from __future__ import annotations

from .api.client import WePayClient
from .extension import WePay, current_wepay, wepay_required

__all__ = ["WePay", "WePayClient", "current_wepay", "wepay_required"]
