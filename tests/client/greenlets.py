"""Call from many greenlets at once: see test_connections."""

# ruff: noqa: E402, T201
from gevent import monkey

monkey.patch_all()

import sys

import gevent
from flask import Flask

from flask_wepay import WePay

GREENLETS, CALLS = 50, 10

app = Flask(__name__)
app.config.update(
    SECRET_KEY="a secret key for tests only",
    WEPAY_ENVIRONMENT="sandbox",
    WEPAY_SANDBOX_URL=sys.argv[1],
    WEPAY_THROTTLE=None,
)
wepay = WePay(app)
wepay.owner_loader(lambda: None)
wepay.token_setter(lambda owner, token: None)
wepay.token_getter(
    lambda owner: {"access_token": f"STAGE_{owner}", "user_id": 1, "token_type": "BEARER"}
)


def call_as(owner: str) -> str:
    with app.app_context():
        client = wepay.client_for(owner)
        answers = [client.call("user")["token"] for _ in range(CALLS)]
    return "own" if answers == [f"Bearer STAGE_{owner}"] * CALLS else "foreign"


jobs = [gevent.spawn(call_as, f"user{number}") for number in range(GREENLETS)]
gevent.joinall(jobs, raise_error=True)
print(*(job.value for job in jobs))
