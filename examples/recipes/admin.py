"""Flask-Admin: a read-only page of who is connected, without tokens."""

from __future__ import annotations

from flask import Flask, session
from flask_admin import Admin
from flask_admin.contrib.sqla import ModelView

from .shop import WePayToken, db


class Connections(ModelView):
    can_create = can_edit = can_delete = False
    can_view_details = True
    # Columns that are not listed here, such as the encrypted token, are on no page.
    column_list = ["owner", "user_id", "created_at", "granted_at", "revoked_at", "reason"]
    column_details_list = column_list
    column_searchable_list = ["owner"]
    column_default_sort = ("id", True)

    def is_accessible(self) -> bool:
        return bool(session.get("is_admin"))


def add_admin(app: Flask) -> Admin:
    admin = Admin(app, name="Shop")
    admin.add_view(Connections(WePayToken, db, name="WePay", endpoint="connections"))
    return admin
