"""The /credit_card calls.

See https://developer.wepay.com/api/api-calls/credit_card.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from ..answers import Refused
from ..arguments import Argument, anything, boolean, choice, integer, pick, structure, text, uri
from ..objects import Card
from .context import Context
from .finding import PAGE, SORT_ORDER, matches, page_of
from .registry import CLIENT_ID, call
from .shapes import Shape

CARD = Shape(
    "credit_card",
    "credit_card_id",
    "credit_card_name",
    "state",
    "user_name",
    "email",
    "create_time",
    "input_source",
    "reference_id",
    "expiration_month",
    "expiration_year",
    "bin",
    "last_four",
    virtual_terminal_mode=lambda context, card: card.virtual_terminal,
    backing_instrument_name=lambda context, card: None,
)
CARD_STATE = Shape("state of a credit_card", "credit_card_id", "state")

CARD_ID = Argument("credit_card_id", integer, required=True)
_CARD_ERRORS = (10001,)

#: Only these two parts of an address are required.
ADDRESS = structure(
    Argument("address1", text(60)),
    Argument("address2", text(60)),
    Argument("city", text(30)),
    Argument("region", text(30)),
    Argument("state", text(30)),
    Argument("zip", text(14)),
    Argument("postal_code", text(14)),
    Argument("postcode", text(14)),
    Argument("country", text(2)),
)
_DATA = (
    Argument("cc_number", text(255), required=True),
    Argument("expiration_month", integer, required=True),
    Argument("expiration_year", integer, required=True),
    Argument("user_name", text(255), required=True),
    Argument("email", text(255), required=True),
    Argument("address", ADDRESS, required=True),
    Argument("reference_id", text(255)),
)

#: The first digits of card numbers, by WePay's names for the brands.
_BRANDS = {
    "Visa": "4",
    "MasterCard": "5[1-5]|2[2-7]",
    "American Express": "3[47]",
    "Discover": "6011|65",
    "JCB": "35",
    "Diners Club": "30|36|38",
}


@call("credit_card", CARD_ID, answer=CARD, errors=_CARD_ERRORS)
def look_up_card(context: Context, arguments: dict[str, Any]) -> Card:
    """Return a card of the application."""
    return card_of(context, arguments["credit_card_id"])


@call(
    "credit_card/create",
    *_DATA,
    Argument("cvv", text(255)),
    Argument("original_ip", text(255)),
    Argument("original_device", text(255)),
    Argument("auto_update", boolean),
    Argument("callback_uri", uri),
    Argument("virtual_terminal", choice("mobile", "web", "none")),
    Argument("payment_request_flag", boolean),
    Argument("card_on_file", boolean),
    Argument("recurring", boolean),
    Argument("rbits", anything),
    credentials=CLIENT_ID,
    answer=CARD_STATE,
    errors=(2002, 2007),
)
def create_card(context: Context, arguments: dict[str, Any]) -> Card:
    """Store a payer's card; it must be charged or authorized within 30 minutes."""
    details = pick(arguments, "auto_update", "callback_uri", "virtual_terminal")
    return _keep(context, arguments, **details)


@call("credit_card/authorize", CARD_ID, answer=CARD, errors=(*_CARD_ERRORS, 2009))
def authorize_card(context: Context, arguments: dict[str, Any]) -> Card:
    """Authorize a card to be charged later."""
    card = usable(card_of(context, arguments["credit_card_id"]))
    context.world.wallet.change_card(card, "authorized")
    return card


@call(
    "credit_card/find",
    Argument("reference_id", text(255)),
    *PAGE,
    SORT_ORDER,
    answer=CARD,
    many=True,
)
def find_cards(context: Context, arguments: dict[str, Any]) -> list[Card]:
    """Return the application's cards as an array, 50 at a time, newest first."""
    found = [
        card
        for card in context.world.wallet.cards_of(context.application.client_id)
        if matches(card, arguments, "reference_id")
    ]
    return page_of(found, arguments)


@call(
    "credit_card/modify",
    CARD_ID,
    Argument("auto_update", boolean),
    Argument("callback_uri", uri),
    answer=CARD,
    errors=_CARD_ERRORS,
)
def modify_card(context: Context, arguments: dict[str, Any]) -> Card:
    """Change a card's callback_uri, and whether it is updated automatically."""
    card = card_of(context, arguments["credit_card_id"])
    card.auto_update = arguments.get("auto_update", card.auto_update)
    card.callback_uri = arguments.get("callback_uri", card.callback_uri)
    return card


@call("credit_card/delete", CARD_ID, answer=CARD_STATE, errors=(*_CARD_ERRORS, 2009))
def delete_card(context: Context, arguments: dict[str, Any]) -> Card:
    """Delete a card, which can no longer be charged."""
    card = card_of(context, arguments["credit_card_id"])
    if card.state == "deleted":
        raise Refused(2009)
    context.world.wallet.change_card(card, "deleted")
    return card


@call(
    "credit_card/transfer",
    *_DATA,
    Argument("auto_authorize", boolean),
    answer=CARD_STATE,
    errors=(2002, 2007),
)
def transfer_card(context: Context, arguments: dict[str, Any]) -> Card:
    """Import a card that the application stored elsewhere."""
    card = _keep(context, arguments, input_source="card_transfer")
    if arguments.get("auto_authorize"):
        context.world.wallet.change_card(card, "authorized")
    return card


def card_of(context: Context, credit_card_id: int) -> Card:
    """Return a card of the application."""
    wallet = context.world.wallet
    if credit_card_id in wallet.cards:
        card = wallet.card(credit_card_id)
        if card.client_id == context.application.client_id:
            return card
    raise Refused(10001)


def usable(card: Card) -> Card:
    """Return a card that can be charged, or refuse it with 2009."""
    if card.state not in {"new", "authorized"}:
        raise Refused(2009, f"the credit card is {card.state}")
    return card


def _keep(context: Context, arguments: dict[str, Any], **details: Any) -> Card:
    number = re.sub("[ -]", "", arguments["cc_number"])
    if not _is_card_number(number):
        # https://github.com/activemerchant/active_merchant test/unit/gateways/wepay_test.rb
        raise Refused(1003, "Invalid credit card number")
    brand = next((name for name, start in _BRANDS.items() if re.match(start, number)), None)
    if brand is None:
        raise Refused(2002)
    year, month = arguments["expiration_year"], arguments["expiration_month"]
    if not 1 <= month <= 12:
        raise Refused(1003, "expiration_month parameter must be 1 to 12")
    today = datetime.fromtimestamp(context.world.clock(), UTC)
    if (year, month) < (today.year, today.month):
        raise Refused(2007)
    return context.world.wallet.add_card(
        context.application.client_id,
        user_name=arguments["user_name"],
        email=arguments["email"],
        brand=brand,
        bin=number[:6],
        last_four=number[-4:],
        expiration_month=month,
        expiration_year=year,
        reference_id=arguments.get("reference_id"),
        **details,
    )


def _is_card_number(number: str) -> bool:
    """Return whether the check digit is valid by ISO/IEC 7812."""
    if not re.fullmatch("[0-9]{12,19}", number):
        return False
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(number[::-1])]
    return sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0
