"""What clients in other languages send, byte for byte, and what WePay was recorded to answer.

The bytes are rebuilt from the code of each client, which is named beside them.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote_plus, urlsplit

import pytest
from asking import BILL, REDIRECT_URI

from flask_wepay.sandbox import Clock, World
from flask_wepay.sandbox.server import LiveSandbox

#: When the stage of WePay was recorded: 2017-04-26, 18:27:34 UTC.
RECORDED = 1_493_231_254


@pytest.fixture
def sandbox() -> Iterator[LiveSandbox]:
    """Run a sandbox as the command does, in which it is the time of the transcript."""
    world = World(Clock(lambda: float(RECORDED)))
    world.strict = False
    with LiveSandbox(world) as sandbox:
        yield sandbox


def send(sandbox: LiveSandbox, head: str, body: str = "") -> tuple[int, Any]:
    """Send a request as it is written here, and give the status and the JSON of the answer."""
    host = urlsplit(sandbox.url)
    request = head.format(host=host.netloc, length=len(body.encode()))
    with socket.create_connection((str(host.hostname), int(host.port or 0)), 10) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode() + b"\r\n" + body.encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
            headers, _, rest = answer.partition(b"\r\n\r\n")
            sizes = [
                int(line.partition(b":")[2])
                for line in headers.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ]
            if sizes and len(rest) >= sizes[0]:
                break
    return int(answer.split(b" ", 2)[1]), json.loads(rest)


def code_of(back: str) -> str:
    return back.partition("code=")[2].partition("&")[0]


# The PHP SDK: https://github.com/wepay/PHP-SDK wepay.php, version 0.0.9


class PHP:
    """``WePay::getToken`` and ``$wepay->request`` as libcurl sends them."""

    def __init__(self, sandbox: LiveSandbox) -> None:
        self.sandbox = sandbox
        self.token = ""

    def authorization_uri(self) -> str:
        """All six arguments, empty ones too, as http_build_query writes them."""
        return (
            f"{self.sandbox.url}/v2/oauth2/authorize?client_id=12345"
            f"&redirect_uri={quote_plus(REDIRECT_URI)}"
            "&scope=manage_accounts%2Cview_balance%2Ccollect_payments%2Crefund_payments%2Cview_user"
            "&state=&user_name=&user_email="
        )

    def get_token(self, code: str) -> tuple[int, Any]:
        """Send an array of POSTFIELDS, which libcurl makes into multipart/form-data."""
        fields = {
            "client_id": "12345",
            "client_secret": "1a2b3c4d5e6f",
            "redirect_uri": REDIRECT_URI,
            "code": code,
            "state": "",
        }
        boundary = "------------------------d74496d66958873e"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        head = (
            "POST /v2/oauth2/token HTTP/1.1\nHost: {host}\nUser-Agent: WePay v2 PHP SDK v0.0.9\n"
            "Accept: */*\nContent-Length: {length}\n"
            f"Content-Type: multipart/form-data; boundary={boundary}\n"
        )
        status, answer = send(self.sandbox, head, "".join(parts) + f"--{boundary}--\r\n")
        self.token = answer.get("access_token", self.token)
        return status, answer

    def request(self, endpoint: str, values: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Send a GET where there are no values; json_encode escapes slashes."""
        body = json.dumps(values, separators=(",", ":")).replace("/", "\\/") if values else ""
        head = (
            f"{'POST' if values else 'GET'} /v2/{endpoint} HTTP/1.1\nHost: {{host}}\n"
            "User-Agent: WePay v2 PHP SDK v0.0.9\nAccept: */*\nContent-Type: application/json\n"
            f"Authorization: Bearer {self.token}\n"
        )
        return send(self.sandbox, head + ("Content-Length: {length}\n" if values else ""), body)


