"""How requests are handled that WePay accepts without documenting them."""

from __future__ import annotations

from dataclasses import dataclass, field

from .answers import Refused


@dataclass
class Strictness:
    """How one request is read: as documented, or as WePay was observed to read it."""

    #: Whether an objection refuses the request.
    strict: bool = True
    #: What a strict sandbox would have refused, for the log.
    objections: list[str] = field(default_factory=list)

    def object_to(
        self,
        problem: str,
        error_code: int = 1003,
        *,
        error: str | None = None,
        status: int | None = None,
    ) -> None:
        """Refuse a request for this, or note that a strict sandbox would."""
        if self.strict:
            raise Refused(error_code, problem, error=error, status=status)
        self.passes_over(problem)

    def passes_over(self, problem: str) -> bool:
        """Return whether this is accepted nevertheless, and log it."""
        if not self.strict:
            self.objections.append(f"a strict sandbox refuses this: {problem}")
        return not self.strict
