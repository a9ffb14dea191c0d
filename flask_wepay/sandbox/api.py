"""A request to an API call, from its headers to its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .answers import Refused
from .arguments import Argument, array, mapping, read_arguments, text
from .bodies import read_body
from .calls import CALLS, OTHER_CALLS, Call, Context
from .calls.registry import CREDENTIALS
from .log import call_name
from .objects import Application
from .recurring import charge_due
from .strictness import Strictness
from .world import World

#: The known versions, and the oldest that a new application may use.
#: https://developer.wepay.com/api/general/versioning
API_VERSIONS = (
    "2011-01-15",
    "2014-01-08",
    "2015-08-15",
    "2015-09-09",
    "2015-11-18",
    "2016-03-30",
    "2016-05-18",
    "2016-06-22",
    "2016-07-13",
    "2016-08-10",
    "2016-12-07",
    "2017-02-01",
    "2017-05-31",
    "2018-03-21",
    "2018-08-29",
    "2018-10-03",
    "2019-04-03",
)
OLDEST_AVAILABLE = "2014-01-08"

#: The most calls of one batch.
MAX_BATCH = 50

#: The arguments of /batch/create beside the credentials, and those of its members.
BATCH = (Argument("calls", array, required=True),)
_BATCH_MEMBER = (
    Argument("call", text(255), required=True),
    Argument("authorization", text(255)),
    Argument("reference_id", text(255)),
    Argument("parameters", mapping),
)


@dataclass(frozen=True)
class APIRequest:
    """An HTTP request to ``/v2/<call>``, with header names in lower case."""

    call: str
    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    #: The sandbox's own address, without a slash at the end.
    base_url: str

    @property
    def api_version(self) -> str | None:
        """Return the requested version; an empty header requests none."""
        return self.headers.get("api-version") or None


@dataclass(frozen=True)
class APIAnswer:
    """The answer to a request."""

    status: int
    #: The answer before it is encoded as JSON.
    body: object
    #: What the log notes about the request.
    notes: list[str]


def answer(world: World, request: APIRequest) -> APIAnswer:
    """Execute a request."""
    strictness = Strictness(world.strict)
    charge_due(world)
    try:
        return APIAnswer(200, _run(world, request, strictness), strictness.objections)
    except Refused as refusal:
        application = _application_of(world, request)
        notes = [f"{refusal.error_code}: {refusal.description}", *strictness.objections]
        if refusal.error_code == 1001 and call_name(request.call) in OTHER_CALLS:
            notes.append("WePay has this call, the sandbox does not")
        body = refusal.body(_version_of(request, application))
        return APIAnswer(refusal.status, body, notes)


def _version_of(request: APIRequest, application: Application | None) -> str:
    asked = request.api_version
    if asked in API_VERSIONS:
        return str(asked)
    return application.api_version if application else API_VERSIONS[-1]


def _application_of(world: World, request: APIRequest) -> Application | None:
    """Find the request's application by its token, even if revoked, or by its client_id."""
    token = world.tokens.get(request.headers.get("authorization", "").partition(" ")[2])
    if token is not None:
        return world.applications.get(token.client_id)
    try:
        client_id = str(read_body(request.headers, request.body, Strictness(False))["client_id"])
    except (KeyError, Refused):
        return None
    # It may be any JSON value, such as a list.
    found = re.fullmatch("[0-9]{1,19}", client_id)
    return world.applications.get(int(client_id)) if found else None


def _run(world: World, request: APIRequest, strictness: Strictness) -> object:
    if not request.headers.get("user-agent", "").strip():
        raise Refused(1002, "a User-Agent header is required")
    if request.method != "POST":
        problem = "API calls are made with POST"
        if request.method != "GET":
            raise Refused(1003, problem, status=405)
        strictness.object_to(problem, status=405)
    name = call_name(request.call)
    if name != "batch/create" and name not in CALLS:
        raise Refused(1001)
    if name != request.call:
        strictness.object_to(f"the call is {name}, not {request.call}", 1001, status=501)
    if request.query:
        raise Refused(1003, "parameters go in the JSON body, never in the URI")
    if "api-version" in request.headers and not request.api_version:
        strictness.object_to("the Api-Version header is empty", 1015)
    # The body of a GET is ignored.
    arguments: dict[str, Any] = {}
    if request.method == "POST":
        arguments = read_body(request.headers, request.body, strictness)
    if name == "batch/create":
        return _batch(world, request, arguments, strictness)
    return _call(world, request, CALLS[name], arguments, strictness)


