"""The objects of a world, as plain dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

#: The permissions of every access token; choosing among them is no longer supported.
SCOPES = ("manage_accounts", "collect_payments", "view_user", "preapprove_payments", "send_money")

#: Seconds until a code expires.
CODE_LIFETIME = 600

#: Seconds until an unpaid checkout expires.
CHECKOUT_LIFETIME = 1800

#: Seconds until the token of a registration expires. https://developer.wepay.com/api/api-calls/user
REGISTRATION_LIFETIME = 90 * 24 * 3600

#: Seconds within which a card must be charged or authorized.
CARD_LIFETIME = 1800

#: Seconds within which a payer must approve.
PREAPPROVAL_LIFETIME = 1800

#: Seconds of a preapproval's period; None for "once".
PERIODS: dict[str, int | None] = {
    "hourly": 3600,
    "daily": 24 * 3600,
    "weekly": 7 * 24 * 3600,
    "biweekly": 14 * 24 * 3600,
    "monthly": 30 * 24 * 3600,
    "bimonthly": 61 * 24 * 3600,
    "quarterly": 91 * 24 * 3600,
    "yearly": 365 * 24 * 3600,
    "once": None,
}

#: Seconds within which the account's owner must confirm a withdrawal.
WITHDRAWAL_LIFETIME = 3600

#: Seconds within which a payment must be captured, and released.
CAPTURE_LIFETIME, RELEASE_LIFETIME = 7 * 24 * 3600, 14 * 24 * 3600

Environment = Literal["stage", "production"]

AccountState = Literal["action_required", "pending", "active", "disabled", "deleted"]

CardState = Literal["new", "authorized", "expired", "deleted", "invalid"]

PreapprovalState = Literal[
    "new",
    "approved",
    "expired",
    "revoked",
    "cancelled",
    "stopped",
    "completed",
    "retrying",
]

WithdrawalState = Literal["new", "started", "captured", "failed", "expired"]

CheckoutState = Literal[
    "new",
    "authorized",
    "captured",
    "released",
    "cancelled",
    "refunded",
    "charged back",
    "failed",
    "expired",
]


@dataclass
class Application:
    """An application that is registered at WePay.

    .. versionadded:: 1.0
    """

    client_id: int
    client_secret: str
    name: str = "Sandbox application"
    #: The API version for requests without an ``Api-Version`` header.
    api_version: str = "2019-04-03"
    #: The hosts that a redirect_uri may have; None means any.
    hosts: tuple[str, ...] | None = None
    state: Literal["active", "disabled", "deleted"] = "active"
    status: str = "approved"
    theme_object: dict[str, Any] | None = None
    gaq_domains: list[str] = field(default_factory=list)


@dataclass
class User:
    """A user of WePay.

    .. versionadded:: 1.0
    """

    user_id: int
    email: str
    first_name: str
    last_name: str
    country: str = "US"
    state: Literal["pending", "registered", "deleted"] = "registered"

    @property
    def user_name(self) -> str:
        """The full name, as in the answer of ``/user``."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass
class Code:
    """An authorization code, valid for one exchange."""

    code: str
    client_id: int
    user_id: int
    redirect_uri: str
    expires_at: float
    used: bool = False


@dataclass
class Token:
    """An access token of an application for a user.

    .. versionadded:: 1.0
    """

    access_token: str
    client_id: int
    user_id: int
    issued_at: float
    scope: tuple[str, ...] = SCOPES
    #: Seconds until it expires; None means never.
    expires_in: int | None = None
    callback_uri: str | None = None
    revoked_at: float | None = None
    #: The reason of its revocation: "user" or "replaced".
    reason: str | None = None

    @property
    def abbreviated(self) -> str:
        """Its beginning and end: enough to tell tokens apart, too little to use one."""
        return f"{self.access_token[:12]}…{self.access_token[-4:]}"


@dataclass
class Account:
    """A payment account of a user.

    .. versionadded:: 1.0
    """

    account_id: int
    client_id: int
    owner_user_id: int
    name: str
    description: str
    create_time: int
    type: str = "personal"
    reference_id: str | None = None
    state: AccountState = "action_required"
    #: The reasons why it is disabled: "fraud", "tos_violation" or another one of WePay's.
    disabled_reasons: list[str] = field(default_factory=list)
    country: str = "US"
    currencies: list[str] = field(default_factory=lambda: ["USD"])
    image_uri: str | None = None
    gaq_domains: list[str] = field(default_factory=list)
    callback_uri: str | None = None
    #: The URL to which its owner returns from the page that verifies it.
    update_redirect_uri: str | None = None


