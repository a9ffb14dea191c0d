"""The page on which a user allows an application to act for them, or denies it."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from .addresses import add_to_query
from .calls.oauth2 import COUNTRIES, AuthorizeRequest, read_authorize_request
from .objects import User
from .running import current_sandbox, note_problems

routes = Blueprint("authorize", __name__)

#: The description of a denial. Its error is known, this text is a guess.
DENIAL = {"error": "access_denied", "error_description": "The user denied your request."}

#: The text for each permission.
PERMISSIONS = {
    "manage_accounts": "Open and manage payment accounts",
    "collect_payments": "Collect payments for you",
    "view_user": "See your name and email address",
    "preapprove_payments": "Charge payers who agreed to it in advance",
    "send_money": "Send money from your accounts",
}


@routes.get("/v2/oauth2/authorize")
def authorize() -> tuple[str, int] | str:
    """Ask the user for consent; an invalid request is shown to them, without a redirect."""
    asked = _asked()
    return _refusal(asked) if asked.problems else _page(asked)


@routes.post("/v2/oauth2/authorize")
def decide() -> tuple[str, int] | Response:
    """Go back to the application with a code, or with a denial."""
    asked = _asked()
    if asked.problems:
        return _refusal(asked)
    if request.form.get("decision") != "allow":
        note_problems("the user denied")
        keep_state = current_sandbox().state_on_denial
        return redirect(_back(asked, DENIAL, keep_state=keep_state))
    try:
        user = _chosen_user()
    except ValueError as error:
        return _page(asked, str(error)), 422
    assert asked.application is not None
    code = current_sandbox().world.issue_code(
        asked.application.client_id, user.user_id, asked.redirect_uri
    )
    return redirect(_back(asked, {"code": code.code}))


def _asked() -> AuthorizeRequest:
    query = parse_qsl(request.query_string.decode(), keep_blank_values=True)
    asked = read_authorize_request(current_sandbox().world, query)
    note_problems(*asked.problems, *asked.objections)
    return asked


def _refusal(asked: AuthorizeRequest) -> tuple[str, int]:
    return render_template("authorize_error.html", asked=asked), 400


def _page(asked: AuthorizeRequest, problem: str = "") -> str:
    world = current_sandbox().world
    users = [user for user in list(world.users.values()) if user.state != "deleted"]
    known = world.user_by_email(asked.user_email) if asked.user_email else None
    by_default = (
        str((known or users[0]).user_id) if known or (users and not _prefilled(asked)) else "new"
    )
    return render_template(
        "authorize.html",
        asked=asked,
        users=users,
        chosen=request.form.get("user", by_default),
        problem=problem,
        permissions=PERMISSIONS,
        host=urlsplit(asked.redirect_uri).netloc,
    )


def _prefilled(asked: AuthorizeRequest) -> bool:
    return bool(asked.user_email or asked.user_name)


def _chosen_user() -> User:
    world = current_sandbox().world
    chosen = request.form.get("user", "new")
    email = request.form.get("email", "").strip()
    country = request.form.get("country", "US")
    with world.lock:
        if chosen != "new":
            user = world.users.get(int(chosen)) if chosen.isdecimal() else None
            if user is None or user.state == "deleted":
                raise ValueError("Choose one of the users.")
            return user
        if "@" not in email or country not in COUNTRIES:
            raise ValueError("Enter an email address and choose a country.")
        name = request.form.get("name", "").strip()
        return world.user_by_email(email) or world.add_user(email, name, country=country)


def _back(asked: AuthorizeRequest, fields: dict[str, str], *, keep_state: bool = True) -> str:
    if asked.state is not None and keep_state:
        fields = {**fields, "state": asked.state}
    return add_to_query(asked.redirect_uri, fields)
