"""A request to an API call, from its headers to its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .answers import Refused
from .arguments import Argument, array, check_arguments, mapping, text
from .calls import CALLS, Call, Context
from .calls.registry import CREDENTIALS
from .objects import Application
from .world import World

#: The versions that are known, and the first that an application made today may use.
#: https://developer.wepay.com/api/general/versioning
API_VERSIONS = (
    "2011-01-15",
    "2014-01-08",
    "2015-11-18",
    "2016-05-18",
    "2016-06-22",
    "2016-08-10",
    "2018-08-29",
    "2019-04-03",
)
OLDEST_AVAILABLE = "2014-01-08"

#: The most calls of one batch.
MAX_BATCH = 50

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


def answer(world: World, request: APIRequest) -> tuple[int, object]:
    """Do what is asked and give the HTTP status and the JSON answer."""
    try:
        return 200, _run(world, request)
    except Refused as refusal:
        application = _application_of(world, request)
        return refusal.status, refusal.body(_api_version(request, application))


def _api_version(request: APIRequest, application: Application | None) -> str:
    own = application.api_version if application else API_VERSIONS[-1]
    return request.headers.get("api-version", own)


def _application_of(world: World, request: APIRequest) -> Application | None:
    """Find whose request it is by its token, however dead, or else by its client_id."""
    token = world.tokens.get(request.headers.get("authorization", "").partition(" ")[2])
    if token is not None:
        return world.applications.get(token.client_id)
    try:
        client_id = _arguments(request).get("client_id")
    except Refused:
        return None
    # JSON may have put anything there, a list too.
    return world.applications.get(client_id) if isinstance(client_id, int) else None


def _run(world: World, request: APIRequest) -> object:
    if not request.headers.get("user-agent", "").strip():
        raise Refused(1002, "a User-Agent header is required")
    if request.method != "POST":
        raise Refused(1003, "API calls are made with POST", status=405)
    if request.call != "batch/create" and request.call not in CALLS:
        raise Refused(1001)
    if request.query:
        raise Refused(1003, "parameters go in the JSON body, never in the URI")
    arguments = _arguments(request)
    if request.call == "batch/create":
        return _batch(world, request, arguments)
    return _call(world, request, CALLS[request.call], arguments)


def _arguments(request: APIRequest) -> dict[str, Any]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Refused(1005, "the Content-Type must be application/json")
    if not request.body:
        # WePay's own SDKs send nothing at all where a call takes no arguments.
        return {}
    try:
        arguments = json.loads(request.body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(1005) from error
    if not isinstance(arguments, dict):
        raise Refused(1005)
    return arguments


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _call(world: World, request: APIRequest, called: Call, arguments: dict[str, Any]) -> object:
    if called.permission is None:
        return called.run(_as_application(world, request, arguments), arguments)
    context = _as_user(world, request, _bearer(request.headers))
    world.count_call(context.application.client_id)
    _check_permission(context, called)
    return called.run(context, arguments)


def _as_application(world: World, request: APIRequest, arguments: dict[str, Any]) -> Context:
    # Only the credentials: the call itself checks the rest.
    credentials = {name: arguments.get(name) for name in ("client_id", "client_secret")}
    check_arguments(credentials, CREDENTIALS)
    application = world.application(arguments["client_id"], arguments["client_secret"])
    world.count_call(application.client_id)
    context = Context(world, application, request.base_url)
    _check_version(context, request)
    return context


def _as_user(world: World, request: APIRequest, access_token: str) -> Context:
    token = world.authenticate(access_token)
    application = world.application(token.client_id)
    context = Context(world, application, request.base_url, token)
    _check_version(context, request)
    return context


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, access_token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not access_token or access_token != access_token.strip():
        raise Refused(1002)
    return access_token


def _check_version(context: Context, request: APIRequest) -> None:
    version = request.headers.get("api-version")
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


def _batch(world: World, request: APIRequest, arguments: dict[str, Any]) -> object:
    context = _as_application(world, request, arguments)
    check_arguments(arguments, (*CREDENTIALS, Argument("calls", array, required=True)))
    calls = arguments["calls"]
    if not 0 < len(calls) <= MAX_BATCH:
        raise Refused(1003, f"calls parameter must have 1 to {MAX_BATCH} calls")
    return {"calls": [_member(context, request, member) for member in calls]}


def _member(context: Context, request: APIRequest, member: Any) -> object:
    if not isinstance(member, dict):
        raise Refused(1003, "calls parameter must be an array of objects")
    check_arguments(member, _BATCH_MEMBER)
    try:
        response = _run_member(context, request, member)
    except Refused as refusal:
        response = refusal.body(_api_version(request, context.application))
    shown = {"call": member["call"], "response": response}
    if member.get("reference_id") is not None:
        shown["reference_id"] = member["reference_id"]
    return shown


def _run_member(context: Context, request: APIRequest, member: dict[str, Any]) -> object:
    called = CALLS.get(member["call"].strip("/"))
    if called is None:
        raise Refused(1001)
    parameters = member.get("parameters") or {}
    if called.permission is None:
        credentials = {name: parameters.get(name) for name in ("client_id", "client_secret")}
        check_arguments(credentials, CREDENTIALS)
        context.world.application(parameters["client_id"], parameters["client_secret"])
        return called.run(context, parameters)
    if not member.get("authorization"):
        raise Refused(1002)
    acting = _as_user(context.world, request, member["authorization"])
    if acting.application is not context.application:
        raise Refused(1010, "this access_token is another application's")
    _check_permission(acting, called)
    return called.run(acting, parameters)
