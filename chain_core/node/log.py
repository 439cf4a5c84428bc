"""Structured log lines on standard error: ``time LEVEL EVENT key=value ...``, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

ROOT: Final = "chain_core"
_FIELDS: Final = "dualchain_fields"


def set_up(level: str, style: Literal["text", "json"], stream: TextIO | None = None) -> None:
    """Direct the project's log to ``stream`` (standard error); calling again replaces the former set-up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if style == "json" else _Text())
    logger = logging.getLogger(ROOT)
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


def event(logger: logging.Logger, level: int, name: str, facts: Mapping[str, str | int]) -> None:
    """One line about something that has a stable name."""
    if logger.isEnabledFor(level):
        text = " ".join([name, *(f"{key}={_quoted(value)}" for key, value in facts.items())])
        logger.log(level, "%s", text, extra={_FIELDS: {"event": name, **facts}})


def _quoted(value: str | int) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or "=" in text or '"' in text else text


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname} {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _time(record), "level": record.levelname, "logger": record.name}
        line |= getattr(record, _FIELDS, None) or {"event": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
