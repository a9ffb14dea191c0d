"""The arguments of ``/checkout/create`` in the first versions of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The first version with structures for the fee, the page and the method.
STRUCTURED_SINCE = "2015-09-09"

#: Today's structures, and the former arguments that became their members.
_MEMBERS = {
    "fee": ("app_fee", "fee_payer"),
    "hosted_checkout": (
        "redirect_uri",
        "fallback_uri",
        "mode",
        "prefill_info",
        "require_shipping",
        "shipping_fee",
        "funding_sources",
    ),
}


def upgraded(call: str, api_version: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call under today's names."""
    arguments = dict(arguments)
    if call != "checkout/create" or api_version >= STRUCTURED_SINCE:
        return arguments
    arguments.setdefault("currency", "USD")
    if "auto_capture" in arguments:
        arguments["auto_release"] = arguments.pop("auto_capture")
    for structure, members in _MEMBERS.items():
        moved = {name: arguments.pop(name) for name in members if name in arguments}
        if moved:
            arguments[structure] = moved
    if "preapproval_id" in arguments:
        _pay_with(arguments, "preapproval", "preapproval", arguments.pop("preapproval_id"))
    if "payment_method_id" in arguments:
        kind = arguments.pop("payment_method_type", "credit_card")
        _pay_with(arguments, kind, "credit_card", arguments.pop("payment_method_id"))
    return arguments


def _pay_with(arguments: dict[str, Any], kind: object, name: str, method_id: object) -> None:
    arguments["payment_method"] = {"type": kind, name: {"id": method_id}}
    # Then there is no hosted page, and its arguments have no effect.
    arguments.pop("hosted_checkout", None)
