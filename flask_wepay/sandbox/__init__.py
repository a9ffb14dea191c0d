"""A stand-in of WePay: the v2 API, its pages, and controls for simulating failures.

It imports nothing from the extension, so that each tests the other independently.
"""

from .answers import ANSWERS, Refused
from .faults import Hold
from .ipns import IPN
from .levers import AuthorizeRefused
from .log import Exchange
from .payment_levers import DEFAULT_URL
from .sandbox import Sandbox, create_app
from .seeds import Seed
from .world import Clock, World

__all__ = [
    "ANSWERS",
    "DEFAULT_URL",
    "IPN",
    "AuthorizeRefused",
    "Clock",
    "Exchange",
    "Hold",
    "Refused",
    "Sandbox",
    "Seed",
    "World",
    "create_app",
]
