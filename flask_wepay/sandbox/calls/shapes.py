"""The shapes of answers: their fields, and the source of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from .context import Context

#: The value of a field that the answer omits.
ABSENT: Any = object()


class Shape:
    """The shape of an answer.

    :param name: the object, such as "account".
    :param same: fields that are attributes of the same name.
    :param optional: those of them that are omitted if they are None.
    :param since: the first Api-Version with a field.
    :param computed: further fields, from the context and the object.
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
        """Return an object as the request's Api-Version shows it."""
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
    """Return an amount as JSON writes it: 20, or 20.88."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)
