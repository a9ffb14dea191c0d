"""The forms."""

from flask_wtf import FlaskForm
from wtforms import (
    DecimalField,
    EmailField,
    IntegerField,
    PasswordField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Regexp


def lower(value: str | None) -> str | None:
    """Take an address in capitals as the same address."""
    return value.strip().lower() if value else value


class LoginForm(FlaskForm):
    email = EmailField("E-mail", [InputRequired()], filters=[lower])
    password = PasswordField("Password", [InputRequired()])


class RegisterForm(FlaskForm):
    name = StringField("Your name", [InputRequired(), Length(max=80)])
    email = EmailField(
        "E-mail",
        [InputRequired(), Length(max=254), Regexp(r".+@.+\..+", message="Not an address.")],
        filters=[lower],
    )
    password = PasswordField(
        "Password",
        [InputRequired(), Length(min=8, message="Use at least 8 characters.")],
        description="At least 8 characters.",
    )


class CampaignForm(FlaskForm):
    title = StringField("Title", [InputRequired(), Length(max=80)])
    summary = StringField(
        "In one sentence", [InputRequired(), Length(max=160)], description="Shown in the list."
    )
    story = TextAreaField("The story", [InputRequired(), Length(max=10_000)])
    goal = IntegerField("Goal in dollars", [InputRequired(), NumberRange(1, 1_000_000)])


class DonationForm(FlaskForm):
    amount = DecimalField(
        "Your donation in dollars",
        [InputRequired(), NumberRange(1, 10_000, message="Give between $1 and $10,000.")],
    )

    @property
    def cents(self) -> int:
        return round(self.amount.data * 100)
