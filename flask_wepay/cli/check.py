"""The command that checks the configuration before a user runs into a problem."""

from __future__ import annotations

import json
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import click
from flask.cli import ScriptInfo

from ..errors import ConfigurationError
from ..settings import DEFAULTS, Settings
from .findings import findings_of
from .output import FAIL, NOTE, OK, WARN, Finding, printable, state_here

__all__ = ["check"]

MASK = "********"
#: The most columns of the output.
WIDEST = 100
#: The fewest columns of a text, even on a narrower terminal.
NARROWEST = 20
_SECRETS = ("WEPAY_CLIENT_SECRET", "WEPAY_TOKEN_KEYS", "WEPAY_ACCESS_TOKEN")
_COLORS = {OK: "green", NOTE: "cyan", WARN: "yellow", FAIL: "red"}


class Setting(NamedTuple):
    """A setting, the source of its value, and the value with its secrets masked."""

    key: str
    origin: str
    value: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def check(context: click.Context, as_json: bool) -> None:
    """Check the settings, WePay, the database, keys and cookies.

    Prints every setting with its source, secrets masked, and each finding as "ok", "note"
    (good to know), "warn" or "fail".

    Exits with 0 only if there are no warnings and no failures.
    """
    settings: list[Setting] = []
    try:
        # Loaded here, because an invalid setting keeps the application from loading.
        app = context.ensure_object(ScriptInfo).load_app()
        context.with_resource(app.app_context())
        state = state_here()
        settings = list(_settings(state.settings, app.config))
        findings = list(findings_of(state))
    except ConfigurationError as error:
        findings = [Finding("settings", FAIL, str(error))]
    well = all(finding.status in (OK, NOTE) for finding in findings)
    if as_json:
        report = {
            "ok": well,
            "settings": [setting._asdict() for setting in settings],
            "checks": [finding._asdict() for finding in findings],
        }
        click.echo(json.dumps(report, indent=2))
    else:
        _print(settings, findings)
        click.secho("All is well." if well else "Not all is well.", bold=True)
    if not well:
        raise click.exceptions.Exit(1)


def _print(settings: Sequence[Setting], findings: Sequence[Finding]) -> None:
    for key, origin, value in settings:
        _print_entry(f"{key:<24}{origin:<12}", value)
    if settings:
        click.echo()
    for name, status, text in findings:
        _print_entry(f"{name:<16}{click.style(f'{status:<8}', fg=_COLORS[status])}", text)
    click.echo()


def _print_entry(start: str, text: str) -> None:
    indent = len(click.unstyle(start))
    width = max(NARROWEST, min(shutil.get_terminal_size().columns, WIDEST) - indent)
    # A URL is meant to be copied, so it is not wrapped.
    wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    click.echo(start + f"\n{'':<{indent}}".join(wrapper.wrap(printable(text))))


def _settings(settings: Settings, config: Mapping[str, Any]) -> Iterator[Setting]:
    derived = _derived(settings)
    for key, default in DEFAULTS.items():
        value = config[key]
        if value is None and key in derived:
            yield Setting(key, "derived", derived[key])
        else:
            yield Setting(key, "default" if value == default else "app.config", _masked(key, value))


def _derived(settings: Settings) -> dict[str, str]:
    """Return the effective values of settings that are None."""
    bundle = "certifi" if settings.ca_bundle is True else f"REQUESTS_CA_BUNDLE {settings.ca_bundle}"
    derived = {
        "WEPAY_TOKEN_KEYS": "from SECRET_KEY and SECRET_KEY_FALLBACKS",
        "WEPAY_REDIRECT_URI": "from each request",
        "WEPAY_CALLBACK_URI": "from WEPAY_REDIRECT_URI or each request",
        "WEPAY_CA_BUNDLE": f"from {bundle}",
    }
    if settings.environment == "sandbox":
        derived["WEPAY_CLIENT_ID"] = f"{settings.client_id}, the sandbox's own"
        derived["WEPAY_CLIENT_SECRET"] = f"{MASK}, the sandbox's own"
    return derived


def _masked(key: str, value: Any) -> str:
    """Format a value without its secrets; a URL may contain some too."""
    if value is None:
        return "-"
    if key in _SECRETS:
        return MASK if isinstance(value, str) else ", ".join([MASK] * len(value))
    text = value if isinstance(value, str) else repr(value)
    return re.sub(r"(?<=//)\S*(?=@)|(?<=\?)[^\s'\"]+", MASK, text)
