"""The body of a request: JSON, or a form if the sandbox isn't strict."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from .answers import Refused
from .strictness import Strictness

#: WePay's PHP SDK requests tokens with a form; Ruby gems of its time send all calls so.
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def read_body(headers: Mapping[str, str], body: bytes, strictness: Strictness) -> dict[str, Any]:
    """Return the arguments in a body, or refuse it with 1005."""
    content_type, options = parse_options_header(headers.get("content-type"))
    if content_type in FORMS:
        strictness.object_to("the Content-Type must be application/json", 1005)
        return _read_form(content_type, options, body)
    if content_type != "application/json":
        raise Refused(1005, "the Content-Type must be application/json")
    if not body:
        # WePay's own SDKs send an empty body for a call without arguments.
        return {}
    try:
        arguments = json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(1005) from error
    if not isinstance(arguments, dict):
        raise Refused(1005)
    return arguments


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _read_form(content_type: str, options: dict[str, str], body: bytes) -> dict[str, Any]:
    parser = FormDataParser(silent=True)
    _, fields, _ = parser.parse(BytesIO(body), content_type, len(body), options)
    arguments: dict[str, Any] = {}
    for field, value in fields.items():
        # PHP and Ruby write an object's members as fee[app_fee].
        name, *members = re.findall(r"[^\[\]]+", field) or [field]
        inside = arguments
        for member in members:
            within = inside.setdefault(name, {})
            if not isinstance(within, dict):
                raise Refused(1005)
            inside, name = within, member
        inside[name] = value
    return arguments