def test_php_sdk(sandbox: LiveSandbox) -> None:
    """WePay's PHP SDK goes through login, account, checkout, refund, cancel and revocation."""
    php = PHP(sandbox)
    code = code_of(sandbox.authorize(php.authorization_uri()))

    status, token = php.get_token(code)
    assert (status, token["token_type"]) == (200, "BEARER")
    assert php.request("user")[1]["user_id"] == BILL
    assert php.request("account/find") == (200, [])
    account = php.request("account/create", {"name": "Garden", "description": "a/b"})[1]
    # https://github.com/wepay/PHP-SDK README.md, with a currency.
    payment = {
        "account_id": str(account["account_id"]),
        "amount": "24.95",
        "short_description": "A brand new soccer ball",
        "type": "GOODS",
        "currency": "USD",
    }
    paid, other = [php.request("checkout/create", payment)[1]["checkout_id"] for _ in range(2)]
    sandbox.pay(paid, state="released")
    refund = {"checkout_id": paid, "refund_reason": "Product was defective"}
    assert php.request("checkout/refund", refund)[1]["state"] == "refunded"
    cancel = {"checkout_id": str(other), "cancel_reason": "Product was defective"}
    assert php.request("checkout/cancel", cancel)[1]["state"] == "cancelled"
    status, error = php.request("checkout/cancel", cancel)
    assert (status, error["error"], error["error_code"]) == (400, "invalid_request", 4004)
    assert php.request("user/modify", {"callback_uri": "https://shop.example/ipn"})[0] == 200
    assert php.request("/user/modify", {"callback_uri": "https://shop.example/ipn"})[0] == 200
    sandbox.revoke(BILL)
    assert php.request("user")[1]["error_code"] == 1011


# The Ruby SDK: https://github.com/wepay/Ruby-SDK lib/wepay.rb


def ruby(
    sandbox: LiveSandbox, call: str, token: str | None, params: Mapping[str, Any]
) -> tuple[int, Any]:
    """Send what ``WePay::Client#call`` does: an empty Api-Version always, no body for no params."""
    head = (
        f"POST /v2{call} HTTP/1.1\nContent-Type: application/json\nUser-Agent: WePay Ruby SDK\n"
        "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\nAccept: */*\n"
    )
    if token:
        head += f"Authorization: Bearer {token}\n"
    head += "Api-Version: \nConnection: close\nHost: {host}\n"
    if not params:
        return send(sandbox, head + "Content-Length: 0\n")
    body = json.dumps(params, separators=(",", ":"))
    return send(sandbox, head + "Content-Length: {length}\n", body)


def test_ruby_sdk(sandbox: LiveSandbox) -> None:
    """WePay's Ruby SDK goes through login, account, checkout, refund, cancel and revocation."""
    scope = "manage_accounts,collect_payments,view_user,send_money,preapprove_payments"
    url = (
        f"{sandbox.url}/v2/oauth2/authorize?client_id=12345&redirect_uri={REDIRECT_URI}"
        f"&scope={scope},manage_subscriptions&user_email=bill%40example.com"
    )
    login = {
        "client_id": "12345",
        "client_secret": "1a2b3c4d5e6f",
        "redirect_uri": REDIRECT_URI,
        "code": code_of(sandbox.authorize(url)),
    }

    token = ruby(sandbox, "/oauth2/token", None, login)[1]["access_token"]
    assert ruby(sandbox, "/user", token, {})[1]["user_id"] == BILL
    account = ruby(sandbox, "/account/create", token, {"name": "Garden", "description": "Seeds"})[1]
    # https://github.com/wepay/Ruby-SDK README.md, with a currency.
    payment = {
        "account_id": account["account_id"],
        "short_description": "A brand new soccer ball",
        "type": "GOODS",
        "amount": "24.95",
        "currency": "USD",
    }
    paid, other = [
        ruby(sandbox, "/checkout/create", token, payment)[1]["checkout_id"] for _ in range(2)
    ]
    sandbox.pay(paid, state="captured")
    refund = {"checkout_id": paid, "refund_reason": "Rain", "amount": "4.95"}
    assert ruby(sandbox, "/checkout/refund", token, refund)[1]["state"] == "captured"
    cancel = {"checkout_id": other, "cancel_reason": "Sun"}
    assert ruby(sandbox, "/checkout/cancel", token, cancel)[1]["state"] == "cancelled"
    sandbox.revoke(BILL)
    assert ruby(sandbox, "/user", token, {})[1]["error_code"] == 1011


# The Java SDK: https://github.com/wepay/WePay-Java-SDK src/main/java/com/wepay


