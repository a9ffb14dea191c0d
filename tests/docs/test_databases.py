"""What the documentation says was tested of databases, the tests do."""

from __future__ import annotations

import re
from pathlib import Path

from reading import DOCS

from flask_wepay.cli.database import SUPPORTED

NAMES = {"mariadb": "MariaDB", "mysql": "MySQL", "postgresql": "PostgreSQL", "sqlite": "SQLite"}

TESTED = (DOCS / "databases.rst").read_text().partition(".. _tested:")[2]
SOURCES = "\n".join(path.read_text() for path in Path(__file__).parents[1].glob("store/*.py"))


def test_each_supported_database_is_in_the_table() -> None:
    """Of each database that the check takes the page says what was tested on it."""
    for name in SUPPORTED:
        assert re.search(rf"^   \* - .*{NAMES[name]} \d", TESTED, re.MULTILINE), name


def test_each_setting_in_the_table_is_set_by_a_test() -> None:
    """No setting of a server is said to be tested that no test sets."""
    settings = set(re.findall(r"``([a-z_]+_(?:timeout|time|isolation))``", TESTED))

    assert len(settings) >= 7
    assert [setting for setting in settings if setting not in SOURCES] == []
