"""The token table on SQLAlchemy: its model, its rules and its maintenance.

Rows only go pending → granted → ended, so all writes commute: no lock, no lease and no
order of workers is needed. Only this package imports SQLAlchemy.
"""

from __future__ import annotations

from .maintenance import Maintenance
from .model import WePayTokenMixin
from .session import session_of
from .store import SQLAlchemyStore

__all__ = ["Maintenance", "SQLAlchemyStore", "WePayTokenMixin", "session_of"]
