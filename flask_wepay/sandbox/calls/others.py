"""WePay's calls that the sandbox doesn't have.

See https://developer.wepay.com/api/api-calls.
"""

from __future__ import annotations

OTHER_CALLS = frozenset(
    {
        "account/membership/create",
        "account/membership/modify",
        "account/membership/remove",
        "account/settlement_setup",
        "account/request_review",
        "checkout/signature/create",
        "credit_card/enable_recurring",
        "file/upload",
        "kyc",
        "kyc/authorize",
        "kyc/create",
        "kyc/modify",
        "mfa/confirm",
        "mfa/create",
        "mfa/find",
        "mfa/send_challenge",
        "mfa/validate_cookie",
        "mfa/modify",
        "order",
        "order/cancel",
        "order/create",
        "order/find",
        "payment_bank",
        "payment_bank/create",
        "payment_bank/persist",
        "payment_bank/verify",
        "rbit",
        "rbit/create",
        "rbit/delete",
        "rbit/find",
        "report",
        "report/create",
        "subscription",
        "subscription/cancel",
        "subscription/create",
        "subscription/find",
        "subscription/modify",
        "subscription_charge",
        "subscription_charge/find",
        "subscription_charge/refund",
        "subscription_plan",
        "subscription_plan/create",
        "subscription_plan/delete",
        "subscription_plan/find",
        "subscription_plan/get_button",
        "subscription_plan/modify",
    }
)
