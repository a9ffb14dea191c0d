"""The sandbox as a whole: its world and controls, and their application."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from flask import Flask

from .gate import Gate
from .levers import Levers
from .payment_levers import DEFAULT_URL
from .transport import join
from .web import make_app
from .world import World


class Sandbox(Levers):
    """A stand-in of WePay: its world, its web application, and its controls for failures.

    :param world: its initial contents; the default has the application 12345 and two users.
    :param url: its base URL, for :meth:`authorize` and :meth:`joined`.
    :param names: hosts that requests may address it by, besides those of loopback and `url`.

    .. versionadded:: 1.0
    """

    def __init__(
        self, world: World | None = None, *, url: str = DEFAULT_URL, names: Iterable[str] = ()
    ) -> None:
        super().__init__(world, url=url, names=names)
        self.app = make_app(self)
        self.app.wsgi_app = Gate(  # type: ignore[method-assign]
            self.app.wsgi_app,
            log=self.log,
            faults=self.faults,
            clock=self.world.clock,
            patience=self.patience,
            names=lambda: self.names,
        )

    @contextmanager
    def joined(self) -> Iterator[Sandbox]:
        """Answer all requests that ``requests`` sends to :attr:`url`, without a socket."""
        with join(self):
            yield self


def create_app(world: World | None = None, *, url: str = DEFAULT_URL) -> Flask:
    """Return a sandbox's Flask application; its :class:`Sandbox` is in ``app.extensions``.

    .. versionadded:: 1.0
    """
    return Sandbox(world, url=url).app
