"""WePay's error answers: one table, with the source of each line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Source = Literal["documented", "seen", "guessed"]

#: The first Api-Version whose errors carry ``details`` and ``documentation_url``.
DETAILED_SINCE = "2018-08-29"

DOCUMENTATION_URL = "https://developer.wepay.com/api/general/errors"


@dataclass(frozen=True)
class Answer:
    """One line of the error table.

    ``source`` is where the text is known from, ``status_source`` the HTTP status, and
    ``error_source`` the category.
    """

    error_code: int
    meaning: str
    status: int
    error: str
    error_description: str
    source: Source
    status_source: Source = "guessed"
    error_source: Source = "guessed"


class Refused(Exception):
    """Raised to answer a call with an error.

    :param error_code: a key of :data:`ANSWERS`, or another code of a documented class.
    :param description: replaces the table's text; such a text is the sandbox's own.
    :param error: replaces the table's category.
    :param status: replaces the table's HTTP status.
    :raises ValueError: if the code's class is unknown.

    .. versionadded:: 1.0
    """

    def __init__(
        self,
        error_code: int,
        description: str | None = None,
        *,
        error: str | None = None,
        status: int | None = None,
    ) -> None:
        known = answer_of(error_code)
        self.error_code = error_code
        self.description = known.error_description if description is None else description
        self.error = error or known.error
        self.status = status or known.status
        super().__init__(f"{self.error_code} {self.error}: {self.description}")

    def body(self, api_version: str = DETAILED_SINCE) -> dict[str, object]:
        """Return the JSON object in the form of an Api-Version."""
        answer: dict[str, object] = {
            "error": self.error,
            "error_description": self.description,
            "error_code": self.error_code,
        }
        if api_version >= DETAILED_SINCE:
            answer |= {"details": [], "documentation_url": f"{DOCUMENTATION_URL}#{self.error_code}"}
        return answer


def answer_of(error_code: int) -> Answer:
    """Return a line of the table, or a guess for another code of a documented class.

    :raises ValueError: if the code's class is unknown; the message lists the codes.
    """
    if error_code in ANSWERS:
        return ANSWERS[error_code]
    thing = CLASSES.get(error_code // 1000)
    if thing is None:
        codes = [str(code) for code in ANSWERS if code // 1000 not in CLASSES]
        classes = [f"{thousands}xxx" for thousands in CLASSES]
        raise ValueError(
            f"error_code {error_code} is none of WePay's: "
            f"there are {', '.join(codes)}, and any of {', '.join(classes)}."
        )
    return _guess(error_code, thing)


def _guess(error_code: int, thing: str) -> Answer:
    return Answer(
        error_code,
        f"any {thing} error, {error_code // 1000}xxx",
        400,
        "processing_error",
        f"the {thing} could not be processed",
        "guessed",
    )


#: The subjects of the classes of codes, by thousands; WePay may add codes.
#: https://developer.wepay.com/api/general/errors
CLASSES = {
    2: "payment",
    3: "account",
    4: "checkout",
    5: "preapproval",
    6: "withdrawal",
    8: "subscription",
    10: "card",
}

#: Every refusal the sandbox knows, by error_code.
ANSWERS: dict[int, Answer] = {
    answer.error_code: answer
    for answer in (
        Answer(
            1001,
            "no such call",
            501,
            "invalid_request",
            "that is not a recognized WePay API call",
            "seen",
            "seen",
        ),
        Answer(
            1002,
            "a header is missing or garbled",
            401,
            "access_denied",
            "could not parse authorization header, a valid access_token is required",
            "seen",
            error_source="documented",
        ),
        Answer(
            1003,
            "a parameter has a bad value",
            400,
            "invalid_request",
            "invalid code parameter",
            "seen",
            "seen",
        ),
        Answer(
            1004,
            "a parameter is missing",
            400,
            "invalid_request",
            "client_id parameter is required",
            "seen",
            "seen",
        ),
        Answer(
            1005,
            "the body is not a JSON object",
            400,
            "invalid_request",
            "could not parse the request body, a JSON object is required",
            "guessed",
        ),
        Answer(
            1006,
            "could not authenticate",
            401,
            "access_denied",
            "a valid access_token is required",
            "seen",
        ),
        Answer(
            1007,
            "throttled",
            429,
            "throttle_exceeded",
            "too many API calls, retry later",
            "guessed",
            error_source="documented",
        ),
        Answer(
            1008,
            "a fault of WePay's own",
            500,
            "processing_error",
            "an unknown error occurred",
            "guessed",
            "documented",
            "documented",
        ),
        Answer(
            1009,
            "an error that may be shown to the user",
            400,
            "processing_error",
            "this can't be done right now",
            "guessed",
        ),
        Answer(
            1010,
            "not permitted",
            403,
            "access_denied",
            "you do not have permission to do that",
            "guessed",
        ),
        Answer(
            1011,
            "the access_token was revoked",
            401,
            "access_denied",
            "this access_token has been revoked",
            "seen",
        ),
        Answer(
            1012,
            "the code has expired",
            400,
            "invalid_request",
            "the code has expired",
            "seen",
        ),
        Answer(
            1013,
            "the code was made for another client_id",
            400,
            "invalid_client",
            "the client_id does not match the code",
            "guessed",
        ),
        Answer(
            1014,
            "the address is not on the application's whitelist",
            403,
            "access_denied",
            "your IP address is not on the application's whitelist",
            "guessed",
        ),
        Answer(
            1015,
            "no such API version",
            400,
            "invalid_request",
            "invalid API version",
            "guessed",
        ),
        Answer(
            1016,
            "an API version that is not for this application",
            400,
            "invalid_request",
            "this API version is not available to your application",
            "guessed",
        ),
        Answer(
            2001,
            "the billing address is wrong",
            400,
            "processing_error",
            "the billing address could not be verified",
            "guessed",
        ),
        Answer(
            2002,
            "a type of card that is not supported",
            400,
            "invalid_request",
            "the card type is not supported",
            "guessed",
        ),
        Answer(
            2003,
            "the bank does not support the card",
            400,
            "processing_error",
            "the card is not supported",
            "guessed",
        ),
        Answer(
            2004,
            "the bank declined, and did not say why",
            400,
            "processing_error",
            "the card was declined",
            "guessed",
        ),
        Answer(
            2005,
            "not enough money",
            400,
            "processing_error",
            "the payment method has insufficient funds",
            "guessed",
        ),
        Answer(
            2006,
            "the card was lost or stolen",
            400,
            "processing_error",
            "the card was reported lost or stolen",
            "guessed",
        ),
        Answer(
            2007,
            "the card has expired",
            400,
            "processing_error",
            "the card has expired",
            "guessed",
        ),
        Answer(
            2008,
            "some of the card's data is wrong",
            400,
            "processing_error",
            "the card data is invalid",
            "guessed",
        ),
        Answer(
            2009,
            "the card is in a wrong state",
            400,
            "invalid_request",
            "the credit card can't do that in its state",
            "guessed",
        ),
        Answer(
            3001,
            "no such account",
            400,
            "invalid_request",
            "the account does not exist",
            "guessed",
        ),
        Answer(
            3002,
            "another user's or application's account",
            401,
            "access_denied",
            "applications can only modify accounts they have created",
            "documented",
            "documented",
            "documented",
        ),
        Answer(
            3003,
            "the account was deleted",
            400,
            "invalid_request",
            "the account has been deleted",
            "guessed",
        ),
        Answer(
            3004,
            "the account can't take or give money",
            400,
            "processing_error",
            "the account cannot transact",
            "guessed",
        ),
        Answer(
            3005,
            "the account has too little money",
            400,
            "processing_error",
            "the account has insufficient funds",
            "guessed",
        ),
        Answer(
            4001,
            "no such checkout",
            400,
            "invalid_request",
            "the checkout does not exist",
            "guessed",
        ),
        Answer(
            4002,
            "another user's or application's checkout",
            401,
            "access_denied",
            "you do not have permission to access this checkout",
            "guessed",
            "documented",
            "documented",
        ),
        Answer(
            4003,
            "no such payment method, or another's",
            400,
            "invalid_request",
            "invalid payment method",
            "documented",
            "guessed",
            "documented",
        ),
        Answer(
            4004,
            "the checkout is in a wrong state",
            400,
            "invalid_request",
            "this checkout has already been cancelled",
            "seen",
            "guessed",
            "seen",
        ),
        Answer(
            5001,
            "no such preapproval",
            400,
            "invalid_request",
            "the preapproval does not exist",
            "guessed",
        ),
        Answer(
            5002,
            "another user's preapproval",
            401,
            "access_denied",
            "you do not have permission to access this preapproval",
            "guessed",
        ),
        Answer(
            5003,
            "another application's preapproval",
            401,
            "access_denied",
            "this application can't access the preapproval",
            "guessed",
        ),
        Answer(
            5004,
            "a preapproval whose time has not come",
            400,
            "invalid_request",
            "the preapproval has not started yet",
            "guessed",
        ),
        Answer(
            5005,
            "a preapproval whose time is over",
            400,
            "invalid_request",
            "the preapproval has ended",
            "guessed",
        ),
        Answer(
            5006,
            "the preapproval is in a wrong state",
            400,
            "invalid_request",
            "the preapproval can't do that in its state",
            "guessed",
        ),
        Answer(
            5008,
            "a preapproval for another account",
            400,
            "invalid_request",
            "the preapproval is for another account",
            "guessed",
        ),
        Answer(
            5009,
            "as many payments as the period allows",
            400,
            "invalid_request",
            "the preapproval allows no more payments in this period",
            "guessed",
        ),
        Answer(
            5010,
            "as much money as the period allows",
            400,
            "invalid_request",
            "the preapproval allows no such amount in this period",
            "guessed",
        ),
        Answer(
            6001,
            "no such withdrawal",
            400,
            "invalid_request",
            "the withdrawal does not exist",
            "guessed",
        ),
        Answer(
            6002,
            "another user's withdrawal",
            401,
            "access_denied",
            "you do not have permission to access this withdrawal",
            "guessed",
        ),
        Answer(
            7001,
            "no such user",
            400,
            "invalid_request",
            "the user does not exist",
            "guessed",
            "seen",
        ),
        Answer(
            7002,
            "the user is in a wrong state",
            400,
            "invalid_request",
            "This access_token is already approved.",
            "seen",
            "seen",
            "seen",
        ),
        Answer(
            7003,
            "the user was deleted",
            400,
            "access_denied",
            "the user has been deleted",
            "guessed",
        ),
        _guess(8001, CLASSES[8]),
        Answer(
            10001,
            "no such card of this application",
            400,
            "invalid_request",
            "the credit card does not exist",
            "guessed",
        ),
    )
}

#: Another observed text of 1006: for an access_token of the other environment.
OTHER_ENVIRONMENT = replace(
    ANSWERS[1006],
    meaning="an access_token of the other environment",
    error_description="You are trying to use an access_token from production on stage",
)
