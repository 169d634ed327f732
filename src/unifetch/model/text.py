"""What the bytes of a body mean as text, and as JSON.

No charset is guessed from the contents (that is how "café" becomes Japanese), and a Content-Type can only name those of
the WHATWG Encoding Standard: Python also has `hex`, `idna` and `utf-7`, which are dangerous, or no text encodings.
"""

from __future__ import annotations

import re
from functools import cache

from ..errors import InvalidJSON, InvalidSetting, evidence

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import json
    from collections.abc import Collection, Mapping
    from typing import Any, NoReturn

BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xfe\xff": "utf-16-be", b"\xff\xfe": "utf-16-le"}

# WHATWG Encoding §4.2: the labels of each encoding, in lower case and without punctuation, by Python's codec for it.
# Some mean more than they say: ISO-8859-1 is windows-1252 here, as in every browser. Left out are `replacement`, whose
# labels the standard makes undecodable, and `x-user-defined`. The few bytes to which a code page gives no meaning are
# C1 controls in the standard, and U+FFFD here.
_LABELS = {
    "utf-8": "utf8 unicode11utf8 unicode20utf8 xunicode20utf8",
    "utf-16-be": "utf16be unicodefffe",
    "utf-16-le": "utf16 utf16le unicode unicodefeff csunicode iso10646ucs2 ucs2",
    "cp1252": "windows1252 cp1252 xcp1252 iso88591 iso885911987 latin1 l1 isoir100 csisolatin1 cp819 ibm819"
    " ascii usascii ansix341968",
    "iso8859-2": "iso88592 iso885921987 latin2 l2 isoir101 csisolatin2",
    "iso8859-3": "iso88593 iso885931988 latin3 l3 isoir109 csisolatin3",
    "iso8859-4": "iso88594 iso885941988 latin4 l4 isoir110 csisolatin4",
    "iso8859-5": "iso88595 iso885951988 cyrillic isoir144 csisolatincyrillic",
    "iso8859-6": "iso88596 iso885961987 iso88596e iso88596i csiso88596e csiso88596i arabic asmo708 ecma114 isoir127"
    " csisolatinarabic",
    "iso8859-7": "iso88597 iso885971987 greek greek8 ecma118 elot928 isoir126 csisolatingreek suneugreek",
    "iso8859-8": "iso88598 iso885981988 iso88598e iso88598i csiso88598e csiso88598i hebrew logical visual isoir138"
    " csisolatinhebrew",
    "iso8859-10": "iso885910 latin6 l6 isoir157 csisolatin6",
    "iso8859-13": "iso885913",
    "iso8859-14": "iso885914",
    "iso8859-15": "iso885915 l9 csisolatin9",
    "iso8859-16": "iso885916",
    "cp874": "windows874 dos874 iso885911 tis620",
    "cp1250": "windows1250 cp1250 xcp1250",
    "cp1251": "windows1251 cp1251 xcp1251",
    "cp1253": "windows1253 cp1253 xcp1253",
    "cp1254": "windows1254 cp1254 xcp1254 iso88599 iso885991989 latin5 l5 isoir148 csisolatin5",
    "cp1255": "windows1255 cp1255 xcp1255",
    "cp1256": "windows1256 cp1256 xcp1256",
    "cp1257": "windows1257 cp1257 xcp1257",
    "cp1258": "windows1258 cp1258 xcp1258",
    "cp866": "ibm866 cp866 866 csibm866",
    "koi8-r": "koi8r koi8 koi cskoi8r",
    "koi8-u": "koi8u koi8ru",
    "mac-roman": "macintosh mac xmacroman csmacintosh",
    "mac-cyrillic": "xmaccyrillic xmacukrainian",
    "gb18030": "gb18030 gbk xgbk gb2312 gb231280 chinese isoir58 csgb2312 csiso58gb231280",
    "big5hkscs": "big5 big5hkscs cnbig5 xxbig5 csbig5",
    "euc_jp": "eucjp xeucjp cseucpkdfmtjapanese",
    "iso2022_jp": "iso2022jp csiso2022jp",
    "cp932": "shiftjis sjis xsjis ms932 mskanji windows31j csshiftjis",
    "cp949": "euckr cseuckr ksc5601 ksc56011987 ksc56011989 csksc56011987 korean isoir149 windows949",
}

