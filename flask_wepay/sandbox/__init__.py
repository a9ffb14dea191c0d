"""A WePay to run against: the v2 API, its pages, and strings to pull in tests.

It imports nothing of the extension, so that each can contradict the other.
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
