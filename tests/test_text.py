"""Bytes as text and as JSON: which charset counts, and what is refused."""

from __future__ import annotations

import codecs
import json
import pickle

import pytest

from unifetch.errors import InvalidJSON
from unifetch.model import text
from unifetch.model.text import decode_json, decode_text

CAFE = "café €"


# --- Text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["", "text/plain", "text/html; charset=", "application/json", "nonsense"])
def test_without_a_charset_text_is_utf_8(content_type):
    """Neither ISO-8859-1 (RFC 9110 has dropped it) nor a guess from the contents."""
    assert decode_text(CAFE.encode(), content_type) == CAFE


def test_what_does_not_decode_is_replaced():
    """`.text` never raises: it is for reading, not for parsing."""
    assert decode_text(b"caf\xe9!", "text/plain") == "caf\N{REPLACEMENT CHARACTER}!"
    assert decode_text(b"a\0b", "text/plain; charset=utf-16le") == "\u0061\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "parameter",
    [
        "charset=koi8-r",
        "Charset=KOI8-R",
        'charset="koi8-r"',
        r'charset="koi8\-r"',
        "boundary=x;charset=koi8-r ;x=y",
        "\tcharset=koi8-r; charset=utf-8",
        'title="; charset=utf-8"; charset=koi8-r',
        r'title="\"; charset=utf-8"; charset=koi8-r',
        "broken; charset=koi8-r",
        "charset='koi8-r'",
        "charset=koi8-r, text/html; charset=utf-8",
    ],
)
def test_the_charset_parameter_is_found(parameter):
    """Parameters by RFC 9110 §5.6.6: names without case, values as token or quoted string; the first one counts."""
    assert decode_text("да".encode("koi8-r"), f"text/plain; {parameter}") == "да"


@pytest.mark.parametrize("parameter", ['title="charset=koi8-r"', "xcharset=koi8-r", 'a="b; charset=koi8-r"'])
def test_what_is_no_charset_parameter(parameter):
    """Neither a part of another's value nor of another's name."""
    assert decode_text("да".encode(), f"text/plain; {parameter}") == "да"


@pytest.mark.parametrize(
    "label", ["iso-8859-1", "ISO_8859-1:1987", "latin1", "us-ascii", "ascii", "windows-1252", "l1"]
)
def test_latin_1_is_windows_1252(label):
    """So the Encoding Standard says, because so the web does."""
    assert decode_text(b"\x80 \x93caf\xe9\x94", f"text/plain; charset={label}") == "€ “café”"


@pytest.mark.parametrize(
    "label", ["hex", "base64", "rot13", "zlib", "bz2", "idna", "punycode", "utf-7", "unicode_escape",
              "raw_unicode_escape", "undefined", "mbcs", "cp037", "utf-8-sig", "utf-32", "x" * 60_000, "\xe9", "../os"]
)  # fmt: skip
def test_what_is_no_label_of_a_text_encoding_is_ignored(label):
    """Python knows more codecs than the Encoding Standard, and some of them are no text, or a danger."""
    assert decode_text(CAFE.encode(), f"text/plain; charset={label}") == CAFE


def test_every_label_leads_to_a_codec_of_python():
    """The table has no name that would be an error only when a server sends it."""
    for label, codec in text._codecs().items():
        assert decode_text(b"A", f"text/plain; charset={label}") in ("A", "\N{REPLACEMENT CHARACTER}")
        assert codecs.getincrementaldecoder(codec)("replace") is not None


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("ISO-8859-2", "iso8859-2"), ("iso-8859-9", "cp1254"), ("Shift_JIS", "cp932"), ("x-sjis", "cp932"),
        ("EUC-JP", "euc_jp"), ("gb2312", "gb18030"), ("GBK", "gb18030"), ("Big5", "big5hkscs"), ("euc-kr", "cp949"),
        ("ks_c_5601-1987", "cp949"), ("windows-1251", "cp1251"), ("tis-620", "cp874"), ("macintosh", "mac-roman"),
        ("unicode-1-1-utf-8", "utf-8"), ("utf-16", "utf-16-le"), ("utf-16be", "utf-16-be"),
    ],
)  # fmt: skip
def test_labels_of_the_encoding_standard(label, codec):
    """A sample of WHATWG Encoding §4.2."""
    assert text.codec_of(b"abc", f"text/plain; charset={label}") == (codec, 0)


@pytest.mark.parametrize("content_type", ["", "text/plain; charset=koi8-r", "text/plain; charset=utf-16le"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16-be", "utf-16-le"])
def test_a_byte_order_mark_counts_most_and_is_taken_off(codec, content_type):
    """WHATWG Encoding §6: before the charset parameter; only the first mark is one."""
    assert decode_text(("\ufeff" + CAFE).encode(codec), content_type) == CAFE
    assert decode_text("\ufeff\ufeff".encode(codec), content_type) == "\ufeff"


def test_empty_text():
    """No bytes are no characters, in any charset."""
    assert decode_text(b"", "text/plain; charset=utf-16") == ""


# --- JSON -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_json_in_unicode(codec):
    """UTF-8 is the rule (RFC 8259 §8.1); its older encodings are recognised by their zeros, or a mark."""
    value = {"drink": CAFE, "n": [1, 2.5, True, None]}

    assert decode_json(json.dumps(value, ensure_ascii=False).encode(codec)) == value


@pytest.mark.parametrize("body", [b"0", b' "x" ', b"\r\n\t[]\n", b"null"])
def test_any_value_is_json(body):
    """Not only objects and arrays; white space around it is none of it."""
    assert decode_json(body) == json.loads(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is not JSON: Expecting value at character 2"),
        (b'{"a": 1,}', "at character"),
        (b"<!doctype html>", "Expecting value at character 0: '<!doctype html>'"),
        (b'{"a": 1} {"b": 2}', "Extra data at character 9: '{\"b\": 2}'"),
        (b'"caf\xe9"', r"not JSON: .* \(utf-8\) at byte 4: b'\\xe9\"'"),
        (b'"\xed\xa0\x80"', r"\(utf-8\) at byte 1"),
        (b"[NaN]", "NaN is not a number of JSON"),
        (b"-Infinity", "-Infinity is not a number of JSON"),
        (b"Infinity", "Infinity is not a number of JSON"),
        (b"'x'", "at character 0"),
        (b"[1,2", "at character 4"),
        (b'"a\nb"', "Invalid control character"),
        (b"[" * 200_000, "nested too deeply"),
        (b"9" * 5_000, "4300"),
    ],
)
def test_what_is_not_json(body, message):
    """One exception, which tells where, shows a little, and pickles."""
    with pytest.raises(InvalidJSON, match=message) as raised:
        decode_json(body)

    assert isinstance(raised.value, ValueError)
    assert len(str(raised.value)) < 200
    assert raised.value.request_sent == "yes"
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_the_error_does_not_hold_the_body():
    """The standard library's error has the whole document in it; ours does not drag it along."""
    with pytest.raises(InvalidJSON) as raised:
        decode_json(b'{"token": "secret", oops}')

    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert "secret" not in str(raised.value)
