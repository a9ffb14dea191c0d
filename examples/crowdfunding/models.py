"""The tables."""

from __future__ import annotations

from uuid import uuid4

from flask_login import UserMixin
from sqlalchemy import BigInteger, ForeignKey, String, Text, func, select
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
    accounts: Mapped[list[PaymentAccount]] = relationship(back_populates="owner")

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

    @property
    def raised(self) -> int:
        """Sum up what was paid and not given back, in cents."""
        left = func.sum(Donation.amount - Donation.refunded)
        paid = select(left).filter_by(campaign_id=self.id).where(Donation.state.in_(PAID))
        return db.session.scalar(paid) or 0


class PaymentAccount(db.Model):
    """An account at WePay that an organizer is paid into."""

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    owner_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    # It is this WePay user's, so it is of no use once the organizer connects as another one.
    user_id: Mapped[int] = mapped_column(BigInteger)

    owner: Mapped[User] = relationship(back_populates="accounts")


# The states of a checkout, in the order in which it goes through them.
STATES = (
    "new",
    "authorized",
    "failed",
    "expired",
    "cancelled",
    "captured",
    "released",
    "refunded",
    "charged back",
)
PAID = ("authorized", "captured", "released")


class Donation(db.Model):
    """Money that somebody gives to a campaign: a checkout at WePay, as far as we know it."""

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"), index=True)
    amount: Mapped[int]  # cents
    # Born with the donation, before WePay hears of it: whatever happens on the way there,
    # asking again with the same unique_id begins no second payment.
    unique_id: Mapped[str] = mapped_column(String(32), unique=True, default=lambda: uuid4().hex)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("payment_account.id"))
    checkout_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    state: Mapped[str] = mapped_column(String(32), default="new")
    refunded: Mapped[int] = mapped_column(default=0)  # cents

    campaign: Mapped[Campaign] = relationship()


class WePayToken(WePayTokenMixin, db.Model):
    """What Flask-WePay stores."""


@login_manager.user_loader
def load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))
