"""What no text of ours shows: the names that are known, and where a value begins and ends."""

from __future__ import annotations

import pytest

from unifetch.errors import ConnectError
from unifetch.masking import REDACTED, is_secret, masked, masked_field, masked_url

SECRET = """
private_token access_key key code jwt session auth assertion client_assertion accessToken oauth_token private_key
passphrase SAMLResponse x-api-key %61pi_key api_key apikey API-KEY access_token id_token refresh_token token sig
Signature X-Amz-Signature X-Goog-Signature X-Amz-Credential X-Amz-Security-Token AWSAccessKeyId client_secret secret
password passwd pwd user[password] new_password githubToken subscription-key sessionid PHPSESSID sid ticket otp
code_verifier device_code Authorization Cookie Set-Cookie X-Vault-Token Private-Token X-Goog-Api-Key
"""
HARMLESS = """
page q id name sort state zip_code country_code status_code max_tokens page_token nextPageToken continuation-token
Idempotency-Key Content-Type ETag Accept author keyword primary_key_name design signal monkey tokenize Sec-WebSocket-Key
"""


@pytest.mark.parametrize("name", SECRET.split())
def test_secret_names(name: str) -> None:
    """Each of these is known, in any case, with any punctuation, and percent-encoded."""
    encoded = "".join(f"%{ord(character):02x}" for character in name)

    assert is_secret(name)
    assert is_secret(name.upper().replace("_", "-"))
    assert "%" in name or is_secret(encoded)
    assert f"http://h/?a=1&{name}=REDACTED&b=2" == masked(f"http://h/?a=1&{name}=hunter2&b=2")


@pytest.mark.parametrize("name", HARMLESS.split())
def test_harmless_names(name: str) -> None:
    """What only looks like one is shown, because a log without it is of less use."""
    assert not is_secret(name)
    assert "value" == masked_field(name, "value")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://h/path", "http://h/path"),
        ("http://h/?page=2&q=token", "http://h/?page=2&q=token"),
        ("http://h/?sig=hunter2&page=2", "http://h/?sig=REDACTED&page=2"),
        ("http://h/?a=1&ACCESS_TOKEN=hunter2#x", "http://h/?a=1&ACCESS_TOKEN=REDACTED#x"),
        ("http://h/#access_token=hunter2&state=1", "http://h/#access_token=REDACTED&state=1"),
        ("got 'http://h/?X-Amz-Signature=hunter2': bad", "got 'http://h/?X-Amz-Signature=REDACTED': bad"),
        ("got 'http://h/?token=hun'ter2'", "got 'http://h/?token=REDACTED'"),
        ("http://h/?token=a;b&c=d", "http://h/?token=REDACTED&c=d"),
        ("http://h/?a=b;token=c", "http://h/?a=b;token=REDACTED"),
        ("no http://h/?sig=abc, no 'http://b/?sig=abc'", "no http://h/?sig=REDACTED no 'http://b/?sig=REDACTED'"),
        ("https://h/sig=abc?design=1&signal=2", "https://h/sig=abc?design=1&signal=2"),
        ("https://h/?sig=#part", "https://h/?sig=REDACTED#part"),
        ("https://h/?token=a?token=b", "https://h/?token=REDACTED"),
        ("through http://usern:hunter2@proxy:3128: refused", "through http://***@proxy:3128: refused"),
        ("http://a@b@h/users/@me", "http://***@h/users/@me"),
        ("http://h/users/@me", "http://h/users/@me"),
        ("", ""),
    ],
)
def test_masked(text: str, shown: str) -> None:
    """Userinfo, and query values that are credentials by their key, give way; keys and everything else stay."""
    assert shown == masked(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://h/?token=hun ter2&a=b", "http://h/?token=REDACTED&a=b"),
        ("user:pass/word?@h", "***@h"),
        ("HTTP://user:p@ss@h/?a=b", "HTTP://***@h/?a=b"),
    ],
)
def test_masked_url(text: str, shown: str) -> None:
    """What was meant to be a URL may have anything in a value or a password."""
    assert shown == masked_url(text)


def test_fields() -> None:
    """A field is known by its name, and one that holds a URL is shown without what that holds."""
    assert REDACTED == masked_field("X-API-Key", "hunter2")
    assert "/next?code=REDACTED&page=2" == masked_field("Location", "/next?code=hunter2&page=2")


def test_every_error_is_masked() -> None:
    """No message of ours gets past it, whoever wrote it."""
    error = ConnectError("theirs said: no way to http://u:hunter2@h/?api_key=hunter2")

    assert "theirs said: no way to http://***@h/?api_key=REDACTED" == str(error)
    assert (str(error),) == error.args


def test_time() -> None:
    """A long text that is made to be slow is not: a quadratic search would not end."""
    for text in ("?" * 10**5, "&a" * 10**5 + "=", "?" + "a" * 10**5, "://@" * 10**5, "://" + "a@" * 10**5):
        masked(text)
        masked_url(text)
