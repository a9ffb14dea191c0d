"""The switches of a world, for the control API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from .signatures import describe, fits
from .world import World

#: The switches and their types.
SWITCHES: dict[str, Any] = {
    "state_on_denial": bool,
    "strict": bool,
    "expires_in": int | Literal["absent"] | None,
    "throttled": bool,
    "ipn_on_replacement": bool,
    "shows_deleted_users": bool,
}


def set_switches(world: World, switches: Mapping[str, Any]) -> None:
    """Set all of these, or set none and raise :exc:`LookupError` or :exc:`TypeError`."""
    for name, value in switches.items():
        if name not in SWITCHES:
            raise LookupError(f"{name}; there are {', '.join(SWITCHES)}")
        if not fits(value, SWITCHES[name]):
            raise TypeError(f"{name} must be {describe(SWITCHES[name])}, not {value!r}.")
    for name, value in switches.items():
        setattr(world, name, value)
