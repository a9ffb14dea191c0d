"""The /app calls.

See https://developer.wepay.com/api/api-calls/app.
"""

from __future__ import annotations

from typing import Any

from ..arguments import Argument, mapping, texts
from .registry import Context, call


@call("app")
def show_app(context: Context, arguments: dict[str, Any]) -> object:
    """Show the application whose credentials were given."""
    application = context.application
    answer: dict[str, object] = {
        "client_id": application.client_id,
        "status": application.status,
        "state": application.state,
        "api_version": application.api_version,
    }
    if application.theme_object is not None:
        answer["theme_object"] = application.theme_object
    if application.gaq_domains:
        answer["gaq_domains"] = application.gaq_domains
    return answer


@call("app/modify", Argument("theme_object", mapping), Argument("gaq_domains", texts))
def modify_app(context: Context, arguments: dict[str, Any]) -> object:
    """Change how the application looks and is measured."""
    application = context.application
    application.theme_object = arguments.get("theme_object", application.theme_object)
    application.gaq_domains = arguments.get("gaq_domains", application.gaq_domains)
    return show_app(context, arguments)
