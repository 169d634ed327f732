"""Cassettes of vcrpy, read so that they can go on as cassettes of unifetch.

vcrpy stores what a library has made of a response: the body may be decoded while the fields still name the coding. So a
body that does not have the coding of its fields loses that field.
"""

from __future__ import annotations

import base64
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import DecodingError
from ..policies.decoding import decoder
from .har import CassetteError, Content, Recorded


def read_vcr(path: Path) -> list[Recorded]:
    """The exchanges of a cassette of vcrpy, in YAML (which needs the library PyYAML) or JSON.

    Raises:
        CassetteError: it is none.
    """
    try:
        text = path.read_text("utf-8")
        held = json.loads(text) if path.suffix == ".json" else _yaml(text, path)
        return [_recorded(each["request"], each["response"]) for each in held["interactions"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CassetteError(f"{path} is no cassette of vcrpy ({type(error).__name__}: {error})") from error


def _yaml(text: str, path: Path) -> Any:
    try:
        yaml = import_module("yaml")
    except ImportError:
        raise CassetteError(f"{path} is YAML, which PyYAML reads: pip install pyyaml") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _recorded(request: dict[str, Any], response: dict[str, Any]) -> Recorded:
    status = response["status"]
    code = status["code"] if isinstance(status, dict) else response["status_code"]
    body = _body(response.get("body"))
    headers = _fields(response["headers"])
    coding = ", ".join(value for name, value in headers if name.lower() == "content-encoding")
    if coding and not _is_coded(body, coding):
        headers = [pair for pair in headers if pair[0].lower() != "content-encoding"]
    # The length of what is there; it was taken out of its chunks, too.
    headers = [pair for pair in headers if pair[0].lower() not in ("content-length", "transfer-encoding")]
    return Recorded(
        method=request["method"],
        url=request["uri"],
        request_headers=_fields(request["headers"]),
        request_body=Content(_body(request.get("body"))),
        status=int(code),
        reason=(status.get("message") if isinstance(status, dict) else "") or "",
        headers=headers,
        body=Content(body),
        chunks=[[0, len(body)]],
        ended=True,
    )


def _fields(headers: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, str(value))
        for name, values in headers.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def _body(held: Any) -> bytes:
    if isinstance(held, dict):
        if "base64_string" in held:
            return base64.b64decode(held["base64_string"])
        held = held.get("string", b"")
    if held is None:
        return b""
    return held.encode() if isinstance(held, str) else bytes(held)


def _is_coded(body: bytes, coding: str) -> bool:
    undo = decoder(coding)
    if undo is None:
        return False
    try:
        list(undo.feed(body))
        undo.finish()
    except DecodingError:
        return False
    return True
