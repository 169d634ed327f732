"""What of a run is the answer to its question, in a few words; and what must be masked so that two runs can be
equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]

MASKS = [
    (re.compile(r"0x[0-9a-f]{6,}"), "0xADDRESS"),
    (re.compile(r"(?<=after )\d+(?= milliseconds)"), "N"),
    (re.compile(r"_ssl\.c:\d+"), "_ssl.c:LINE"),
    # How far a decoder came depends on where the network cut what it was fed.
    (re.compile(r"\(\d+ from \d+\)"), "(N from M)"),
    # Python says it in words of its own from 3.11.4 on, OpenSSL before.
    (re.compile("unexpected eof while reading"), "EOF occurred in violation of protocol"),
    (re.compile(r"(?<=after )\d+\.\d+(?= s)"), "SECONDS"),
]
BOUNDARY = re.compile(r"boundary=\"?([^\s\";]+)")
# A user agent, and a product in it.
PRODUCT = re.compile(r"(?i)\b((?:python|urllib|curl|aiohttp|httpx|unifetch|requests)[\w-]*)/\d+(?:\.\w+)+")


def masked(text: str, port: int, boundaries: tuple[str, ...] = ()) -> str:
    """The text without what is another one in each run, or in each version: ports, addresses, boundaries, versions."""
    text = re.sub(rf"\b{port}\b", "PORT", text)
    for boundary in boundaries:
        text = text.replace(boundary, "BOUNDARY")
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return PRODUCT.sub(r"\1/VERSION", text)


CUT = re.compile(r"… \((\d+) bytes\)$")  # how `worker.shortened` ends


# --- The short answers ----------------------------------------------------------------------------


def answer(shows: str, record: Record) -> str:
    """The answer in a few words.

    Args:
        shows: a name of `SHOWS`, and after a space what it is to show.
        record: of one run, with everything in it but the answer.
    """
    name, _, detail = shows.partition(" ")
    if (name, detail) in SPECIAL:
        name, detail = f"{name} {detail}", ""
    return SHOWS[name](record, detail)


def agreed(record: Record) -> str:
    """What has to be equal if two subjects are to agree: an error is an error, by whatever name."""
    return re.sub(r"error: \w+(?: \d+)?|gave up: .*", "error", record["answer"])


def outcome(record: Record, _: str = "") -> str:
    """The status and the body, or the class of the exception."""
    came = record["outcome"]
    if came["kind"] == "error":
        return f"error: {came['class'].rpartition('.')[2]}{_hint(came)}"
    if came["kind"] == "waiting":
        return f"still waiting after {came['after']:g} s"
    body = came["body"]
    return f"{came['status']}, {_short(body) if body not in ('', None) else 'no body' if body == '' else 'None'}"


def _hint(came: Record) -> str:
    # Some libraries have one class for everything; the class says too little then.
    found = re.search(r"exit status (\d+)", came["text"])
    return f" {found[1]}" if found else ""


def _short(text: str) -> str:
    if cut := CUT.search(text):
        return f"{int(cut[1]):,} bytes"
    if re.search(r"[\x00-\x08\x0e-\x1f]", text):
        return f"{len(text)} bytes as they came"
    text = text if len(text) <= 60 else text[:57] + "…"
    return repr(text)


def heads(record: Record) -> list[tuple[str, dict[str, list[str]], str]]:
    """The requests: their line, their fields by lower-case name, and their body as it was on the wire."""
    found = []
    streams: dict[int, str] = {}
    for connection, way, data in record["wire"]:
        if way == "sent":
            streams[connection] = streams.get(connection, "") + data
    order = [number for number in record["order"] if number in streams]
    for number in order:
        head, _, rest = streams[number].partition("\r\n\r\n")
        line, *lines = head.split("\r\n")
        fields: dict[str, list[str]] = {}
        for each in lines:
            name, _, value = each.partition(":")
            fields.setdefault(name.lower(), []).append(value.strip())
        following = re.search(r"(?:^|(?<=\n)|(?<=\w))[A-Z]+ \S+ HTTP/1\.[01]\r\n", rest)
        body = rest[: following.start()] if following else rest
        found.append((line, fields, body))
        streams[number] = rest[following.start() :] if following else ""
    return found


def _no_request(record: Record) -> str:
    return outcome(record)


def _target(record: Record, _: str) -> str:
    sent = heads(record)
    return sent[0][0].split(" ")[1] if sent else _no_request(record)


def _fields(record: Record, _: str) -> str:
    sent = heads(record)
    if not sent:
        return _no_request(record)
    first = record["wire"][0][2].partition("\r\n\r\n")[0].split("\r\n")[1:]
    return ", ".join(line.partition(":")[0] for line in first)


def _field(record: Record, name: str, which: int = 0) -> str:
    sent = heads(record)
    if len(sent) <= which:
        return _no_request(record)
    values = sent[which][1].get(name.lower())
    return "not sent" if values is None else ", ".join(values)


def _names(record: Record, wanted: str) -> str:
    sent = record["wire"][0][2].partition("\r\n\r\n")[0] if record["wire"] else ""
    names = [line.partition(":")[0] for line in sent.split("\r\n")[1:]]
    return ", ".join(name for name in names if name.lower() in wanted.lower().split()) or _no_request(record)


def _body(record: Record, _: str, which: int = 0) -> str:
    sent = heads(record)
    if len(sent) <= which:
        return _no_request(record)
    text = sent[which][2]
    if text.startswith("--BOUNDARY"):  # what each part says of itself, not what is in it
        parts = [part.partition("\r\n\r\n")[0].strip() for part in text.split("--BOUNDARY")[1:-1]]
        return _utf8(" | ".join(part.replace("\r\n", "; ") for part in parts))
    return _visible(text) or "no body"


def _part(record: Record, _: str) -> str:
    sent = heads(record)
    found = re.search(r"(?i)content-disposition: *(.*?)\r\n", sent[0][2]) if sent else None
    return _utf8(found[1]) if found else _no_request(record)


def _utf8(text: str) -> str:
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _visible(text: str) -> str:
    return _utf8(text).replace("\r", "\\r").replace("\n", "\\n")


def _framed(record: Record, _: str) -> str:
    sent = heads(record)
    if not sent:
        return _no_request(record)
    _, fields, body = sent[0]
    length = ", ".join(fields.get("content-length", [])) or "chunked"
    return f"{length}: {_visible(body)}" + (f"; {outcome(record)}" if record["outcome"]["kind"] == "error" else "")


def _second_request(record: Record, _detail: str) -> str:
    sent = heads(record)
    if len(sent) < 2:
        return "none" if record["outcome"]["kind"] == "value" else outcome(record)
    line, _, body = sent[1]
    return f"{line.split(' ')[0]}, {_visible(body) or 'no body'}"


def _second_body(record: Record, _: str) -> str:
    sent = heads(record)
    if len(sent) < 2:
        return "not followed" if record["outcome"]["kind"] == "value" else outcome(record)
    return f"followed with {_visible(sent[1][2]) or 'no body'}; {outcome(record)}"


def _requests(record: Record, _: str) -> str:
    count = record["requests"]
    return f"{count} request{'s' if count != 1 else ''}; {outcome(record)}"


def _connections(record: Record, _: str) -> str:
    count = record["connections"]
    return f"{count} connection{'s' if count != 1 else ''}"


def _patience(record: Record, _: str) -> str:
    if record["outcome"]["kind"] == "error":
        return f"gave up: {record['outcome']['class'].rpartition('.')[2]}"
    return outcome(record)


def _size(record: Record, _: str) -> str:
    came = record["outcome"]
    if came["kind"] != "value":
        return outcome(record)
    cut = CUT.search(came["body"])
    size = int(cut[1]) if cut else len(came["body"])
    return f"{size:,} bytes" if size >= 1_000_000 else "left compressed"


def _promptly(record: Record, timeout: str) -> str:
    if record["outcome"]["kind"] != "value":
        return outcome(record)
    return "before the timeout is over" if record["seconds"] < int(timeout) else "when the timeout is over"


# --- HTTP/2 ---------------------------------------------------------------------------------------

PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAMES = ("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE")


def frames(text: str) -> list[tuple[int, int, int, str]]:
    """The frames of a recording that has them: kind, flags, stream and all bytes of each (RFC 9113 §4.1)."""
    found = []
    while text:
        length, kind, flags = int.from_bytes(text[:3].encode("latin-1")), ord(text[3]), ord(text[4])
        stream = int.from_bytes(text[5:9].encode("latin-1")) & 0x7FFFFFFF
        found.append((kind, flags, stream, text[: 9 + length]))
        text = text[9 + length :]
    return found


def sent_frames(record: Record) -> list[tuple[int, int, int, str]]:
    """Those that the client has sent on its first connection; none by HTTP/1.1."""
    sent = "".join(data for number, way, data in record["wire"] if way == "sent" and number == 1)
    return frames(sent.removeprefix(PREFACE)) if sent.startswith(PREFACE) else []


def _version(record: Record, _: str) -> str:
    if sent_frames(record):
        return "HTTP/2"
    sent = heads(record)
    return sent[0][0].rpartition(" ")[2] if sent else _no_request(record)


def _first_frames(record: Record, _: str) -> str:
    names = []
    for kind, _flags, _stream, _data in sent_frames(record):
        names.append(FRAMES[kind])
        if names[-1] == "HEADERS":
            break
    return ", ".join(names) or _no_request(record)


def _decoded(record: Record, _: str) -> str:
    return ", ".join(name for name, _value in record.get("fields", [])) or _no_request(record)


SPECIAL = {("second", "request"), ("second", "body")}
SHOWS: dict[str, Callable[[Record, str], str]] = {
    "outcome": outcome,
    "target": _target,
    "fields": _fields,
    "field": _field,
    "names": _names,
    "body": _body,
    "part": _part,
    "framed": _framed,
    "second": lambda record, name: _field(record, name, 1),
    "second request": _second_request,
    "second body": _second_body,
    "requests": _requests,
    "connections": _connections,
    "patience": _patience,
    "size": _size,
    "promptly": _promptly,
    "version": _version,
    "frames": _first_frames,
    "decoded": _decoded,
}
