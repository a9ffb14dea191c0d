"""The /user calls.

See https://developer.wepay.com/api/api-calls/user.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..answers import Refused
from ..arguments import Argument, integer, text, uri
from ..objects import REGISTRATION_LIFETIME, Token, User
from .context import Context
from .oauth2 import TOKEN, scope_problems
from .registry import CALLS, call
from .shown import USER


@call("user", answer=USER, permission="view_user")
def show_user(context: Context, arguments: dict[str, Any]) -> User:
    """Return the access token's user."""
    return context.user


@call("user/modify", Argument("callback_uri", uri), answer=USER, permission="view_user")
def modify_user(context: Context, arguments: dict[str, Any]) -> User:
    """Change the callback_uri of this user."""
    if "callback_uri" in arguments:
        context.token.callback_uri = arguments["callback_uri"]
    return context.user


@call(
    "user/register",
    Argument("email", text(255), required=True),
    Argument("scope", text(255), required=True),
    Argument("first_name", text(127), required=True),
    Argument("last_name", text(127), required=True),
    Argument("original_ip", text(255), required=True),
    Argument("original_device", text(255), required=True),
    Argument("tos_acceptance_time", integer),
    Argument("redirect_uri", uri),
    Argument("callback_uri", uri),
    answer=TOKEN,
    errors=(7002,),
)
def register_user(context: Context, arguments: dict[str, Any]) -> Token:
    """Register a pending user, who must confirm it, and return a token for them."""
    for problem in scope_problems(arguments["scope"]):
        context.strictness.object_to(problem, error="invalid_scope")
    world = context.world
    if world.user_by_email(arguments["email"]):
        raise Refused(7002, "there is a user with this email already")
    name = f"{arguments['first_name']} {arguments['last_name']}"
    user = world.add_user(arguments["email"], name, state="pending")
    user.first_name, user.last_name = arguments["first_name"], arguments["last_name"]
    return world.issue_token(
        context.application.client_id,
        user.user_id,
        callback_uri=arguments.get("callback_uri"),
        lifetime=REGISTRATION_LIFETIME,
    )


@call(
    "user/send_confirmation",
    Argument("email_message", text(65535)),
    answer=USER,
    permission="view_user",
    errors=(7002,),
)
def send_confirmation(context: Context, arguments: dict[str, Any]) -> User:
    """Pretend to e-mail a pending user the link that confirms the registration."""
    if context.user.state != "pending":
        raise Refused(7002)
    return context.user


#: The name of the call in WePay's Java and NodeJS SDKs.
CALLS["user/resend_confirmation"] = replace(
    CALLS["user/send_confirmation"], name="user/resend_confirmation"
)