# What `json.loads` takes; another class of decoder may take more.
_LOADS = {"object_hook", "object_pairs_hook", "parse_float", "parse_int", "parse_constant", "strict"}

# RFC 9110 §5.6.6. A quoted string is matched as a whole, so that nothing in it passes for a parameter.
_PARAMETER = re.compile(r""";[ \t]*([^\s;,="]+)=("(?:[^"\\]|\\.)*"|[^;,]*)""")
_PUNCTUATION = re.compile("[^a-z0-9]+")


def decode_text(body: bytes, content_type: str) -> str:
    """The body by its byte order mark, else the charset of its Content-Type, else UTF-8 (WHATWG Encoding §6, "decode").

    Bytes that do not decode become U+FFFD; the mark is removed.
    """
    codec, mark = codec_of(body, content_type)
    return str(memoryview(body)[mark:], codec, "replace")


def codec_of(head: bytes, content_type: str, marks: Collection[bytes] = BYTE_ORDER_MARKS) -> tuple[str, int]:
    """The codec for a body that starts with these bytes (three are enough), and the length of its byte order mark."""
    for mark in marks:
        if head.startswith(mark):
            return BYTE_ORDER_MARKS[mark], len(mark)
    label = _PUNCTUATION.sub("", (charset_of(content_type) or "").lower())
    return _codecs().get(label, "utf-8"), 0


def charset_of(content_type: str) -> str | None:
    """The charset parameter of a Content-Type as it is written, without quotation marks; None if there is none."""
    for parameter in _PARAMETER.finditer(content_type):
        if parameter[1].lower() == "charset":
            return re.sub(r"\\(.)", r"\1", parameter[2].strip(" \t").strip('"')) or None
    return None


@cache
def _codecs() -> dict[str, str]:
    return {label: codec for codec, labels in _LABELS.items() for label in labels.split()}


def decode_json(body: bytes, content_type: str = "", arguments: Mapping[str, Any] | None = None) -> Any:
    """The body as JSON (RFC 8259), whatever its Content-Type says; `arguments` are those of `json.loads`.

    JSON is in UTF-8 (§8.1); a byte order mark, UTF-16 and UTF-32 are recognised. `NaN` and `Infinity`, which Python
    would accept, are not JSON (§6). Raises `InvalidJSON` for a body that is empty, does not decode, or is not JSON.
    """
    if not body:
        raise InvalidJSON("the body is empty, which is not JSON", request_sent="yes")
    from json import JSONDecodeError, detect_encoding, loads

    try:
        text = body.decode(detect_encoding(body))
    except UnicodeDecodeError as error:
        shown = evidence(body[error.start : error.start + 16])
        what = f"{error.reason} ({error.encoding}) at byte {error.start}: {shown}"
        if codec_of(b"", content_type)[0] != "utf-8":
            what += f"; its Content-Type is {evidence(content_type)}, and json.loads(response.text) goes by that"
        raise InvalidJSON(f"the body is not JSON: {what}", request_sent="yes") from None
    if arguments and "cls" not in arguments and not arguments.keys() <= _LOADS:
        wrong = next(name for name in arguments if name not in _LOADS)
        why = {"content_type": "; no Content-Type is asked for", "encoding": "; JSON tells its own"}.get(wrong, "")
        raise InvalidSetting(f"json() takes no {wrong}={why or '; it takes what json.loads does'}")
    try:
        if arguments:
            return loads(text, **{"parse_constant": _refuse_constant, **arguments})
        return _json_decoder().decode(text)
    except JSONDecodeError as error:
        what = f"{error.msg} at character {error.pos}: {evidence(error.doc[error.pos : error.pos + 16])}"
    except RecursionError:
        what = "it is nested too deeply"
    except ValueError as error:  # NaN, or a number with thousands of digits
        what = str(error)
    # The cause is not chained: it holds the whole body, and some reports would show it.
    raise InvalidJSON(f"the body is not JSON: {what}", request_sent="yes")


@cache
def _json_decoder() -> json.JSONDecoder:
    from json import JSONDecoder

    return JSONDecoder(parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")
