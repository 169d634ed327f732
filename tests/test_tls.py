"""TLS settings: plain data goes in, one context comes out, as strict as it can be."""

from __future__ import annotations

import pickle
import ssl
from pathlib import Path
from typing import Any

import pytest

import servers
from unifetch import TLS, InvalidSetting
from unifetch.policies import tls as tls_module


@pytest.fixture(autouse=True)
def _no_contexts_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contexts are shared by the whole process, and other tests may have changed theirs."""
    monkeypatch.setattr(tls_module, "_contexts", {})


# --- What may be written --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (True, TLS()),
        (False, TLS(verify=False)),
        ({}, TLS()),
        ({"verify": False}, TLS(verify=False)),
        ({"ca_file": Path("/ca.pem")}, TLS(ca_file="/ca.pem")),
        ({"ca_path": b"/ca"}, TLS(ca_path="/ca")),
        ({"client_cert": ["/c.pem", Path("/k.pem")]}, TLS(client_cert=("/c.pem", "/k.pem"))),
        ({"alpn": ["h2", "http/1.1"]}, TLS(alpn=("h2", "http/1.1"))),
        (TLS(min_version="1.3"), TLS(min_version="1.3")),
    ],
)
def test_what_may_be_written(setting: Any, expected: TLS) -> None:
    """Whether to verify, a mapping, or a TLS; paths are text in the end."""
    assert expected == TLS.of(setting)


def test_defaults() -> None:
    """Verified, by name, TLS 1.2 at least, HTTP/1.1."""
    tls = TLS()

    assert (True, None, None, None, "1.2", ("http/1.1",), True) == (
        tls.verify,
        tls.ca_file,
        tls.ca_path,
        tls.client_cert,
        tls.min_version,
        tls.alpn,
        tls.check_hostname,
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"verify": 0}, "verify must be true or false, not int"),
        ({"verify": "/ca.pem"}, "verify must be true or false, not str"),
        ({"verify": None}, "verify must be true or false, not NoneType"),
        ({"check_hostname": 1}, "check_hostname must be true or false, not int"),
        ({"ca_file": 5}, "ca_file must be a path, not int"),
        ({"ca_path": []}, "ca_path must be a path, not list"),
        ({"client_cert": 5}, "client_cert must be a path, not int"),
        (
            {"client_cert": ["a"]},
            "client_cert must be one path, or the paths of certificate and key, and the passphrase",
        ),
        ({"client_cert": ["a", 5]}, "client_cert must be a path, not int"),
        ({"min_version": "1.1"}, "min_version must be one of 1.2, 1.3, not '1.1'"),
        ({"min_version": 1.2}, "min_version must be one of 1.2, 1.3, not 1.2"),
        ({"min_version": []}, "min_version must be one of 1.2, 1.3, not "),
        ({"alpn": "h2"}, "alpn must be a list of protocol names"),
        ({"alpn": [5]}, "alpn must be a list of protocol names"),
        ({"alpn": 5}, "alpn must be a list of protocol names"),
        ({"alpn": [""]}, "alpn must be a list of protocol names"),
        ({"alpn": ["x" * 256]}, "alpn must be a list of protocol names"),
        ({"alpn": ["é"]}, "alpn must be a list of protocol names"),
        ({"cafile": "x"}, "unknown key 'cafile'; here it is ca_file= "),
        ("no", "must be a TLS or its fields, not str"),
        (None, "must be a TLS or its fields, not NoneType"),
        (ssl.create_default_context, "must be a TLS or its fields, not "),
    ],
)
def test_what_is_refused(setting: Any, message: str) -> None:
    """The message names the key."""
    with pytest.raises(InvalidSetting, match=f"^tls: {message}"):
        TLS.of(setting)


def test_is_a_value() -> None:
    """Equal by its fields, hashable, frozen, pickled."""
    tls = TLS(ca_file="/ca.pem")

    assert (tls, hash(tls)) == (TLS(ca_file="/ca.pem"), hash(TLS(ca_file="/ca.pem")))
    assert tls == pickle.loads(pickle.dumps(tls))
    assert TLS(ca_file="/ca.pem", verify=False) == tls.replace(verify=False)
    with pytest.raises(AttributeError, match="frozen"):
        tls.verify = False


# --- The context ----------------------------------------------------------------------------------


def test_context_is_strict() -> None:
    """It verifies, checks the name, takes no name from the common name, and reports a truncated connection."""
    context = TLS().context()

    assert (ssl.CERT_REQUIRED, True, False) == (
        context.verify_mode,
        context.check_hostname,
        context.hostname_checks_common_name,
    )
    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version
    assert 0 == context.options & getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)


def test_context_is_built_once() -> None:
    """Whoever has the same settings shares it; others do not."""
    assert TLS().context() is TLS().context()
    assert TLS().context() is not TLS(verify=False).context()
    assert TLS(verify=False).context() is TLS.of(False).context()


@pytest.mark.parametrize(
    ("settings", "verify_mode", "check_hostname"),
    [
        ({}, ssl.CERT_REQUIRED, True),
        ({"verify": False}, ssl.CERT_NONE, False),
        ({"check_hostname": False}, ssl.CERT_REQUIRED, False),
    ],
)
def test_verification(settings: dict[str, Any], verify_mode: ssl.VerifyMode, check_hostname: bool) -> None:
    """Only what is said is relaxed."""
    context = TLS(**settings).context()

    assert (verify_mode, check_hostname) == (context.verify_mode, context.check_hostname)


def test_minimum_version() -> None:
    """TLS 1.3 can be asked for."""
    assert ssl.TLSVersion.TLSv1_3 == TLS(min_version="1.3").context().minimum_version


def test_own_authority_replaces_the_systems() -> None:
    """With a `ca_file`, it and nobody else is trusted."""
    authority = servers.certificate_authority()

    assert 1 == len(TLS(ca_file=authority.ca_file).context().get_ca_certs())


def test_unverified_trusts_nobody() -> None:
    """No trust store is read for it: that would take longer than all the rest."""
    assert [] == TLS(verify=False).context().get_ca_certs()


@pytest.mark.parametrize("name", ["ca_file", "client_cert"])
@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_file_that_cannot_be_loaded(tmp_path: Path, name: str, content: bytes | None) -> None:
    """One that is missing or holds no certificate is our error, and named."""
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InvalidSetting, match=f"^tls: cannot load {path}: "):
        TLS(**{name: path}).context()


def test_client_certificate() -> None:
    """A file with both, or one for the certificate and one for its key."""
    authority = servers.certificate_authority()
    path = authority.certificate("client.test")

    assert TLS(client_cert=path).context() is not TLS(client_cert=(path, path)).context()


def test_certificate_that_is_missing_beside_an_authority(tmp_path: Path) -> None:
    """The file that cannot be loaded is the one that is named."""
    authority = servers.certificate_authority()

    with pytest.raises(InvalidSetting, match=f"^tls: cannot load {tmp_path / 'client.pem'}: "):
        TLS(ca_file=authority.ca_file, client_cert=tmp_path / "client.pem").context()


def test_encrypted_key(tmp_path: Path) -> None:
    """A key that needs a passphrase is refused; nobody is asked for it on the terminal."""
    from cryptography.hazmat.primitives import serialization

    whole = servers.certificate_authority().certificate("client.test").read_bytes()
    key = serialization.load_pem_private_key(whole, None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    path = tmp_path / "encrypted.pem"
    path.write_bytes(encrypted + whole[whole.index(b"-----BEGIN CERTIFICATE") :])

    with pytest.raises(InvalidSetting, match=f"^tls: cannot load {path}: "):
        TLS(client_cert=path).context()
