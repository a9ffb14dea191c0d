"""Register, log in and log out."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import login_user, logout_user
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from .extensions import db
from .forms import LoginForm, RegisterForm
from .models import User

bp = Blueprint("accounts", __name__)


@bp.route("/register", methods=["GET", "POST"])
def register() -> ResponseReturnValue:
    form = RegisterForm()
    if form.validate_on_submit():
        user = User(name=form.name.data, email=form.email.data)
        user.set_password(form.password.data)
        db.session.add(user)
        try:
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            form.email.errors = ["Somebody has registered with this address."]
        else:
            login_user(user)
            return go_on()
    return render_template("register.html", form=form)


@bp.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    form = LoginForm()
    if form.validate_on_submit():
        user = db.session.scalar(select(User).filter_by(email=form.email.data))
        if user and user.check_password(form.password.data):
            login_user(user)
            return go_on()
        form.password.errors = ["The e-mail or the password is wrong."]
    return render_template("login.html", form=form)


@bp.post("/logout")
def logout() -> ResponseReturnValue:
    logout_user()
    return redirect(url_for("campaigns.index"))


def go_on() -> ResponseReturnValue:
    """Go where Flask-Login kept somebody from going, which it remembers in the session."""
    return redirect(session.pop("next", None) or url_for("campaigns.dashboard"))
