"""The extensions, apart from Flask-WePay, which is in ``payments``."""

from pathlib import Path

from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The base class of all models."""


db = SQLAlchemy(model_class=Base)
migrate = Migrate(directory=str(Path(__file__).parent / "migrations"))
csrf = CSRFProtect()

login_manager = LoginManager()
login_manager.login_view = "accounts.login"
login_manager.login_message = "Log in to see this page."
