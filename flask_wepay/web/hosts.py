"""Register the routes on every host and subdomain of an application that matches them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, abort, current_app, has_request_context, request
from flask.sansio.app import App
from flask.sansio.blueprints import BlueprintSetupState

__all__ = ["OnEveryHost"]

HOST, SUBDOMAIN = "wepay_host", "wepay_subdomain"


class OnEveryHost(Blueprint):
    """A blueprint whose URLs are on the host of the current request.

    A login starts and ends on the host of the view that needs it, as without host matching.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.url_defaults(_stay)
        self.url_value_preprocessor(_drop)

    def make_setup_state(
        self, app: App, options: dict[str, Any], first_registration: bool = False
    ) -> BlueprintSetupState:
        """Register each rule for every host or subdomain."""
        return _Setup(self, app, options, first_registration)


class _Setup(BlueprintSetupState):
    def add_url_rule(self, rule: str, *args: Any, **options: Any) -> None:
        if self.app.url_map.host_matching:
            super().add_url_rule(rule, *args, host=f"<{HOST}>", **options)
            return
        super().add_url_rule(rule, *args, **options)
        if isinstance(self.app, Flask) and self.app.subdomain_matching:
            super().add_url_rule(rule, *args, subdomain=f"<{SUBDOMAIN}>", **options)


def _stay(endpoint: str, values: dict[str, Any]) -> None:
    """Fill in the current host or subdomain, or that of SERVER_NAME outside a request."""
    server = (current_app.config["SERVER_NAME"] or "").lower()
    host = request.host.lower() if has_request_context() else server
    if current_app.url_map.host_matching:
        values.setdefault(HOST, host)
    elif current_app.subdomain_matching and host.endswith(f".{server}"):
        values.setdefault(SUBDOMAIN, host.removesuffix(f".{server}"))


def _drop(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Remove the value again, because no view takes it."""
    values = values or {}
    values.pop(HOST, None)
    # What Werkzeug calls the subdomain of a host that is not below SERVER_NAME.
    if values.pop(SUBDOMAIN, None) == "<invalid>":
        abort(404)
