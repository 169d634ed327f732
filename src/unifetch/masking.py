"""What no text of ours shows: one list of names whose values are credentials, and one way to leave them out.

Error messages, log lines, `repr`, warnings and `-v` all come through here. Names are compared without case, punctuation
and percent-encoding, so that `api_key`, `X-Api-Key`, `apiKey` and `%61pi_key` are the same. When in doubt, a name is on
the list: a value masked without need costs a glance, but one that is shown costs a new key.

A secret in a path, or under an unusual name, cannot be recognised.
"""

from __future__ import annotations

import re
from functools import lru_cache

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterator

REDACTED = "[redacted]"  # for the value of a field, or of a setting
IN_QUERY = "REDACTED"  # the word of OpenTelemetry's conventions; nothing in it is encoded in a URL

# In lower-case letters and digits, which is all that is compared: whole names, and parts of names. They are looked up
# in plain tables: every response asks for the names of its fields, and one expression for all takes long to compile.
_WHOLE = frozenset(
    """
    auth authcode authenticationinfo authorization authorizationcode awsaccesskeyid bearer code codeverifier cookie
    cookie2 creds devicecode dpop hmac key otp pass passcode phpsessid pin proxyauthenticationinfo proxyauthorization
    pwd samlart samlrequest samlresponse session setcookie sid sig ticket totp usercode wresult
    """.split()  # noqa: SIM905  # a list would be a page of quotation marks
)
_PARTS = """
    password passwd passphrase secret credential signature assertion jwt sessionid
    accesskey accountkey apikey appkey authkey clientkey encryptionkey functionskey licensekey masterkey privatekey
    servicekey sessionkey sharedkey signingkey subscriptionkey
    """.split()  # noqa: SIM905  # likewise
# A token is a secret, unless it only asks for the next page.
_OF_A_PAGE = ("pagetoken", "nexttoken", "continuationtoken", "continuetoken", "synctoken")

_KEY = r"""[?&#;][ ]?([^\s?&#;='"]{1,256})="""
_VALUE = r"""(?:[^&#\s'"]|['"](?=[\w%]))*"""  # a quotation mark that nothing follows ends the value
_USERINFO = r"""(?<=://)[^/?#\s'"@]*(?:@[^/?#\s'"@]*)*@"""


@lru_cache(1024)
def is_secret(name: str) -> bool:
    """Whether a field, a parameter or a key of this name holds a credential."""
    if "%" in name:
        name = re.sub("%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), name)
    plain = "".join([letter for letter in name.lower() if letter.isascii() and letter.isalnum()])
    return (
        plain.removeprefix("x") in _WHOLE
        or any(part in plain for part in _PARTS)
        or (plain.endswith("token") and not plain.endswith(_OF_A_PAGE))
    )


def masked(text: str) -> str:
    """A text of ours as it may be shown: the URLs in it without userinfo and the secrets of a query."""
    if "://" in text and "@" in text:
        text = re.sub(_USERINFO, "***@", text)
    return "".join(_without_values(text, _VALUE)) if "=" in text else text


def masked_url(text: str) -> str:
    """The same for a text that was meant to be one URL: a value ends with its parameter, whatever it contains."""
    # Up to the last @, wherever it is: a password that was not encoded may contain `/`, `?`, `#` and `@`.
    text = re.sub(r"\A(?ai:(https?://)?).*@", r"\1***@", text, flags=re.DOTALL)
    return "".join(_without_values(text, "[^&#]*"))


def _without_values(text: str, value: str) -> Iterator[str]:
    shown = 0
    for found in re.finditer(_KEY, text):
        if found.start() >= shown and is_secret(found[1]):
            yield text[shown : found.end()] + IN_QUERY
            end = re.compile(value).match(text, found.end())
            shown = found.end() if end is None else end.end()
    yield text[shown:]


def masked_field(name: str, value: str) -> str:
    """The value of a header field, as it may be shown."""
    return REDACTED if is_secret(name) else masked(value)
