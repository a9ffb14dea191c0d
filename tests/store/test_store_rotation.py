"""Changing the keys under a running application."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from cryptography.fernet import Fernet
from store.owners import BILL, Platform

from flask_wepay.errors import TokenUnreadable

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def with_keys(make_app: Any, database: dict[str, Any], wepay_sandbox: Any) -> Any:
    """Make the platform anew with these keys, on the same database."""
    return lambda *keys: Platform(
        make_app(**database, WEPAY_TOKEN_KEYS=list(keys), WEPAY_THROTTLE=None), wepay_sandbox
    )


def connect_all(platform: Platform, number: int) -> list[str]:
    owners = [f"owner{n}" for n in range(number)]
    for owner in owners:
        platform.sandbox.make_user(f"{owner}@example.com")
        platform.connect(owner, f"{owner}@example.com")
    return owners


def rotate(platform: Platform, batch_size: int = 500) -> list[tuple[int, int]]:
    with platform.app.app_context():
        return [tuple(progress) for progress in platform.store.maintenance.rotate(batch_size)]


def test_rotation(with_keys: Any) -> None:
    """After a rotation the old key is needed no more."""
    owners = connect_all(with_keys(OLD), 5)

    assert rotate(with_keys(NEW, OLD), 2) == [(2, 0), (4, 0), (5, 0)]

    platform = with_keys(NEW)
    assert [platform.use(owner) for owner in owners] == [f"{o}@example.com" for o in owners]
    assert with_keys(OLD).use(owners[0]) is TokenUnreadable


def test_keys_of_ones_own(with_keys: Any, make_app: Any, database: Any) -> None:
    """A platform that gets keys of its own goes on, and depends on them alone once rotated."""
    derived = make_app(**database, WEPAY_THROTTLE=None)
    platform = with_keys(NEW)
    owners = connect_all(Platform(derived, platform.sandbox), 2)
    emails = [f"{owner}@example.com" for owner in owners]
    assert [platform.use(owner) for owner in owners] == emails

    assert rotate(platform) == [(2, 0)]

    other = make_app(**database, SECRET_KEY="another", WEPAY_TOKEN_KEYS=[NEW], WEPAY_THROTTLE=None)
    assert [Platform(other, platform.sandbox).use(owner) for owner in owners] == emails


def test_interrupted_rotation(with_keys: Any) -> None:
    """A rotation that was interrupted has lost nothing, and the next one ends the work."""
    owners = connect_all(with_keys(OLD), 3)
    platform = with_keys(NEW, OLD)
    with platform.app.app_context():
        rotation = platform.store.maintenance.rotate(1)
        next(rotation)
        rotation.close()
    assert [platform.use(owner) for owner in owners] == [f"{o}@example.com" for o in owners]

    assert rotate(platform) == [(3, 0)]

    assert [with_keys(NEW).use(owner) for owner in owners] == [f"{o}@example.com" for o in owners]


def test_rotation_leaves_what_no_key_opens(with_keys: Any) -> None:
    """A row that no key opens is counted, and stays as it is."""
    owners = connect_all(with_keys(OLD), 2)
    platform = with_keys(NEW)
    platform.connect("another", BILL)
    before = {row.owner: row.token for row in platform.rows()}

    assert rotate(platform) == [(1, 2)]
    assert rotate(platform, 1) == [(0, 1), (0, 2), (1, 2)]

    after = {row.owner: row.token for row in platform.rows()}
    assert [after[owner] for owner in owners] == [before[owner] for owner in owners]
    assert after["another"] != before["another"]


def test_rotation_meets_a_row_that_has_ended(with_keys: Any) -> None:
    """A row that ends while it is being rotated stays without its token."""
    platform = with_keys(NEW)
    platform.connect("alice")
    with platform.app.app_context():
        maintenance = platform.store.maintenance
        seal = maintenance._keyring.rotate

        class Keyring:
            """Let the owner disconnect between the reading and the writing."""

            def rotate(self, ciphertext: str) -> str:
                platform.store.disconnect("alice")
                return seal(ciphertext)

        maintenance._keyring = Keyring()
        list(maintenance.rotate())

    assert [(row.token, row.reason) for row in platform.rows()] == [(None, "disconnected")]


@pytest.mark.usefixtures("patient")
def test_rotation_under_load(with_keys: Any) -> None:
    """Rotating again and again while owners connect loses nobody."""
    owners = connect_all(with_keys(OLD), 4)
    platform = with_keys(NEW, OLD)
    done = Event()

    def keep_rotating() -> int:
        times = 0
        while not done.is_set():
            assert all(unreadable == 0 for _, unreadable in rotate(platform, 3))
            times += 1
        return times

    def keep_connecting(owner: str) -> None:
        for _ in range(3):
            assert platform.connect(owner, f"{owner}@example.com").location == "/"
            assert platform.use(owner) == f"{owner}@example.com"

    with ThreadPoolExecutor() as pool:
        rotations = pool.submit(keep_rotating)
        try:
            list(pool.map(keep_connecting, owners))
        finally:
            done.set()

    assert rotations.result() > 0
    rotate(platform)
    assert [with_keys(NEW).use(owner) for owner in owners] == [f"{o}@example.com" for o in owners]
