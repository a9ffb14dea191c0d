"""The sandbox's web application: the API, the pages, the control panel."""

from __future__ import annotations

from decimal import Decimal

from flask import Blueprint, Flask, Response, jsonify, render_template, request
from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from . import (
    api,
    authorize_page,
    control,
    merchant_pages,
    panel,
    payer_pages,
    user_pages,
)
from .levers import Levers
from .running import current_sandbox, note_problems

api_routes = Blueprint("api", __name__)


def make_app(sandbox: Levers) -> Flask:
    """Return the Flask application of a world and its controls."""
    app = Flask(__name__.rpartition(".")[0], static_folder="static", template_folder="templates")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["wepay_sandbox"] = sandbox
    app.after_request(_refuse_frames)
    app.register_error_handler(HTTPException, _show_problem)
    # Public code calls /v2//user, and WePay answers.
    app.url_map.merge_slashes = False
    app.url_map.converters["any_path"] = _Any
    app.template_filter("money")(show_money)
    for pages in (authorize_page, user_pages, payer_pages, merchant_pages, panel, control):
        app.register_blueprint(pages.routes)
    app.register_blueprint(api_routes)
    return app


def show_money(amount: Decimal, currency: str) -> str:
    """Format an amount for a payer: $20.50, CA$20.50."""
    symbol = {"USD": "$", "CAD": "CA$", "GBP": "£"}.get(currency, f"{currency} ")
    return f"{symbol}{amount:,.2f}"


def _refuse_frames(response: Response) -> Response:
    # Against clickjacking: no other site may embed the "Allow" button.
    response.headers["X-Frame-Options"] = "DENY"
    return response


def _show_problem(error: HTTPException) -> tuple[str, int]:
    return render_template("problem.html", error=error), error.code or 500


class _Any(BaseConverter):
    """The rest of a path, with leading and trailing slashes."""

    regex = ".*?"
    part_isolating = False


@api_routes.route("/v2/<any_path:call>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def api_call(call: str) -> tuple[Response, int]:
    """Answer an API call."""
    answer = api.answer(
        current_sandbox().world,
        api.APIRequest(
            call=call,
            method=request.method,
            query=request.query_string.decode("latin-1"),
            headers={name.lower(): text for name, text in EnvironHeaders(request.environ)},
            body=request.get_data(),
            base_url=request.host_url.rstrip("/"),
        ),
    )
    note_problems(*answer.notes)
    return jsonify(answer.body), answer.status
