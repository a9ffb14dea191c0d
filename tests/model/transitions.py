"""The token table and WePay as a small model, in which everything that can happen is tried.

The transitions are named as the functions of the package are: begin, grant, find, end,
disconnect. What runs beside each other are actors; after each of an actor's steps any other
may go on, and a callback's worker may crash. Every order is followed to its end, where each
owner makes one use, and what that finds is compared with what WePay knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

#: What WePay may answer when a token is used: it works, it was revoked, or there is no telling
#: (a time-out, 1006, 1007, a 5xx).
WORKS, REVOKED, INCONCLUSIVE = "works", "1011", "inconclusive"


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    owner: str
    state: str
    predecessors: frozenset[str] = frozenset()
    user: str | None = None
    token: int | None = None
    granted_at: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class World:
    """The table, WePay, and what the judge has noted."""

    rows: tuple[Row, ...] = ()
    #: WePay's live token of each user.
    live: frozenset[tuple[str, int]] = frozenset()
    issued: int = 0
    clock: int = 0
    #: The states that were exchanged.
    exchanged: tuple[str, ...] = ()
    #: By owner, the users and tokens whose grants succeeded, in that order, since a disconnect.
    saved: tuple[tuple[str, str, int], ...] = ()

    def row(self, state: str) -> Row | None:
        return next((row for row in self.rows if row.state == state), None)

    def with_row(self, new: Row) -> World:
        others = tuple(row for row in self.rows if row.state != new.state)
        return replace(self, rows=(*others, new))

    def answer(self, user: str, token: int) -> str:
        return WORKS if (user, token) in self.live else REVOKED

    # WePay's own doings

    def exchange(self, state: str, user: str) -> World:
        """Issue a token, which revokes the user's earlier ones."""
        token = self.issued + 1
        world = self.revoke(user)
        return replace(
            world,
            live=world.live | {(user, token)},
            issued=token,
            exchanged=(*world.exchanged, state),
        )

    def revoke(self, user: str) -> World:
        return replace(self, live=frozenset(entry for entry in self.live if entry[0] != user))


class Rules:
    """The rules that the package keeps."""

    def begin(self, world: World, owner: str, state: str) -> World | None:
        """Bear the pending row; None if the state has one."""
        if world.row(state) is not None:
            return None
        granted = frozenset(row.state for row in self.alive(world, owner))
        return world.with_row(Row(owner, state, granted))

    def grant(self, world: World, owner: str, state: str, user: str, token: int) -> World | None:
        """Grant the row, and end its predecessors; None if a disconnect ended it."""
        row = world.row(state)
        assert row is not None
        if row.reason is not None:
            return None
        for other in self.alive(world, owner):
            if other.user == user and other.state in row.predecessors:
                world = self.end(world, other.state, "replaced")
        clock = world.clock + 1
        row = replace(row, user=user, token=token, granted_at=clock)
        return replace(world, clock=clock).with_row(row)

    def newest(self, world: World, owner: str) -> Row | None:
        """Give the newest row, which says whose the owner is."""
        granted = [row for row in world.rows if row.owner == owner and row.granted_at is not None]
        return max(granted, key=lambda row: row.granted_at or 0, default=None)

    def others(self, world: World, owner: str, user: str | None) -> tuple[Row, ...]:
        """Give what may be used of that user, newest first."""
        living = [row for row in self.alive(world, owner) if row.user == user]
        return tuple(sorted(living, key=lambda row: -(row.granted_at or 0)))

    def end(self, world: World, state: str, reason: str) -> World:
        row = world.row(state)
        if row is None or row.reason is not None:
            return world
        return world.with_row(replace(row, reason=reason, token=None))

    def disconnect(self, world: World, owner: str) -> World:
        for row in world.rows:
            if row.owner == owner:
                world = self.end(world, row.state, "disconnected")
        return world

    def says_dead(self, answer: str) -> bool:
        """Tell whether WePay's answer is its word that the very token was revoked."""
        return answer == REVOKED

    def alive(self, world: World, owner: str | None = None) -> list[Row]:
        return [
            row
            for row in world.rows
            if owner in (None, row.owner) and row.granted_at is not None and row.reason is None
        ]


# The actors: each gives, for where it stands, what its next step may lead to. A place is a
# tuple whose first part is the step's name; "done" is the end.

Place = tuple[Any, ...]
Steps = Iterator[tuple[str, World, Place]]
DONE: Place = ("done",)


@dataclass(frozen=True)
class Callback:
    """A worker that carries out a login, and may be killed anywhere."""

    owner: str
    user: str
    state: str
    crashes: bool = True
    start: Place = ("begin",)

    def steps(self, rules: Rules, world: World, place: Place) -> Steps:
        if self.crashes:
            yield f"{self.state} is killed", world, DONE
        if place[0] == "begin":
            begun = rules.begin(world, self.owner, self.state)
            if begun is None:
                yield f"begin {self.state}: taken", world, DONE
            else:
                yield f"begin {self.state}", begun, ("exchange",)
        elif place[0] == "exchange":
            exchanged = world.exchange(self.state, self.user)
            yield f"exchange {self.state}", exchanged, ("grant", exchanged.issued)
        else:
            granted = rules.grant(world, self.owner, self.state, self.user, place[1])
            if granted is None:
                yield f"grant {self.state}: ended", world, DONE
            else:
                noted = (*granted.saved, (self.owner, self.user, place[1]))
                yield f"grant {self.state}", replace(granted, saved=noted), DONE


