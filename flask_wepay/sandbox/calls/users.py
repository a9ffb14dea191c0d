"""The /user calls.

See https://developer.wepay.com/api/api-calls/user.
"""

from __future__ import annotations

from typing import Any

from ..answers import Refused
from ..arguments import MAX_URI, Argument, integer, text, uri
from .oauth2 import scope_problems, token_answer
from .registry import Context, call


@call("user", permission="view_user")
def show_user(context: Context, arguments: dict[str, Any]) -> object:
    """Show the user whom the access token stands for."""
    user = context.user
    return {
        "user_id": user.user_id,
        "user_name": user.user_name,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "state": user.state,
        # An empty string where there is none, as seen in real answers.
        "callback_uri": context.token.callback_uri or "",
    }


@call("user/modify", Argument("callback_uri", text(MAX_URI)), permission="view_user")
def modify_user(context: Context, arguments: dict[str, Any]) -> object:
    """Change where IPNs about this user go."""
    if "callback_uri" in arguments:
        context.token.callback_uri = arguments["callback_uri"]
    return show_user(context, arguments)


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
    Argument("callback_uri", text(MAX_URI)),
)
def register_user(context: Context, arguments: dict[str, Any]) -> object:
    """Register somebody who has yet to confirm it, and give a token for them."""
    for problem in scope_problems(arguments["scope"]):
        raise Refused(1003, problem, error="invalid_scope")
    world = context.world
    if world.user_by_email(arguments["email"]):
        raise Refused(7002, "there is a user with this email already")
    name = f"{arguments['first_name']} {arguments['last_name']}"
    user = world.add_user(arguments["email"], name, state="pending")
    user.first_name, user.last_name = arguments["first_name"], arguments["last_name"]
    client_id = context.application.client_id
    callback_uri = arguments.get("callback_uri")
    return token_answer(
        world, world.issue_token(client_id, user.user_id, callback_uri=callback_uri)
    )


@call("user/send_confirmation", Argument("email_message", text(65535)), permission="view_user")
def send_confirmation(context: Context, arguments: dict[str, Any]) -> object:
    """Pretend to mail a pending user the link that confirms the registration."""
    if context.user.state != "pending":
        raise Refused(7002, "the user has confirmed the registration already")
    return show_user(context, arguments)
