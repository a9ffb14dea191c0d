"""The shapes of answers: their fields, and where each of them comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from .context import Context

#: The value of a field that is left out of an answer.
ABSENT: Any = object()


class Shape:
    """What a call answers with.

    :param name: what it shows, such as "account".
    :param same: fields that are attributes of the same name.
    :param optional: those of them that are left out where they are None.
    :param since: the first Api-Version that has a field.
    :param computed: further fields, from the context and the thing that is shown.
    """

    def __init__(
        self,
        name: str,
        *same: str,
        optional: Iterable[str] = (),
        since: Mapping[str, str] | None = None,
        **computed: Callable[[Context, Any], object],
    ) -> None:
        self.name = name
        self.fields = (*same, *computed)
        self._computed = computed
        self._optional = frozenset(optional)
        self._since = since or {}

    def show(self, context: Context, thing: object) -> dict[str, object]:
        """Show a thing as the Api-Version of the request has it."""
        shown = {}
        for name in self.fields:
            if self._since.get(name, "") > context.api_version:
                continue
            compute = self._computed.get(name)
            value = compute(context, thing) if compute else getattr(thing, name)
            if value is None and name in self._optional:
                value = ABSENT
            if value is not ABSENT:
                shown[name] = number(value) if isinstance(value, Decimal) else value
        return shown


def number(amount: Decimal) -> int | float:
    """Write an amount as JSON does: 20, or 20.88."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)