@dataclass(frozen=True)
class Use:
    """A call as an owner: the newest candidate, and on 1011 the next."""

    owner: str
    inconclusive: bool = True
    start: Place = ("find", frozenset())

    def steps(self, rules: Rules, world: World, place: Place) -> Steps:
        step, tried, *row = place
        if step == "find":
            newest = rules.newest(world, self.owner)
            place = DONE if newest is None else ("others", tried, newest)
            if newest is not None and newest.reason is None and newest.state not in tried:
                place = ("ask", tried | {newest.state}, newest)
            yield f"find {self.owner}", world, place
        elif step == "others":
            others = rules.others(world, self.owner, row[0].user)
            untried = [r for r in others if r.state not in tried]
            place = ("ask", tried | {untried[0].state}, untried[0]) if untried else DONE
            yield f"find others of {self.owner}", world, place
        elif step == "ask":
            yield from _ask(rules, world, row[0], self.inconclusive, ("mark", tried, row[0]), DONE)
        else:
            yield f"end {row[0].state}", rules.end(world, row[0].state, "revoked"), ("find", tried)


@dataclass(frozen=True)
class IPN:
    """An IPN about a WePay user, which makes us look at each of the user's tokens."""

    user: str
    inconclusive: bool = True
    start: Place = ("living",)

    def steps(self, rules: Rules, world: World, place: Place) -> Steps:
        step, *rows = place
        if step == "living":
            living = [row for row in rules.alive(world) if row.user == self.user]
            yield f"IPN {self.user}", world, ("ask", *living) if living else DONE
        elif step == "ask":
            further = ("ask", *rows[1:]) if rows[1:] else DONE
            yield from _ask(rules, world, rows[0], self.inconclusive, ("mark", *rows), further)
        else:
            further = ("ask", *rows[1:]) if rows[1:] else DONE
            yield f"end {rows[0].state}", rules.end(world, rows[0].state, "revoked"), further


def _ask(
    rules: Rules, world: World, row: Row, inconclusive: bool, dead: Place, alive: Place
) -> Steps:
    answers = [world.answer(row.user, row.token)] + [INCONCLUSIVE] * inconclusive  # type: ignore[arg-type]
    for answer in answers:
        yield f"ask with {row.state}: {answer}", world, dead if rules.says_dead(answer) else alive


@dataclass(frozen=True)
class Revocation:
    """The user revoking at WePay."""

    user: str
    start: Place = ("revoke",)

    def steps(self, rules: Rules, world: World, place: Place) -> Steps:
        yield f"WePay's {self.user} revokes", world.revoke(self.user), DONE


@dataclass(frozen=True)
class Disconnect:
    """The owner disconnecting here."""

    owner: str
    start: Place = ("disconnect",)

    def steps(self, rules: Rules, world: World, place: Place) -> Steps:
        kept = tuple(entry for entry in world.saved if entry[0] != self.owner)
        disconnected = rules.disconnect(world, self.owner)
        yield f"disconnect {self.owner}", replace(disconnected, saved=kept), DONE


Actor = Callback | Use | IPN | Revocation | Disconnect


class Violation(AssertionError):
    """What went wrong, and the steps that led there."""


def explore(rules: Rules, actors: list[Actor], world: World | None = None) -> int:
    """Follow every order of the actors' steps to its end; give the number of ends.

    :raises Violation: at the first one that breaks a promise.
    """
    begin = (world or World(), tuple(actor.start for actor in actors))
    seen = {begin}
    stack: list[tuple[World, tuple[Place, ...], tuple[str, ...]]] = [(*begin, ())]
    ends = 0
    while stack:
        world, places, trace = stack.pop()
        if all(place == DONE for place in places):
            ends += 1
            _judge(rules, world, trace)
        for index, actor in enumerate(actors):
            if places[index] == DONE:
                continue
            for name, after, place in actor.steps(rules, world, places[index]):
                further = (after, (*places[:index], place, *places[index + 1 :]))
                if further not in seen:
                    seen.add(further)
                    stack.append((*further, (*trace, name)))
    return ends


def connected(rules: Rules, *logins: tuple[str, str]) -> World:
    """Give the world after some logins (owner, user), one after another."""
    world = World()
    for number, (owner, user) in enumerate(logins):
        callback = Callback(owner, user, f"earlier{number}", crashes=False)
        place = callback.start
        while place != DONE:
            ((_, world, place),) = callback.steps(rules, world, place)
    return world


def _judge(rules: Rules, world: World, trace: tuple[str, ...]) -> None:
    def check(promise: bool, what: str) -> None:
        if not promise:
            raise Violation(f"{what}: " + ", ".join(trace))

    check(len(set(world.exchanged)) == len(world.exchanged), "a login was exchanged twice")
    for owner in {row.owner for row in world.rows}:
        saved = [(user, token) for o, user, token in world.saved if o == owner]
        # Whose the owner is, and whether WePay's live token of that user ever was saved here.
        expected = saved[-1][0] if saved else None
        token = next((token for user, token in world.live if user == expected), None)
        kept = (expected, token) if (expected, token) in saved else None
        first, after = _use(rules, world, owner)
        second, _ = _use(rules, after, owner)
        check(first is None or first[0] == expected, f"{owner} acted as another WePay user")
        check(first == kept, f"{owner} lost a live token" if kept else f"{owner} used {first}")
        check(second == first, f"{owner} was not healed by one use")
        newest = rules.newest(after, owner)
        candidates = rules.others(after, owner, newest.user) if newest is not None else ()
        head = (candidates[0].user, candidates[0].token) if candidates else None
        check(head == kept, f"{owner} has a stale token first")


def _use(rules: Rules, world: World, owner: str) -> tuple[tuple[str, int] | None, World]:
    """Make one use with nobody beside it; give what it worked with."""
    actor, place = Use(owner, inconclusive=False), Use.start
    while place != DONE:
        step, _, *row = place
        ((_, world, place),) = actor.steps(rules, world, place)
        if step == "ask" and place == DONE:
            return (row[0].user, row[0].token), world
    return None, world
