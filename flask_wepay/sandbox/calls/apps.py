"""The /app calls.

See https://developer.wepay.com/api/api-calls/app.
"""

from __future__ import annotations

from typing import Any

from ..arguments import Argument, mapping, texts
from ..objects import Application
from .context import Context
from .registry import call
from .shapes import Shape

APP = Shape(
    "app",
    "client_id",
    "status",
    "state",
    "api_version",
    "theme_object",
    optional=("theme_object", "gaq_domains"),
    gaq_domains=lambda context, application: application.gaq_domains or None,
)


@call("app", answer=APP)
def show_app(context: Context, arguments: dict[str, Any]) -> Application:
    """Return the application with these credentials."""
    return context.application


@call(
    "app/modify",
    Argument("theme_object", mapping),
    Argument("gaq_domains", texts),
    answer=APP,
)
def modify_app(context: Context, arguments: dict[str, Any]) -> Application:
    """Change the application's theme and its Google Analytics domains."""
    application = context.application
    application.theme_object = arguments.get("theme_object", application.theme_object)
    application.gaq_domains = arguments.get("gaq_domains", application.gaq_domains)
    return application