def java(
    sandbox: LiveSandbox, version: str, call: str, token: str | None, params: Mapping[str, Any]
) -> tuple[int, Any]:
    """Send what ``WePayResource.request`` does: a body always, and a colon after Bearer.

    The order and the rest of the headers are those of HttpURLConnection in Java 17.
    """
    head = (
        f"POST /v2{call} HTTP/1.1\nContent-Type: application/json\nApi-Version: {version}\n"
        "User-Agent: WePay Java SDK\n"
    )
    if token:
        head += f"Authorization: Bearer: {token}\n"
    head += (
        "Host: {host}\nAccept: text/html, image/gif, image/jpeg, */*; q=0.2\n"
        "Connection: keep-alive\nContent-Length: {length}\n"
    )
    return send(sandbox, head, json.dumps(params, separators=(",", ":")))


@pytest.mark.parametrize(
    ("version", "more"),
    [
        # sample_calls/CheckoutCalls.java
        ("2014-01-08", {"type": "GOODS"}),
        # model/Checkout.java, create
        (
            "2019-04-03",
            {"currency": "USD", "hosted_checkout": {"redirect_uri": "https://shop.example/paid"}},
        ),
    ],
)
def test_java_sdk(sandbox: LiveSandbox, version: str, more: dict[str, Any]) -> None:
    """WePay's Java SDK goes through login, account, checkout, refund, cancel and revocation."""
    request = partial(java, sandbox, version)
    # model/OAuth2.java, authorize
    url = (
        f"{sandbox.url}/v2/oauth2/authorize?client_id=12345&redirect_uri={REDIRECT_URI}"
        "&scope=manage_accounts,collect_payments,view_user&user_email=bill@example.com"
    )
    login = {
        "client_id": 12345,
        "client_secret": "1a2b3c4d5e6f",
        "redirect_uri": REDIRECT_URI,
        "code": code_of(sandbox.authorize(url)),
    }

    token = request("/oauth2/token", None, login)[1]["access_token"]
    assert request("/user", token, {})[1]["user_id"] == BILL
    assert request("/user/modify", token, {"callback_uri": "https://shop.example/ipn"})[0] == 200
    account = request("/account/create", token, {"name": "Garden", "description": "Seeds"})[1]
    payment = {
        "account_id": account["account_id"],
        "short_description": "sample checkout",
        "type": "goods",
        "amount": 19.99,
        **more,
    }
    paid, other = [request("/checkout/create", token, payment)[1] for _ in range(2)]
    sandbox.pay(paid["checkout_id"], state="released")
    refund = {
        "checkout_id": paid["checkout_id"],
        "refund_reason": "shirt did not fit properly",
        "amount": 19.99,
    }
    assert request("/checkout/refund", token, refund)[1]["state"] == "refunded"
    cancel = {"checkout_id": other["checkout_id"], "cancel_reason": "Sun"}
    assert request("/checkout/cancel", token, cancel)[1]["state"] == "cancelled"
    # WePayException.java reads these of an error.
    status, error = request("/checkout/cancel", token, cancel)
    assert status == 400
    assert {"error", "error_description", "error_code"} <= set(error)
    sandbox.revoke(BILL)
    assert request("/user", token, {})[1]["error_code"] == 1011


# wepay-rails: https://github.com/adamthedeveloper/wepay-rails lib/wepay-rails.rb


def rails(
    sandbox: LiveSandbox, path: str, token: str | None, params: Mapping[str, str]
) -> tuple[int, Any]:
    """Send what ``Gateway#call_api`` does: a form, and a colon after Bearer."""
    body = "&".join(f"{name}={quote_plus(value)}" for name, value in params.items())
    head = f"POST /v2{path} HTTP/1.1\n"
    if token:
        head += f"Authorization: Bearer: {token}\n"
    head += (
        "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\nAccept: */*\n"
        "User-Agent: Ruby\nConnection: close\nHost: {host}\nContent-Length: {length}\n"
        "Content-Type: application/x-www-form-urlencoded\n"
    )
    return send(sandbox, head, body)


