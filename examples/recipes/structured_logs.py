"""structlog: the records of Flask-WePay as JSON, with the attributes of each call."""

from __future__ import annotations

import logging
from typing import TextIO

import structlog

FACTS = [
    "wepay_call",
    "wepay_status",
    "wepay_error_code",
    "wepay_milliseconds",
    "wepay_owner",
    "wepay_error",
]


def configure(stream: TextIO | None = None) -> logging.Handler:
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            # Records of the standard library have their values in attributes.
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow=FACTS)],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.getLogger("flask_wepay").setLevel(logging.INFO)
    logging.getLogger().addHandler(handler)
    return handler
