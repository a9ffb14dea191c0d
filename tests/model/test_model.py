"""The rules of the token table hold in every order of events, and none can be left out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from model.transitions import (
    IPN,
    REVOKED,
    Actor,
    Callback,
    Disconnect,
    Revocation,
    Row,
    Rules,
    Use,
    Violation,
    World,
    connected,
    explore,
)

A, B = "alice", "bob"
U, V = "U", "V"

SCENARIOS: dict[str, list[Actor]] = {
    "one owner twice": [Callback(A, U, "s1"), Callback(A, U, "s2"), Revocation(U)],
    "one owner three times": [Callback(A, U, "s1"), Callback(A, U, "s2"), Callback(A, U, "s3")],
    "one owner, two WePay users": [Callback(A, U, "s1"), Callback(A, V, "s2"), Revocation(V)],
    "U, V and U": [Callback(A, U, "s1"), Callback(A, V, "s2"), Callback(A, U, "s3")],
    "two owners, one WePay user": [Callback(A, U, "s1"), Callback(B, U, "s2"), Use(A)],
    "three owners' callbacks": [Callback(A, U, "s1"), Callback(B, V, "s2"), Callback(B, U, "s3")],
    "a double click": [Callback(A, U, "s1"), Callback(A, U, "s1"), Callback(A, U, "s1")],
    "calls meanwhile": [Callback(A, U, "s1"), Callback(A, U, "s2"), Use(A), Use(A)],
    "IPNs meanwhile": [Callback(A, U, "s1"), Callback(A, U, "s2"), IPN(U), Revocation(U)],
    "IPN, call and another user": [Callback(A, V, "s1"), Use(A), IPN(U), Revocation(U)],
    "a disconnect": [Callback(A, U, "s1"), Callback(A, U, "s2"), Disconnect(A), Use(A)],
}

BEFORE = {
    "nothing": [],
    "connected": [(A, U)],
    "connected to V": [(A, V)],
    "connected to U, then V": [(A, U), (A, V)],
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_rules_hold(scenario: str, before: str) -> None:
    """No order loses a live token, acts as another user, or leaves what one use does not heal."""
    rules = Rules()

    ends = explore(rules, SCENARIOS[scenario], connected(rules, *BEFORE[before]))

    assert ends > 1


class LastWriteWins(Rules):
    """Keep one row per owner, which the latest answer overwrites."""

    def grant(self, world: World, owner: str, state: str, user: str, token: int) -> World | None:
        granted = super().grant(world, owner, state, user, token)
        if granted is None:
            return None
        for row in self.alive(granted, owner):
            if row.state != state:
                granted = self.end(granted, row.state, "replaced")
        return granted


class MarkOnAnything(Rules):
    """Take 1006, or no answer at all, for the end of a token."""

    def says_dead(self, answer: str) -> bool:
        return answer != "works"


class MarkOnNothing(Rules):
    """Never mark a row."""

    def end(self, world: World, state: str, reason: str) -> World:
        return world if reason == "revoked" else super().end(world, state, reason)


class FallBackToAnyUser(Rules):
    """Use whatever living row the owner has."""

    def others(self, world: World, owner: str, user: str | None) -> tuple[Row, ...]:
        return tuple(sorted(self.alive(world, owner), key=lambda row: -(row.granted_at or 0)))


class NoGuard(Rules):
    """Exchange first, and look for the state's row afterwards."""

    def begin(self, world: World, owner: str, state: str) -> World | None:
        return super().begin(world, owner, state) or world


class NewestOnly(Rules):
    """Give up where the newest row is dead."""

    def others(self, world: World, owner: str, user: str | None) -> tuple[Row, ...]:
        newest = self.newest(world, owner)
        return (newest,) if newest is not None and newest.reason is None else ()


class LivingRowsOnlySayWhose(Rules):
    """Let the newest living row say which WePay user is the owner's."""

    def newest(self, world: World, owner: str) -> Row | None:
        living = replace(world, rows=tuple(self.alive(world, owner)))
        return super().newest(living, owner)


class ReplaceByClock(Rules):
    """End whatever was granted before, whether or not its exchange was answered by then."""

    def begin(self, world: World, owner: str, state: str) -> World | None:
        begun = super().begin(world, owner, state)
        everything = frozenset(f"s{number}" for number in range(9)) - {state}
        row = None if begun is None else begun.row(state)
        if begun is None or row is None:
            return None
        return begun.with_row(replace(row, predecessors=row.predecessors | everything))


class DisconnectLivingOnly(Rules):
    """Let a disconnect end granted rows only."""

    def disconnect(self, world: World, owner: str) -> World:
        for row in self.alive(world, owner):
            world = self.end(world, row.state, "disconnected")
        return world


@pytest.mark.parametrize(
    ("broken", "scenario", "before", "what"),
    [
        (LastWriteWins, "one owner twice", "nothing", "lost a live token"),
        (ReplaceByClock, "one owner twice", "nothing", "lost a live token"),
        (NewestOnly, "one owner twice", "nothing", "lost a live token"),
        (MarkOnAnything, "calls meanwhile", "connected", "lost a live token"),
        (MarkOnAnything, "IPNs meanwhile", "connected", "lost a live token"),
        (MarkOnNothing, "one owner twice", "nothing", "stale"),
        (FallBackToAnyUser, "one owner, two WePay users", "nothing", "another WePay user"),
        (LivingRowsOnlySayWhose, "one owner, two WePay users", "nothing", "another WePay user"),
        (NoGuard, "a double click", "nothing", "exchanged twice"),
    ],
)
def test_every_rule_is_needed(broken: type[Rules], scenario: str, before: str, what: str) -> None:
    """With a rule broken there is an order that breaks a promise."""
    with pytest.raises(Violation, match=what):
        explore(broken(), SCENARIOS[scenario], connected(Rules(), *BEFORE[before]))


def test_disconnect_that_leaves_pending_rows() -> None:
    """If a disconnect left pending rows, a login that began before it would connect again."""
    rules = DisconnectLivingOnly()
    login = Callback(A, U, "s1", crashes=False)
    ((_, world, place),) = login.steps(rules, World(), login.start)
    ((_, world, place),) = login.steps(rules, world, place)
    world = rules.disconnect(world, A)

    assert rules.grant(world, A, "s1", U, place[1]) is not None
    assert Rules().grant(Rules().disconnect(world, A), A, "s1", U, place[1]) is None


def test_model_knows_wepay() -> None:
    """An exchange revokes the user's earlier tokens, and nobody else's."""
    world = World().exchange("s1", U).exchange("s2", V).exchange("s3", U)

    assert world.answer(U, 1) == REVOKED
    assert (world.answer(V, 2), world.answer(U, 3)) == ("works", "works")