def test_wepay_rails(sandbox: LiveSandbox) -> None:
    """wepay-rails goes through login, account, checkout, refund, cancel and revocation."""
    # The version that an application of its time has.
    sandbox.world.applications[12345].api_version = "2014-01-08"
    url = (
        f"{sandbox.url}/v2/oauth2/authorize?client_id=12345"
        "&scope=manage_accounts,collect_payments,view_balance,view_user"
        f"&redirect_uri={REDIRECT_URI}"
    )
    login = {
        "client_id": "12345",
        "client_secret": "1a2b3c4d5e6f",
        "redirect_uri": REDIRECT_URI,
        "code": code_of(sandbox.authorize(url)),
    }

    token = rails(sandbox, "/oauth2/token", None, login)[1]["access_token"]
    account = rails(sandbox, "/account/create", token, {"name": "G", "description": "S"})[1]
    # lib/api/checkout_methods.rb, perform_checkout
    payment = {
        "callback_uri": "http://www.example.com/wepay/ipn?security_token=1",
        "redirect_uri": "http://www.example.com/wepay/checkout?security_token=1",
        "fee_payer": "Payee",
        "type": "GOODS",
        "charge_tax": "0",
        "app_fee": "0",
        "auto_capture": "1",
        "require_shipping": "1",
        "shipping_fee": "0",
        "account_id": str(account["account_id"]),
        "amount": "300",
        "short_description": "This is a checkout test!",
    }
    made, other = [rails(sandbox, "/checkout/create", token, payment)[1] for _ in range(2)]
    assert made == {
        "checkout_id": made["checkout_id"],
        "checkout_uri": f"{sandbox.url}/checkout/{made['checkout_id']}",
    }
    assert sandbox.pay_at(made["checkout_uri"]).startswith(payment["redirect_uri"])
    paid = {"checkout_id": str(made["checkout_id"])}
    shown = rails(sandbox, "/checkout", token, paid)[1]
    assert (shown["amount"], shown["currency"], shown["state"]) == (300, "USD", "authorized")
    assert shown["fee"]["fee_payer"] == "payee"
    sandbox.pay(made["checkout_id"], state="captured")
    refund = {**paid, "refund_reason": "Rain"}
    cancel = {"checkout_id": str(other["checkout_id"]), "cancel_reason": "Sun"}
    assert rails(sandbox, "/checkout/refund", token, refund)[1]["state"] == "refunded"
    assert rails(sandbox, "/checkout/cancel", token, cancel)[1]["state"] == "cancelled"
    sandbox.revoke(BILL)
    assert rails(sandbox, "/account/find", token, {})[1]["error_code"] == 1011


# ActiveMerchant: https://github.com/activemerchant/active_merchant
# lib/active_merchant/billing/gateways/wepay.rb, and the transcript of WePay's stage in
# test/unit/gateways/wepay_test.rb


class ActiveMerchant:
    """What ``WepayGateway#commit`` sends, with the names and the numbers of the transcript."""

    def __init__(self, sandbox: LiveSandbox) -> None:
        self.sandbox = sandbox
        sandbox.world.add_application(44716, "secret", api_version="2017-02-01")
        self.token = sandbox.issue_token(client_id=44716)
        account = self.commit("/account/create", '{"name":"Spreedly","description":"Test"}')[1]
        self.account_id = account["account_id"]

    def commit(self, action: str, body: str) -> tuple[int, Any]:
        head = (
            f"POST /v2{action} HTTP/1.1\nContent-Type: application/json\n"
            f"User-Agent: ActiveMerchantBindings/1.65.0\nAuthorization: Bearer {self.token}\n"
            "Api-Version: 2017-02-01\n"
            "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\nAccept: */*\n"
            "Connection: close\nHost: {host}\nContent-Length: {length}\n"
        )
        return send(self.sandbox, head, body)

    def store(self, number: str = "5496198584584769", *, recurring: bool = False) -> Any:
        secret = '"client_secret":"secret"' if recurring else ""
        cvv = "" if recurring else '"cvv":"123",'
        body = (
            '{"client_id":"44716","user_name":"Longbob Longsen","email":"test@example.com",'
            f'"cc_number":"{number}",{cvv}"expiration_month":9,"expiration_year":2018,'
            '"address":{"address1":"456 My Street","city":"Ottawa","country":"CA",'
            '"region":"ON","postal_code":"K1C2N6"}' + (f",{secret}" if secret else "") + "}"
        )
        return self.commit(f"/credit_card/{'transfer' if recurring else 'create'}", body)[1]

    def authorize(self, card: str, currency: str = "USD") -> Any:
        body = (
            '{"payment_method":{"type":"credit_card","credit_card":'
            f'{{"id":"{card}","auto_capture":false}}}},"account_id":"{self.account_id}",'
            '"amount":"20.00","short_description":"Purchase","type":"goods",'
            f'"currency":"{currency}"}}'
        )
        return self.commit("/checkout/create", body)[1]

    def capture(self, checkout_id: int) -> Any:
        return self.commit("/checkout/capture", f'{{"checkout_id":"{checkout_id}"}}')[1]