def _call(
    world: World,
    request: APIRequest,
    called: Call,
    arguments: dict[str, Any],
    strictness: Strictness,
) -> object:
    if not called.permission or (called.credentials and "authorization" not in request.headers):
        context = _as_application(world, request, arguments, called.credentials, strictness)
    else:
        context = _as_user(world, request, _bearer(request.headers, strictness), strictness)
    world.count_call(context.application.client_id)
    _check_version(context, request)
    if context.authorized:
        _check_permission(context, called)
    return called.run(context, arguments)


def _as_application(
    world: World,
    request: APIRequest,
    arguments: Mapping[str, Any],
    wanted: tuple[Argument, ...],
    strictness: Strictness,
) -> Context:
    # Only the credentials: the call itself checks the rest, and objects to what it sees.
    quietly = Strictness(strictness.strict)
    sent = {argument.name: arguments.get(argument.name) for argument in wanted}
    credentials = read_arguments(sent, wanted, quietly)
    application = world.application(credentials["client_id"], credentials.get("client_secret"))
    version = _version_of(request, application)
    return Context(world, application, request.base_url, version, strictness)


def _as_user(
    world: World, request: APIRequest, access_token: str, strictness: Strictness
) -> Context:
    token = world.authenticate(access_token)
    application = world.application(token.client_id)
    version = _version_of(request, application)
    return Context(world, application, request.base_url, version, strictness, token)


def _bearer(headers: Mapping[str, str], strictness: Strictness) -> str:
    scheme, _, access_token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer:":
        strictness.object_to("the scheme is Bearer, without a colon", 1002, status=401)
    elif scheme.lower() != "bearer":
        raise Refused(1002)
    if not access_token or access_token != access_token.strip():
        raise Refused(1002)
    return access_token


def _check_version(context: Context, request: APIRequest) -> None:
    version = request.api_version
    if version is None:
        return
    if version not in API_VERSIONS:
        raise Refused(1015)
    if not OLDEST_AVAILABLE <= version <= context.application.api_version:
        raise Refused(1016)


def _check_permission(context: Context, called: Call) -> None:
    # A deleted user is 7003 everywhere, unless /user is to show the state instead.
    if context.user.state == "deleted" and not (
        called.name == "user" and context.world.shows_deleted_users
    ):
        raise Refused(7003)
    if called.permission not in context.token.scope:
        raise Refused(1010, f"this access_token lacks the permission {called.permission}")


def _batch(
    world: World, request: APIRequest, arguments: dict[str, Any], strictness: Strictness
) -> object:
    context = _as_application(world, request, arguments, CREDENTIALS, strictness)
    world.count_call(context.application.client_id)
    _check_version(context, request)
    calls = read_arguments(arguments, (*CREDENTIALS, *BATCH), strictness)["calls"]
    if not 0 < len(calls) <= MAX_BATCH:
        raise Refused(1003, f"calls parameter must have 1 to {MAX_BATCH} calls")
    return {"calls": [_member(context, request, member) for member in calls]}


def _member(context: Context, request: APIRequest, member: Any) -> object:
    if not isinstance(member, dict):
        raise Refused(1003, "calls parameter must be an array of objects")
    given = read_arguments(member, _BATCH_MEMBER, context.strictness)
    try:
        response = _run_member(context, request, given)
    except Refused as refusal:
        response = refusal.body(context.api_version)
    shown = {"call": given["call"], "response": response}
    if "reference_id" in given:
        shown["reference_id"] = given["reference_id"]
    return shown


def _run_member(context: Context, request: APIRequest, member: dict[str, Any]) -> object:
    called = CALLS.get(call_name(member["call"]))
    if called is None:
        raise Refused(1001)
    parameters = member.get("parameters", {})
    world, strictness = context.world, context.strictness
    if not called.permission or (called.credentials and "authorization" not in member):
        acting = _as_application(world, request, parameters, called.credentials, strictness)
    elif "authorization" not in member:
        raise Refused(1002)
    else:
        acting = _as_user(world, request, member["authorization"], strictness)
    if acting.application is not context.application:
        raise Refused(1010, "this access_token is another application's")
    if acting.authorized:
        _check_permission(acting, called)
    return called.run(acting, parameters)
