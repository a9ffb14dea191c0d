"""The tables."""

from __future__ import annotations

from flask_login import UserMixin
from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship
from werkzeug.security import check_password_hash, generate_password_hash

from flask_wepay.sqla import WePayTokenMixin

from .extensions import db, login_manager


class User(UserMixin, db.Model):
    """Somebody who organizes campaigns."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))

    campaigns: Mapped[list[Campaign]] = relationship(
        back_populates="owner", order_by="Campaign.id.desc()"
    )

    def set_password(self, password: str) -> None:
        self.password_hash = generate_password_hash(password)

    def check_password(self, password: str) -> bool:
        return check_password_hash(self.password_hash, password)


class Campaign(db.Model):
    """Something that money is raised for."""

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    title: Mapped[str] = mapped_column(String(80))
    summary: Mapped[str] = mapped_column(String(160))
    story: Mapped[str] = mapped_column(Text)
    goal: Mapped[int]  # whole dollars

    owner: Mapped[User] = relationship(back_populates="campaigns")


class WePayToken(WePayTokenMixin, db.Model):
    """What Flask-WePay stores."""


@login_manager.user_loader
def load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))
