"""The pages of users: the settings, where they revoke access."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from .objects import User
from .running import current_sandbox

routes = Blueprint("pages", __name__)


@routes.get("/settings")
def users() -> str:
    """Ask which user's settings to open; the sandbox has no passwords."""
    return render_template("users.html", users=list(current_sandbox().world.users.values()))


@routes.get("/settings/<int:user_id>")
def settings(user_id: int) -> str:
    """Show a user which applications may act for them."""
    world = current_sandbox().world
    user = _user(user_id)
    connections = [
        (world.applications[token.client_id], token) for token in world.living_tokens(user_id)
    ]
    return render_template("settings.html", user=user, connections=connections)


@routes.post("/settings/<int:user_id>/revoke")
def revoke(user_id: int) -> Response:
    """Revoke an application's access."""
    _user(user_id)
    current_sandbox().revoke(user_id, request.form.get("client_id", type=int))
    return redirect(url_for(".settings", user_id=user_id))


def _user(user_id: int) -> User:
    user = current_sandbox().world.users.get(user_id)
    return user or abort(404)
