"""The initial contents of a world, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, get_type_hints

from .objects import Account, Application, Checkout, User
from .signatures import check_fit
from .switches import set_switches
from .world import CLIENT_ID, World


class Seed:
    """The initial applications, users, tokens, accounts, checkouts and switches of a world.

    ``World(start=Seed({"users": [...]}))`` has them after each reset too.

    :param contents: lists of ``applications``, ``users``, ``tokens``, ``accounts`` and
        ``checkouts``, and a mapping of ``switches``; each is optional.

    .. versionadded:: 1.0
    """

    def __init__(self, contents: Mapping[str, Any]) -> None:
        self._contents = contents

    def __call__(self, world: World) -> None:
        """Add everything to a world.

        :raises ValueError: if an entry is invalid; the message tells which.
        """
        for place, add, details in self._entries():
            try:
                check_fit(add, dict(details))
                add(world, **details)
            except (LookupError, TypeError, ValueError) as error:
                raise ValueError(f"{place}: {error}") from error

    def _entries(self) -> Iterator[tuple[str, Callable[..., None], Any]]:
        contents = self._contents
        if not isinstance(contents, Mapping) or contents.keys() - {"switches", *KINDS}:
            raise ValueError(f"There are switches, {', '.join(KINDS)}, and nothing else.")
        yield "switches", _set_switches, contents.get("switches", {})
        for kind, add in KINDS.items():
            entries = contents.get(kind, [])
            if not isinstance(entries, list):
                raise ValueError(f"{kind}: it must be an array.")
            for number, entry in enumerate(entries):
                yield f"{kind}[{number}]", add, entry


def _set_switches(world: World, **switches: Any) -> None:
    set_switches(world, switches)


def _add_application(world: World, **details: Any) -> None:
    world.add_application(**_read(Application, details))


def _add_user(world: World, **details: Any) -> None:
    check_fit(world.add_user, details)
    world.add_user(**details)


def _add_token(
    world: World,
    user: str,
    client_id: int = CLIENT_ID,
    access_token: str | None = None,
    callback_uri: str | None = None,
) -> None:
    world.issue_token(
        _application(world, client_id).client_id,
        _user(world, user).user_id,
        access_token=access_token,
        callback_uri=callback_uri,
    )


def _add_account(
    world: World,
    user: str,
    client_id: int = CLIENT_ID,
    account_id: int | None = None,
    **details: Any,
) -> None:
    if account_id in world.ledger.accounts:
        raise ValueError(f"there is an account {account_id} already.")
    account = Account(
        world.take_id(account_id),
        _application(world, client_id).client_id,
        _user(world, user).user_id,
        **_read(Account, {"create_time": int(world.clock()), **details}),
    )
    world.ledger.accounts[account.account_id] = account


def _add_checkout(
    world: World, account_id: int, checkout_id: int | None = None, **details: Any
) -> None:
    if account_id not in world.ledger.accounts:
        raise LookupError(f"there is no account {account_id!r}.")
    if checkout_id in world.ledger.checkouts:
        raise ValueError(f"there is a checkout {checkout_id} already.")
    checkout = Checkout(
        world.take_id(checkout_id),
        world.ledger.accounts[account_id].client_id,
        account_id,
        **_read(Checkout, {"create_time": int(world.clock()), **details}),
    )
    world.ledger.checkouts[checkout.checkout_id] = checkout


#: The kinds of entries in the order in which they are added: each may name earlier ones.
KINDS: dict[str, Callable[..., None]] = {
    "applications": _add_application,
    "users": _add_user,
    "tokens": _add_token,
    "accounts": _add_account,
    "checkouts": _add_checkout,
}


def _read(kind: type[Any], details: dict[str, Any]) -> dict[str, Any]:
    check_fit(kind, details)
    hints = get_type_hints(kind)
    return {
        name: Decimal(str(value)) if hints.get(name) is Decimal else value
        for name, value in details.items()
    }


def _application(world: World, client_id: int) -> Application:
    if client_id not in world.applications:
        raise LookupError(f"there is no application {client_id!r}.")
    return world.applications[client_id]


def _user(world: World, email: str) -> User:
    user = world.user_by_email(email) if isinstance(email, str) else None
    if user is None:
        raise LookupError(f"there is no user {email!r}.")
    return user
