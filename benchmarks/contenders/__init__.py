"""The same application in several ways; each module has a `make_app`.

All keep a session cookie. All but the floor share `platform`: Flask-Login and
Flask-SQLAlchemy with their defaults. Each measured view has a bare one beside it, which is
the view without its OAuth part, and whose time is taken off: "/bare-redirect" of a login or a
callback, where a module does not name another one in `BARE_LOGIN`, and "/bare" of the others.
`bare_session` and `authlib_kept` take part in the benchmark of calls only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

CLIENT_ID, CLIENT_SECRET = 12345, "1a2b3c4d5e6f"
SCOPES = ("manage_accounts", "collect_payments", "view_user", "preapprove_payments", "send_money")
SECRET_KEY = "a secret key for benchmarks only"
#: Calls that the view "calls" makes in one request.
CALLS = 5


@dataclass(frozen=True)
class Setup:
    """What a contender is given."""

    #: Of the provider, without a slash at its end.
    provider: str
    #: A SQLAlchemy URL; the floor reads the path of a SQLite one.
    database: str
    #: Path of the certificates to trust.
    bundle: str
    #: Further settings of Flask-WePay.
    config: dict[str, Any]

    def trust(self) -> None:
        """Let requests, and so Authlib and Flask-Dance, trust the certificates, in this process."""
        os.environ["REQUESTS_CA_BUNDLE"] = self.bundle