@dataclass
class Withdrawal:
    """A transfer of an account's money to a bank.

    .. versionadded:: 1.0
    """

    withdrawal_id: int
    account_id: int
    create_time: int
    currency: str = "USD"
    #: The amount: all available money, once the owner has confirmed.
    amount: Decimal = Decimal(0)
    state: WithdrawalState = "new"
    note: str | None = None
    redirect_uri: str | None = None
    callback_uri: str | None = None
    #: When the bank received it, in seconds since 1970; 0 before.
    capture_time: int = 0


@dataclass
class Checkout:
    """A payment to an account.

    .. versionadded:: 1.0
    """

    checkout_id: int
    client_id: int
    account_id: int
    short_description: str
    type: str
    currency: str
    amount: Decimal
    create_time: int
    state: CheckoutState = "new"
    #: When it entered its state, in seconds since 1970.
    state_since: float = 0.0
    long_description: str | None = None
    reference_id: str | None = None
    unique_id: str | None = None
    callback_uri: str | None = None
    delivery_type: str | None = None
    auto_capture: bool = True
    auto_release: bool = True
    app_fee: Decimal = Decimal(0)
    fee_payer: str = "payer"
    hosted_checkout: dict[str, Any] | None = None
    payment_method: dict[str, Any] | None = None
    payer_name: str | None = None
    payer_email: str | None = None
    amount_refunded: Decimal = Decimal(0)
    refund_reason: str | None = None
    cancel_reason: str | None = None
    #: The arguments of ``checkout/create``, to tell a retry from another use of ``unique_id``.
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def processing_fee(self) -> Decimal:
        """WePay's fee: 2.9 % and 30 cents once it is paid."""
        if self.state in {"new", "expired", "cancelled", "failed"}:
            return Decimal(0)
        return (self.amount * Decimal("0.029") + Decimal("0.30")).quantize(Decimal("0.01"))

    @property
    def gross(self) -> Decimal:
        """What the payer pays: the amount, and the fees if the payer bears them."""
        if not self.processing_fee:
            return Decimal(0)
        fees = self.processing_fee + self.app_fee
        return self.amount + fees if self.fee_payer == "payer" else self.amount

    @property
    def net(self) -> Decimal:
        """What the payee receives: the amount without the fees they bear, and without refunds."""
        if self.state not in {"authorized", "captured", "released"}:
            return Decimal(0)
        borne = self.fee_payer in {"payee", "payee_from_app"}
        fees = self.processing_fee + self.app_fee if borne else Decimal(0)
        return self.amount - fees - self.amount_refunded

    def call_for(self, state: str) -> str | None:
        """Return the call that it waits for to enter a state, or None."""
        if not self.auto_capture and self.state in {"new", "authorized"}:
            return "checkout/capture" if state in {"captured", "released"} else None
        return "checkout/release" if not self.auto_release and state == "released" else None


@dataclass
class Card:
    """A payer's card; its number is not stored.

    .. versionadded:: 1.0
    """

    credit_card_id: int
    client_id: int
    user_name: str
    email: str
    #: The brand, such as "Visa" or "MasterCard".
    brand: str
    bin: str
    last_four: str
    expiration_month: int
    expiration_year: int
    create_time: int
    state: CardState = "new"
    reference_id: str | None = None
    callback_uri: str | None = None
    auto_update: bool = False
    input_source: str = "card_keyed"
    virtual_terminal: str = "none"

    @property
    def credit_card_name(self) -> str:
        """The name that WePay shows: "MasterCard xxxxxx4769"."""
        return f"{self.brand} xxxxxx{self.last_four}"


@dataclass
class Preapproval:
    """A payer's consent to payments that an application makes later.

    .. versionadded:: 1.0
    """

    preapproval_id: int
    client_id: int
    #: The account that is paid; None means any account of the application.
    account_id: int | None
    short_description: str
    period: str
    create_time: int
    amount: Decimal | None = None
    currency: str = "USD"
    state: PreapprovalState = "new"
    frequency: int = 1
    start_time: int = 0
    end_time: int | None = None
    auto_recur: bool = False
    long_description: str | None = None
    reference_id: str | None = None
    redirect_uri: str | None = None
    callback_uri: str | None = None
    app_fee: Decimal = Decimal(0)
    fee_payer: str = "payer"
    require_shipping: bool = False
    shipping_fee: Decimal | None = None
    payer_name: str | None = None
    payer_email: str | None = None
    prefill_info: dict[str, Any] = field(default_factory=dict)
    #: The charges: the time in seconds since 1970, the amount, and the checkout's id.
    charges: list[tuple[float, Decimal, int]] = field(default_factory=list)

    def charges_of_period(self, now: float) -> list[Decimal]:
        """Return the amounts that were charged in the current period."""
        length = PERIODS[self.period]
        if length is None:
            return [amount for _, amount, _ in self.charges]
        began = now - (now - self.start_time) % length
        return [amount for at, amount, _ in self.charges if at >= began]
