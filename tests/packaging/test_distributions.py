"""What people install holds what it must, and no more."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEVER_SHIPPED = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "instance", "_build", "htmlcov"
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout, so that building leaves nothing in it."""
    return shutil.copytree(
        ROOT, tmp_path_factory.mktemp("checkout") / "source", ignore=NEVER_SHIPPED
    )


@pytest.fixture(scope="module")
def distributions(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from it."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(tree)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> zipfile.ZipFile:
    (path,) = distributions.glob("flask_wepay-*-py3-none-any.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def files_below(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_wheel_holds_the_whole_package(wheel: zipfile.ZipFile, tree: Path) -> None:
    """Every file of the package is in the wheel: code, py.typed, templates and styles."""
    package = {str(path.relative_to(tree)) for path in files_below(tree / "flask_wepay")}

    assert "flask_wepay/py.typed" in package
    assert any(name.startswith("flask_wepay/web/templates/wepay/") for name in package)
    assert package <= set(wheel.namelist())


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Nothing beside ``flask_wepay`` is installed."""
    tops = {name.partition("/")[0] for name in wheel.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"flask_wepay"}


def test_metadata(metadata: Message) -> None:
    """The metadata names the distribution, its license and the oldest Python."""
    assert metadata["Name"] == "Flask-WePay"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE.txt"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"].startswith("text/x-rst")
    assert set(metadata.get_all("Provides-Extra")) == {"redis", "testing"}


def test_pythons(metadata: Message) -> None:
    """The Pythons that the metadata names are those that the pages say are tested."""
    named = "Programming Language :: Python :: 3."
    classifiers = metadata.get_all("Classifier")
    minors = {c.removeprefix(named) for c in classifiers if c.startswith(named)}

    for page in ("README.rst", "CONTRIBUTING.rst"):
        (tested,) = re.findall(r"3\.\d+(?:, 3\.\d+)* and 3\.\d+", (ROOT / page).read_text())
        assert set(re.findall(r"3\.(\d+)", tested)) == minors, page


def test_wheel_adds_the_command(wheel: zipfile.ZipFile) -> None:
    """Flask finds ``flask wepay`` by the entry point."""
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))

    assert wheel.read(name).decode().split("\n")[:2] == [
        "[flask.commands]",
        "wepay = flask_wepay.cli:wepay",
    ]


def test_sdist_holds_all_that_it_takes_to_work_on_it(distributions: Path, tree: Path) -> None:
    """The sdist holds tests, docs, examples and requirements, and the files at the top."""
    (path,) = distributions.glob("flask_wepay-*.tar.gz")
    with tarfile.open(path) as archive:
        shipped = {name.partition("/")[2] for name in archive.getnames()}

    folders = ("flask_wepay", "tests", "docs", "examples", "requirements")
    wanted = files_below(*(tree / folder for folder in folders))
    wanted |= {*tree.glob("*.rst"), tree / "LICENSE.txt", tree / "Makefile"}
    assert {str(path.relative_to(tree)) for path in wanted} <= shipped
