"""The command that runs the sandbox."""

from __future__ import annotations

import errno
import json
from typing import TextIO

import click

from .origins import is_loopback
from .seeds import Seed
from .server import HOST, LiveSandbox
from .world import CLIENT_ID, CLIENT_SECRET, World

DEFAULT_PORT = 8010
WARNING = (
    "Warning: others can reach {host}. The sandbox has no passwords: they can do all that you can,"
    " and read every secret that it is sent."
)


@click.command("sandbox")
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 is any free one.",
)
@click.option(
    "--host",
    default=HOST,
    show_default=True,
    help="Address to listen on. Whoever reaches another one than loopback's can do all.",
)
@click.option(
    "--tls",
    is_flag=False,
    flag_value="wepay-sandbox.pem",
    metavar="[FILE]",
    help="Speak TLS, and write the certificate to trust into FILE, wepay-sandbox.pem by default.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    help="Host that requests may call it by, besides those of loopback. May be repeated.",
)
@click.option(
    "--seed",
    type=click.File(encoding="utf-8"),
    help="JSON file of users, applications, accounts ... to begin with; - is standard input.",
)
@click.option("--random-seed", type=int, help="Number that makes tokens and codes repeat.")
@click.option("--throttle", is_flag=True, help="Refuse more than 30 calls in 10 s.")
@click.option("--strict", is_flag=True, help="Refuse what WePay takes and does not document.")
@click.option("--production", is_flag=True, help="Give tokens that begin with PRODUCTION_.")
def sandbox_command(
    port: int,
    host: str,
    tls: str | None,
    names: tuple[str, ...],
    seed: TextIO | None,
    random_seed: int | None,
    throttle: bool,
    strict: bool,
    production: bool,
) -> None:
    """Run a WePay of your own: no account, no network, no real money."""

    def start(world: World) -> None:
        world.strict = False
        contents(world)
        world.throttled |= throttle
        world.strict |= strict

    try:
        contents = Seed({} if seed is None else json.load(seed))
        world = World(
            environment="production" if production else "stage",
            start=start,
            random_seed=random_seed,
        )
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--seed'") from error
    sandbox = LiveSandbox(world, host=host, port=port, tls=tls, delivers=True, names=names)
    try:
        sandbox.start()
    except FileExistsError as error:
        raise click.BadParameter(str(error), param_hint="'--tls'") from error
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"can't be used: {error}"
        raise click.ClickException(f"Port {port} of {host} {reason}. Try --port.") from error
    try:
        if not is_loopback(host):
            click.echo(WARNING.format(host=host), err=True)
        click.echo(f"The WePay sandbox is at {sandbox.url}")
        click.echo(f"Its application: client_id {CLIENT_ID}, client_secret {CLIENT_SECRET}")
        if tls is not None:
            click.echo(f"Its clients must trust the certificate in {tls}")
        click.echo("Stop it with Ctrl-C.")
        sandbox.wait()
    except KeyboardInterrupt:
        click.echo("Stopped.")
    finally:
        sandbox.stop()
