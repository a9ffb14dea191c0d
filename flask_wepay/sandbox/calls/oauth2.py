"""The token call and the checks of the authorize page.

https://developer.wepay.com/api/api-calls/oauth2
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..answers import Refused
from ..arguments import Argument, redirect_uri_problem, text, uri
from ..objects import SCOPES, Application, Token
from ..strictness import Strictness
from ..world import World
from .context import Context
from .registry import call
from .shapes import ABSENT, Shape

AUTHORIZE_ARGUMENTS = frozenset(
    {
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "user_name",
        "user_email",
        "user_country",
    }
)
COUNTRIES = ("US", "CA")


@dataclass
class AuthorizeRequest:
    """The query of the authorize page."""

    application: Application | None = None
    redirect_uri: str = ""
    state: str | None = None
    user_name: str = ""
    user_email: str = ""
    user_country: str = "US"
    #: What is wrong with it; if there is anything, the browser isn't redirected.
    problems: list[str] = field(default_factory=list)
    #: What a strict sandbox would have found wrong.
    objections: list[str] = field(default_factory=list)


def read_authorize_request(world: World, query: Sequence[tuple[str, str]]) -> AuthorizeRequest:
    """Check the arguments of ``/oauth2/authorize`` against the specification."""
    strictness = Strictness(world.strict)
    arguments = dict(query)
    problems: list[str] = []
    if not world.strict:
        # WePay's PHP SDK always sends state, user_name and user_email.
        arguments = {name: value for name, value in arguments.items() if value}
    request = AuthorizeRequest(
        redirect_uri=arguments.get("redirect_uri", ""),
        state=arguments.get("state"),
        user_name=arguments.get("user_name", ""),
        user_email=arguments.get("user_email", ""),
        user_country=arguments.get("user_country", "US"),
        problems=problems,
        objections=strictness.objections,
    )
    objections = [f"{name} is not an argument" for name in arguments.keys() - AUTHORIZE_ARGUMENTS]
    if len(dict(query)) != len(query):
        problems.append("an argument was given twice")
    required = ("client_id", "redirect_uri", "scope")
    problems += [f"{name} parameter is required" for name in required if not arguments.get(name)]
    request.application = _application(world, arguments.get("client_id", ""), problems)
    if request.application and request.redirect_uri:
        problem = redirect_uri_problem(request.redirect_uri, request.application)
        if problem:
            problems.append(f"redirect_uri {problem}")
    if arguments.get("scope"):
        objections += scope_problems(arguments["scope"])
    if request.user_country not in COUNTRIES:
        problems.append("user_country must be US or CA")
    problems += [problem for problem in objections if not strictness.passes_over(problem)]
    return request


def _application(world: World, client_id: str, problems: list[str]) -> Application | None:
    if not client_id:
        return None
    if not (client_id.isascii() and client_id.isdigit() and len(client_id) < 20):
        problems.append("client_id must be an integer")
        return None
    try:
        return world.application(int(client_id))
    except Refused as refusal:
        problems.append(refusal.description)
        return None


def scope_problems(scope: str) -> list[str]:
    """Require all permissions, separated by commas only."""
    if any(character.isspace() for character in scope):
        return ["scope is separated by commas, not by spaces"]
    given = scope.split(",")
    problems = [f"scope has an unknown permission: {name}" for name in {*given} - {*SCOPES}]
    problems += [f"scope lacks {name}" for name in SCOPES if name not in given]
    if len(given) != len(set(given)):
        problems.append("scope names a permission twice")
    return problems


def _expires_in(context: Context, token: Token) -> object:
    return ABSENT if context.world.expires_in == "absent" else token.expires_in


TOKEN = Shape(
    "token",
    "user_id",
    "access_token",
    token_type=lambda context, token: "BEARER",
    expires_in=_expires_in,
)


@call(
    "oauth2/token",
    Argument("redirect_uri", uri, required=True),
    Argument("code", text(255), required=True),
    Argument("callback_uri", uri),
    answer=TOKEN,
    errors=(1012, 1013),
)
def exchange_code(context: Context, arguments: dict[str, Any]) -> Token:
    """Exchange a code for an access token."""
    return context.world.exchange(
        context.application.client_id,
        arguments["code"],
        arguments["redirect_uri"],
        arguments.get("callback_uri"),
    )
