"""Whatever is sent to the sandbox is answered as WePay answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asking import BILL, CREDENTIALS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flask_wepay.sandbox import ANSWERS, Sandbox
from flask_wepay.sandbox.calls import CALLS, OTHER_CALLS

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)


#: What any call may be refused with: the errors that are about the request itself, 7003 too.
COMMON = {*range(1001, 1017), 7003}


#: What /checkout/create took before 2015-09-09.
OF_OLD_VERSIONS = ("app_fee", "redirect_uri", "payment_method_id", "payment_method_type")


def arguments_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    known = {argument.name: VALUES for argument in CALLS[name].arguments}
    if name == "checkout/create":
        known |= dict.fromkeys(OF_OLD_VERSIONS, VALUES)
    credentials = {
        argument.name: st.just(CREDENTIALS[argument.name]) for argument in CALLS[name].credentials
    }
    return st.fixed_dictionaries(credentials, optional=known)


@pytest.fixture(scope="module")
def one_sandbox() -> Sandbox:
    """Give the same sandbox for all examples, which begin anew in it."""
    return Sandbox()


@pytest.mark.parametrize("name", CALLS)
@settings(
    deadline=None,
    max_examples=15,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_arguments(one_sandbox: Sandbox, name: str, data: st.DataObject) -> None:
    """A call with any arguments is done, or refused with an error that its declaration has."""
    one_sandbox.reset()
    one_sandbox.world.strict = data.draw(st.booleans())
    version = data.draw(st.sampled_from(["2014-01-08", "2019-04-03"]))
    one_sandbox.world.applications[12345].api_version = version
    token = one_sandbox.issue_token(BILL)
    headers = {"Content-Type": "application/json"}
    if not CALLS[name].credentials or data.draw(st.booleans()):
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps(data.draw(arguments_of(name)))

    client = one_sandbox.app.test_client()
    answer = client.post(f"/v2/{name}", data=body, headers=headers)

    if answer.status_code != 200:
        assert answer.json["error_code"] in {*COMMON, *CALLS[name].errors}
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("name", CALLS)
def test_declaration(name: str) -> None:
    """A call is declared with a sentence, and with errors of the table."""
    called = CALLS[name]

    assert called.summary.endswith(".")
    assert {*called.errors} <= ANSWERS.keys()
    assert called.answer.fields
    assert name not in OTHER_CALLS
