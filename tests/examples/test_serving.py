"""The example platform as it would be deployed: gunicorn, PostgreSQL, Redis, no containers."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import postgresql
import psycopg
import pytest
import redis
import requests
import yaml
from store.redis_server import Redis
from store.servers import free_port

from flask_wepay.sandbox.server import LiveSandbox

EXAMPLE = Path(__file__).parents[2] / "examples" / "crowdfunding"
PATIENCE = 60  # seconds


def wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    with socket.socket() as probe:
        while probe.connect_ex(("127.0.0.1", port)):
            assert process.poll() is None, "The server has stopped."
            assert time.monotonic() < deadline, "The server does not answer."
            time.sleep(0.05)


@pytest.fixture
def database_url() -> str:
    """A database of its own, named as PostgreSQL and most platforms do."""
    server = postgresql.own_server()
    with psycopg.connect(
        host=str(server.directory), user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("DROP DATABASE IF EXISTS lantern")
        connection.execute("CREATE DATABASE lantern")
    return f"postgresql://postgres@/lantern?host={server.directory}"


@pytest.fixture
def redis_url() -> Iterator[str]:
    with Redis() as server:
        yield server.url


@pytest.fixture
def site(
    database_url: str, redis_url: str, wepay_live_sandbox: LiveSandbox, tmp_path: Path
) -> Iterator[str]:
    """Run ``serve.sh``, and give the site's address."""
    port = free_port()
    environment = os.environ | {
        "BIND": f"127.0.0.1:{port}",
        "DATABASE_URL": database_url,
        "FLASK_SECRET_KEY": "a secret of the tests",
        "FLASK_WEPAY_SANDBOX_URL": wepay_live_sandbox.url,
        "FLASK_WEPAY_THROTTLE_STORAGE": redis_url,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    with (tmp_path / "log").open("wb") as log:
        command = ["sh", EXAMPLE / "serve.sh"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_until_open(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE)
            sys.stdout.write((tmp_path / "log").read_text())


class Person:
    """Somebody with a browser, who sends the form's token along."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.session = requests.Session()
        self.session.headers["Accept"] = "text/html"

    def open(self, address: str, **kwargs: object) -> requests.Response:
        return self.session.get(address, timeout=PATIENCE, **kwargs)

    def send(self, path: str, **fields: str) -> requests.Response:
        page = self.open(self.site + path).text
        fields["csrf_token"] = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)[1]
        return self.session.post(
            self.site + path, data=fields, allow_redirects=False, timeout=PATIENCE
        )


def test_two_workers_on_postgresql_and_redis(
    site: str, wepay_live_sandbox: LiveSandbox, redis_url: str, database_url: str
) -> None:
    """Connect, donate and revoke work with two workers, on PostgreSQL, with one budget in Redis."""
    sam, donor = Person(site), Person(site)
    sam.send("/register", name="Sam Reed", email="sam@example.org", password="eight or more")
    to_wepay = sam.open(f"{site}/wepay/login", allow_redirects=False).headers["Location"]
    assert "Connected to WePay" in sam.open(wepay_live_sandbox.authorize(to_wepay)).text
    sam.send("/campaigns/new", title="A bench", summary="For two.", story="Oak.", goal="300")

    to_pay = donor.send("/campaigns/1", amount="25").headers["Location"]
    # What is counted is forgotten after ten seconds.
    with redis.Redis.from_url(redis_url) as counted:
        assert counted.keys()
    thanks = donor.open(wepay_live_sandbox.pay_at(to_pay))
    (ipn,) = wepay_live_sandbox.deliver_ipns()
    assert "Thank you!" in thanks.text
    assert ipn.state == "delivered"
    assert "<strong>$25</strong> of $300" in donor.open(f"{site}/campaigns/1").text

    merchant = wepay_live_sandbox.world.user_by_email("sam@example.org")
    wepay_live_sandbox.revoke(merchant.user_id)
    wepay_live_sandbox.deliver_ipns()
    assert "No donations at the moment" in donor.open(f"{site}/campaigns/1").text

    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT reason FROM wepay_token").fetchall()
    assert rows == [("revoked",)]


def test_compose_file() -> None:
    """``compose.yaml`` is YAML, and starts what ``serve.sh`` wants with what it reads."""
    services = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())["services"]

    assert services.keys() == {"web", "db", "redis"}
    assert services["web"]["depends_on"].keys() == {"db", "redis"}
    recipe = services["web"]["build"]["dockerfile_inline"]
    for name in ("serve.sh", "requirements.txt", "requirements-server.txt"):
        assert f"examples/crowdfunding/{name}" in recipe
        assert (EXAMPLE / name).exists()


def test_serving_wants_a_secret_key() -> None:
    """Without a secret key nothing is served, and the reason is said."""
    environment = {"PATH": os.environ["PATH"]}

    done = subprocess.run(
        ["sh", EXAMPLE / "serve.sh"], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert "FLASK_SECRET_KEY" in done.stderr
