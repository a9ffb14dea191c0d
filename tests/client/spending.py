"""Make calls as fast as a shared budget allows: see test_throttle."""

import sys

from flask import Flask

from flask_wepay import WePay

url, storage, calls = sys.argv[1:]

app = Flask(__name__)
app.config.update(
    SECRET_KEY="a secret key for tests only",
    WEPAY_ENVIRONMENT="sandbox",
    WEPAY_SANDBOX_URL=url,
    WEPAY_THROTTLE="30 per 5 seconds",
    WEPAY_THROTTLE_STORAGE=storage,
)
wepay = WePay(app)
wepay.owner_loader(lambda: None)
wepay.token_setter(lambda owner, token: None)
wepay.token_getter(
    lambda owner: {"access_token": f"STAGE_{owner}", "user_id": 1, "token_type": "BEARER"}
)

with app.app_context():
    client = wepay.client_for("alice")
    for _ in range(int(calls)):
        client.call("account/create", wait=30)
