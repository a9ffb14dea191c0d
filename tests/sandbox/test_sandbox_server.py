"""The sandbox as a server: where it listens, and TLS."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import pytest
import requests
from asking import BILL
from click.testing import CliRunner

from flask_wepay.sandbox.command import sandbox_command
from flask_wepay.sandbox.server import LiveSandbox


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return tmp_path / "wepay-sandbox.pem"


def port_of(sandbox: LiveSandbox) -> int:
    return urlsplit(sandbox.url).port or 0


# Where it listens


def test_loopback_by_default(wepay_live_sandbox: LiveSandbox) -> None:
    """Unless told otherwise it can be reached from the same machine only."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port_of(wepay_live_sandbox)))


def test_all_addresses() -> None:
    """On all addresses it is known under loopback's, and answers to no other by itself."""
    with LiveSandbox(host="0.0.0.0", names=["127.0.0.3"]) as sandbox:
        port = port_of(sandbox)
        answers = [requests.get(f"http://127.0.0.{n}:{port}/sandbox/clock") for n in (1, 2, 3)]

    assert sandbox.url == f"http://127.0.0.1:{port}"
    assert [answer.status_code for answer in answers] == [200, 403, 200]


def test_address_of_ones_own() -> None:
    """It answers to the address that it listens on."""
    with LiveSandbox(host="127.0.0.2") as sandbox:
        answer = requests.get(f"{sandbox.url}/sandbox/clock")

    assert sandbox.url.startswith("http://127.0.0.2:")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "url"), [("::1", "http://[::1]:8010"), ("::", "http://[::1]:8010")]
)
def test_version_6(host: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of version 6 goes into the URL as that wants it."""
    # Not every machine has one.
    monkeypatch.setattr("flask_wepay.sandbox.server._Server", lambda *_: FakeServer())
    monkeypatch.setattr("flask_wepay.sandbox.server.socket.socket", FakeSocket)

    with LiveSandbox(host=host) as sandbox:
        assert sandbox.url == url


class FakeServer:
    def serve_forever(self, poll_interval: float) -> None: ...
    def end(self) -> None: ...


class FakeSocket:
    def __init__(self, family: int) -> None:
        assert family == socket.AF_INET6

    def __enter__(self) -> FakeSocket:
        return self

    def __exit__(self, *_: object) -> None: ...
    def setsockopt(self, *_: object) -> None: ...
    def bind(self, address: object) -> None: ...
    def listen(self, backlog: int) -> None: ...
    def getsockname(self) -> tuple[str, int, int, int]:
        return ("::1", 8010, 0, 0)


# TLS


def test_tls(authority: Path) -> None:
    """Who trusts its certificate can speak TLS with it, by all of its names."""
    with LiveSandbox(tls=authority) as sandbox:
        port = port_of(sandbox)
        answers = [
            requests.post(f"https://{host}:{port}/v2/user", json={}, verify=str(authority))
            for host in ("127.0.0.1", "localhost")
        ]
        own = requests.post(
            f"{sandbox.url}/settings/{BILL}/revoke",
            headers={"Origin": sandbox.url},
            allow_redirects=False,
            verify=str(authority),
        )
        with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            requests.get(sandbox.url, verify=certifi.where())

    assert sandbox.url == f"https://127.0.0.1:{port}"
    assert [answer.json()["error_code"] for answer in answers] == [1002, 1002]
    assert own.status_code == 302


def test_strict_client(authority: Path) -> None:
    """A client that checks every rule about certificates takes it, for a given name too."""
    with LiveSandbox(tls=authority, names=["wepay"]) as sandbox:
        context = ssl.create_default_context(cafile=str(authority))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        with (
            socket.create_connection(("127.0.0.1", port_of(sandbox))) as plain,
            context.wrap_socket(plain, server_hostname="wepay") as connection,
        ):
            certificate = connection.getpeercert() or {}

    assert ("DNS", "wepay") in certificate["subjectAltName"]
    assert b"PRIVATE KEY" not in authority.read_bytes()


def test_certificate_of_each_start(authority: Path) -> None:
    """Each start has a certificate of its own, which takes the place of the last one."""
    sandbox = LiveSandbox(tls=authority)
    seen = []
    for _ in range(2):
        with sandbox:
            assert requests.get(f"{sandbox.url}/settings", verify=str(authority)).ok
            seen.append(authority.read_bytes())

    assert seen[0] != seen[1]


def test_file_that_is_no_certificate(authority: Path) -> None:
    """Nothing but a certificate is written over."""
    authority.write_text("{}")

    with pytest.raises(FileExistsError, match=r"wepay-sandbox\.pem is no certificate"):
        LiveSandbox(tls=authority).start()

    assert authority.read_text() == "{}"


def test_client_that_shakes_no_hands(authority: Path) -> None:
    """One that connects and says nothing keeps nobody waiting, nor the end."""
    with (
        LiveSandbox(tls=authority) as sandbox,
        socket.create_connection(("127.0.0.1", port_of(sandbox))),
    ):
        answer = requests.get(f"{sandbox.url}/settings", verify=str(authority), timeout=10)

    assert answer.status_code == 200


def test_client_without_tls(authority: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that speaks plain HTTP gets no answer, and others still do."""
    with LiveSandbox(tls=authority) as sandbox:
        with pytest.raises(requests.ConnectionError):
            requests.get(sandbox.url.replace("https", "http"))
        answer = requests.get(f"{sandbox.url}/settings", verify=str(authority))

    assert answer.status_code == 200


# The command


def run(*options: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(sandbox_command, ["--port", "0", *options])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command end where it would wait."""
    monkeypatch.setattr(LiveSandbox, "wait", lambda sandbox: None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
@pytest.mark.usefixtures("at_once")
def test_no_warning(host: str) -> None:
    """On an address of loopback there is nothing to warn of."""
    exit_code, _, warning = run("--host", host)

    assert (exit_code, warning) == (0, "")


@pytest.mark.usefixtures("at_once")
def test_warning() -> None:
    """On another address it says who can do what."""
    exit_code, said, warning = run("--host", "0.0.0.0")

    assert exit_code == 0
    assert "The WePay sandbox is at http://127.0.0.1:" in said
    assert warning.startswith("Warning: others can reach 0.0.0.0. The sandbox has no passwords")


@pytest.mark.usefixtures("at_once")
def test_command_with_tls(authority: Path) -> None:
    """It says whom its clients have to trust."""
    exit_code, said, _ = run("--tls", str(authority))

    assert exit_code == 0
    assert "The WePay sandbox is at https://127.0.0.1:" in said
    assert f"must trust the certificate in {authority}" in said
    assert authority.exists()


@pytest.mark.usefixtures("at_once")
def test_command_writes_here_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name the certificate is in the current folder."""
    monkeypatch.chdir(tmp_path)

    run("--tls")

    assert (tmp_path / "wepay-sandbox.pem").exists()


def test_command_writes_over_no_other_file(authority: Path) -> None:
    """A file that is none of its own is wrong usage."""
    authority.write_text("{}")

    exit_code, _, problem = run("--tls", str(authority))

    assert exit_code == 2
    assert "Invalid value for '--tls'" in problem


def test_address_of_another_machine() -> None:
    """An address that this machine does not have is one line."""
    exit_code, _, problem = run("--host", "192.0.2.1")

    assert exit_code == 1
    assert "of 192.0.2.1 can't be used" in problem
