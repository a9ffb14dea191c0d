"""Warm a pool, fork, and let parent and children call at once: see test_connections."""

import os
import sys

from flask import Flask

from flask_wepay import WePay

CHILDREN, CALLS = 4, 50

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


def call_as(owner: str) -> bool:
    return wepay.client_for(owner).call("user") == {"token": f"Bearer STAGE_{owner}"}


with app.app_context():
    assert call_as("parent")
    parent, children = os.getpid(), []
    while len(children) < CHILDREN and os.getpid() == parent:
        children.append(os.fork())
    me = f"process{os.getpid()}"
    foreign = [number for number in range(CALLS) if not call_as(me)]
    # In one write, so that the processes do not speak at once.
    os.write(1, b"foreign\n" if foreign else b"own\n")
    if os.getpid() == parent:
        for child in children:
            os.waitpid(child, 0)