@pytest.fixture
def gateway(sandbox: LiveSandbox) -> ActiveMerchant:
    return ActiveMerchant(sandbox)


def recorded_checkout(gateway: ActiveMerchant, checkout: Any, card: int) -> dict[str, Any]:
    """Give the answer of the transcript, with the ids of here in place of those of there."""
    return {
        "checkout_id": checkout["checkout_id"],
        "account_id": gateway.account_id,
        "type": "goods",
        "short_description": "Purchase",
        "currency": "USD",
        "amount": 20,
        "state": "authorized",
        "soft_descriptor": "WPY*Spreedly",
        "create_time": RECORDED,
        "gross": 20.88,
        "reference_id": None,
        "callback_uri": None,
        "long_description": None,
        "delivery_type": None,
        "fee": {"app_fee": 0, "processing_fee": 0.88, "fee_payer": "payer"},
        "chargeback": {"amount_charged_back": 0, "dispute_uri": None},
        "refund": {"amount_refunded": 0, "refund_reason": None},
        "payment_method": {
            "type": "credit_card",
            "credit_card": {
                "id": card,
                "data": {"emv_receipt": None, "signature_url": None},
                "auto_capture": False,
            },
        },
        "hosted_checkout": None,
        "payer": {"email": "test@example.com", "name": "Longbob Longsen", "home_address": None},
        "npo_information": None,
        "payment_error": None,
        "in_review": False,
        "auto_release": True,
    }


def test_transcript(gateway: ActiveMerchant) -> None:
    """A purchase is answered as WePay's stage answered it, field for field."""
    card = gateway.store()
    checkout = gateway.authorize(card["credit_card_id"])
    captured = gateway.capture(checkout["checkout_id"])

    assert card == {"credit_card_id": card["credit_card_id"], "state": "new"}
    recorded = recorded_checkout(gateway, checkout, card["credit_card_id"])
    assert checkout == captured == recorded


def test_gateway(sandbox: LiveSandbox, gateway: ActiveMerchant) -> None:
    """ActiveMerchant's gateway can store, authorize, capture, void and refund."""
    cards = [gateway.store(recurring=recurring)["credit_card_id"] for recurring in (False, True)]
    purchases = [gateway.authorize(card)["checkout_id"] for card in cards]
    for checkout_id in purchases:
        assert "error" not in gateway.capture(checkout_id)
    void = (
        f'{{"checkout_id":"{gateway.authorize(cards[0])["checkout_id"]}","cancel_reason":"Void"}}'
    )

    voided = gateway.commit("/checkout/cancel", void)[1]
    again = gateway.commit("/checkout/cancel", void)[1]
    part, whole = [
        gateway.commit(
            "/checkout/refund",
            f'{{"checkout_id":"{checkout_id}",{amount}"refund_reason":"Refund"}}',
        )[1]
        for checkout_id, amount in zip(purchases, ('"amount":"5.00",', ""), strict=True)
    ]

    assert (voided["state"], part["state"], whole["state"]) == ("cancelled", "captured", "refunded")
    assert again == {
        "error": "invalid_request",
        "error_description": "this checkout has already been cancelled",
        "error_code": 4004,
    }


def test_failures_of_the_gateway(gateway: ActiveMerchant) -> None:
    """The failures that were recorded are answered in the same words."""
    card = gateway.store()["credit_card_id"]
    checkout_id = gateway.authorize(card)["checkout_id"]
    gateway.capture(checkout_id)

    bad_card = gateway.store("5496198584584768")
    no_reason = gateway.commit("/checkout/refund", f'{{"checkout_id":"{checkout_id}"}}')[1]
    captured_twice = gateway.capture(checkout_id)

    assert bad_card == {
        "error": "invalid_request",
        "error_description": "Invalid credit card number",
        "error_code": 1003,
    }
    assert no_reason == {
        "error": "invalid_request",
        "error_description": "refund_reason parameter is required",
        "error_code": 1004,
    }
    # The state had another name in the version that was recorded: Reserved.
    assert (captured_twice["error"], captured_twice["error_code"]) == ("invalid_request", 4004)
    assert captured_twice["error_description"].endswith("Currently it is in state captured")
