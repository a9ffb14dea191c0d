"""Run the sandbox: ``python -m flask_wepay.sandbox``."""

from .command import sandbox_command

sandbox_command(prog_name="python -m flask_wepay.sandbox")
