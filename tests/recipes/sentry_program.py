"""A site with Sentry, in a process of its own: Sentry's patches stay for as long as it lives."""

from __future__ import annotations

import json
import sys
from typing import Any

import sentry_sdk
from flask import Flask, current_app, redirect
from flask_sqlalchemy import SQLAlchemy
from recipes import sentry
from sentry_sdk.transport import Transport

from flask_wepay import WePay, signals
from flask_wepay.sandbox.server import LiveSandbox
from flask_wepay.sqla import WePayTokenMixin

recorded: list[dict[str, Any]] = []


class Kept(Transport):
    def capture_envelope(self, envelope: Any) -> None:
        recorded.extend(item.payload.json for item in envelope.items if item.payload.json)


def main(redact: str) -> None:
    options: dict[str, Any] = {
        "transport": Kept,
        "traces_sample_rate": 1.0,
        "send_default_pii": True,
        "max_request_body_size": "always",
    }
    if redact == "yes":
        sentry.start("http://a@127.0.0.1:9/1", **options)
    else:
        sentry_sdk.init("http://a@127.0.0.1:9/1", **options)
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="a secret key for tests only",
        WEPAY_ENVIRONMENT="sandbox",
        SQLALCHEMY_DATABASE_URI="sqlite://",
    )
    db = SQLAlchemy(app)
    wepay = WePay(token_model=type("WePayToken", (WePayTokenMixin, db.Model), {}))
    wepay.owner_loader(lambda: "alice")

    def fail(sender: Flask, **facts: Any) -> None:
        raise LookupError("a receiver that fails")

    signals.wepay_authorized.connect(fail, app)

    @app.after_request
    def break_the_callback(response: Any) -> Any:
        if "wepay_breaks" in current_app.config:
            raise RuntimeError("an unhandled error")
        return redirect(response.location) if response.location else response

    with app.app_context():
        db.create_all()
    client = app.test_client()
    secrets: list[str] = []
    with LiveSandbox() as sandbox:
        app.config["WEPAY_SANDBOX_URL"] = sandbox.url
        wepay.init_app(app)
        for breaks in (False, True):
            back = sandbox.authorize(client.get("/wepay/login?force=1").location)
            secrets += [part.partition("=")[2] for part in back.partition("?")[2].split("&")]
            if breaks:
                app.config["wepay_breaks"] = True
            client.get(back)
        client.post("/wepay/ipn?wepay_signature=ASignatureThatIsSecret", data={"user_id": 1})
        secrets.append("ASignatureThatIsSecret")
        token = next(reversed(sandbox.world.tokens))
    sentry_sdk.flush()
    # The sandbox is in this process too, and is no part of the site.
    ours = [e for e in recorded if not e.get("request", {}).get("url", "").startswith(sandbox.url)]
    everything = "\n".join(json.dumps(event, default=str) for event in ours)
    report = {
        "callbacks": everything.count('"transaction": "wepay.callback"'),
        "errors": sum(words in everything for words in ("an unhandled error", "LookupError")),
        "of_the_address": sum(everything.count(secret) for secret in secrets),
        "redacted": everything.count("[redacted]"),
        "others": [s for s in ("1a2b3c4d5e6f", str(token), "a secret key for") if s in everything],
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1])
