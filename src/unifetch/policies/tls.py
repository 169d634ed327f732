"""TLS settings as one value, which becomes one `ssl.SSLContext` that every backend uses.

A context is built when the first https connection needs it, and kept, because reading the system's trust store takes
longer than the rest of a request. Refused are certificates that name their host only in the common name, and
connections that end without close_notify (RFC 9112 §9.8).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ..errors import InvalidSetting, shown
from ..masking import REDACTED
from ..model.frozen import Value, check_keys, of_fields

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from typing import Any, Never, TypeAlias

    TLSTypes: TypeAlias = "bool | Mapping[str, Any] | TLS | ssl.SSLContext"

_VERSIONS = {"1.2": "TLSv1_2", "1.3": "TLSv1_3"}
_contexts: dict[object, ssl.SSLContext] = {}


class TLS(Value):
    """How https connections are secured.

    Args:
        verify: whether the server must show a certificate that is trusted for its name.
        ca_file: path of a file with the certificates to trust (PEM) instead of the system's.
        ca_path: path of a directory of such certificates, named as OpenSSL does.
        client_cert: path of our own certificate with its key (PEM), or paths of the two, or these and the passphrase
            of the key, which no `repr` and no pickle shows.
        min_version: `"1.2"` or `"1.3"`.
        alpn: the protocols to offer, in order (RFC 7301).
        check_hostname: whether the certificate must be for the host of the URL.
        fingerprint: `"sha-256:…"` in hexadecimal, of the one certificate to trust, whatever its issuer, name and dates.
        ssl_context: the caller's own `ssl.SSLContext`, used as it is, ALPN included; it excludes all other settings.

    Raises:
        InvalidSetting: for a value of the wrong type.
    """

    verify: bool
    ca_file: str | None
    ca_path: str | None
    client_cert: str | tuple[str, str] | tuple[str, str, str] | None
    min_version: str
    alpn: tuple[str, ...]
    check_hostname: bool
    fingerprint: str | None = None
    ssl_context: ssl.SSLContext | None = None

    def __init__(
        self,
        *,
        verify: bool = True,
        ca_file: Any = None,
        ca_path: Any = None,
        client_cert: Any = None,
        min_version: str = "1.2",
        alpn: Any = ("http/1.1",),
        check_hostname: bool = True,
        fingerprint: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        **other: Never,
    ) -> None:
        if other:
            check_keys("tls", other, TLS.__annotations__)
        for name, flag in (("verify", verify), ("check_hostname", check_hostname)):
            if not isinstance(flag, bool):
                raise InvalidSetting(f"tls: {name} must be true or false, not {type(flag).__name__}")
        if not isinstance(min_version, str) or min_version not in _VERSIONS:
            raise InvalidSetting(f"tls: min_version must be one of {', '.join(_VERSIONS)}, not {shown(min_version)}")
        if not isinstance(alpn, (list, tuple)) or not all(map(_is_protocol_name, alpn)):
            raise InvalidSetting("tls: alpn must be a list of protocol names, of 1 to 255 ASCII characters each")
        if isinstance(client_cert, (list, tuple)):
            if len(client_cert) not in (2, 3):
                raise InvalidSetting(
                    "tls: client_cert must be one path, or the paths of certificate and key, and the passphrase"
                )
            paths = (_path("client_cert", client_cert[0]), _path("client_cert", client_cert[1]))
            if len(client_cert) == 3 and not isinstance(client_cert[2], str):
                raise InvalidSetting("tls: the passphrase of a client_cert must be str")
            client_cert = (*paths, *client_cert[2:])
        elif client_cert is not None:
            client_cert = _path("client_cert", client_cert)
        vars(self).update(
            verify=verify,
            ca_file=None if ca_file is None else _path("ca_file", ca_file),
            ca_path=None if ca_path is None else _path("ca_path", ca_path),
            client_cert=client_cert,
            min_version=min_version,
            alpn=tuple(alpn),
            check_hostname=check_hostname,
        )
        if fingerprint is not None:
            vars(self)["fingerprint"] = _fingerprint(fingerprint)
        if ssl_context is not None:
            if vars(self) != vars(TLS()):
                raise InvalidSetting("tls: an ssl_context says everything; give it alone")
            if not _is_context(ssl_context):
                raise InvalidSetting(f"tls: ssl_context must be an ssl.SSLContext, not {type(ssl_context).__name__}")
            vars(self)["ssl_context"] = ssl_context

    @classmethod
    def of(cls, setting: TLSTypes) -> TLS:
        """From what a caller may write: a TLS, a mapping of its fields, a context, or whether to verify.

        Raises:
            InvalidSetting: for another type or an unknown key.
        """
        if isinstance(setting, bool):
            return cls(verify=setting)
        if _is_context(setting):
            return cls(ssl_context=setting)  # type: ignore[arg-type]  # it has just been checked
        if isinstance(setting, str) or hasattr(setting, "__fspath__"):
            kind = type(setting).__name__
            raise InvalidSetting(
                f'tls: must be a TLS or its fields, not {kind}; a file of certificates to trust is {{"ca_file": …}}'
            )
        return of_fields(cls, "tls", setting)

    def offering(self, http2: bool | str) -> TLS:
        """These settings, offering `"h2"` by ALPN first (for True), alone (`"only"`) or not at all (RFC 9113 §3.2)."""
        if self.ssl_context is not None:
            return self
        others = () if http2 == "only" else tuple(name for name in self.alpn if name != "h2")
        alpn = ("h2", *others) if http2 else others
        return self if alpn == self.alpn else self.replace(alpn=alpn)

    def for_others(self) -> TLS:
        """These settings for another origin than that of the credentials: without the client certificate."""
        return self.replace(client_cert=None)

    def for_proxy(self) -> TLS:
        """The settings for a proxy: whom to trust. It gets no client certificate, and is always verified."""
        return TLS(ca_file=self.ca_file, ca_path=self.ca_path, min_version=self.min_version)

    def context(self) -> ssl.SSLContext:
        """The context of these settings, built at the first call and shared by all equal settings.

        Raises:
            InvalidSetting: if a certificate file cannot be read.
        """
        import os

        if self.ssl_context is not None:
            return self.ssl_context
        # These two tell OpenSSL where the system's certificates are.
        key = self, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
        found = _contexts.get(key)
        if found is None:
            # Two threads may both build one; the first one stored is used by all.
            found = _contexts.setdefault(key, _build(self))
        return found

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._without_passphrase().items())
        return f"TLS({fields})"

    def __getstate__(self) -> dict[str, Any]:
        if self.ssl_context is not None:
            raise TypeError("a TLS with an ssl_context cannot be pickled; name its files instead")
        return self._without_passphrase()

    def _without_passphrase(self) -> dict[str, Any]:
        cert = self.client_cert
        shown = (*cert[:2], REDACTED) if isinstance(cert, tuple) and cert[2:] else cert
        return {**vars(self), "client_cert": shown}


def _is_context(setting: object) -> bool:
    ssl = sys.modules.get("ssl")  # whoever has a context has imported it
    return ssl is not None and isinstance(setting, ssl.SSLContext)


def _fingerprint(text: object) -> str:
    digits = text[8:].replace(":", "").lower() if isinstance(text, str) and text[:8].lower() == "sha-256:" else ""
    if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise InvalidSetting('tls: fingerprint must be "sha-256:" and 64 hexadecimal digits')
    return f"sha-256:{digits}"


def _is_protocol_name(name: object) -> bool:
    return isinstance(name, str) and name.isascii() and 1 <= len(name) <= 255  # RFC 7301 §3.1


def _path(name: str, value: object) -> str:
    import os

    try:
        path = os.fsdecode(os.fspath(value))  # type: ignore[call-overload]  # the TypeError is the check
    except TypeError:
        raise InvalidSetting(f"tls: {name} must be a path, not {type(value).__name__}") from None
    if not path or "\0" in path:
        # An empty one, as of a variable that is not set, must not mean what the system trusts.
        raise InvalidSetting(f"tls: {name} must be a path, not {shown(path)}; None leaves it out")
    return path


def _build(settings: TLS) -> ssl.SSLContext:
    import ssl

    class Context(ssl.SSLContext):
        """Reports a connection that ends without close_notify, which is no error by default."""

        def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
            return super().wrap_socket(*args, **{**kwargs, "suppress_ragged_eofs": False})

    if settings.fingerprint is not None:
        _pin(Context, settings.fingerprint)
    context = Context(ssl.PROTOCOL_TLS_CLIENT)
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.hostname_checks_common_name = False
    context.minimum_version = getattr(ssl.TLSVersion, _VERSIONS[settings.min_version])
    if settings.alpn:
        context.set_alpn_protocols(list(settings.alpn))
    context.check_hostname = settings.check_hostname and settings.verify and settings.fingerprint is None
    context.verify_mode = ssl.CERT_REQUIRED if settings.verify and settings.fingerprint is None else ssl.CERT_NONE
    trusted = settings.ca_file or settings.ca_path
    try:
        if trusted:
            context.load_verify_locations(settings.ca_file, settings.ca_path)
        elif settings.verify:
            context.load_default_certs()
    except OSError as error:  # SSLError is an OSError, too
        raise InvalidSetting(f"tls: cannot load {trusted}: {error}") from error
    if settings.client_cert:
        _load_own(context, settings.client_cert)
    return context


def _load_own(context: ssl.SSLContext, cert: Any) -> None:
    from ssl import SSLError

    certificate, *rest = (cert,) if isinstance(cert, str) else cert
    if rest[1:] == [REDACTED]:
        raise InvalidSetting("tls: this TLS was pickled without the passphrase of its key; set it again")
    try:
        # Without a password, OpenSSL would ask on the terminal for that of an encrypted key, and wait.
        context.load_cert_chain(certificate, rest[0] if rest else None, rest[1] if rest[1:] else "")
    except OSError as error:
        shown = cert if isinstance(cert, str) else cert[:2]
        locked = "; is its key locked? client_cert=(certificate, key, passphrase) unlocks it"
        hint = locked if isinstance(error, SSLError) else ""
        raise InvalidSetting(f"tls: cannot load {shown}: {error}{hint}") from error


def _pin(kind: type[ssl.SSLContext], fingerprint: str) -> None:
    """Make connections of this context class check the certificate at the end of their handshake.

    Every library passes through there, however it wraps a socket, and before anything is sent.
    """
    import ssl
    from hashlib import sha256

    def check(connection: Any) -> None:
        shown = sha256(connection.getpeercert(True) or b"").hexdigest()
        if f"sha-256:{shown}" != fingerprint:
            raise ssl.SSLCertVerificationError(f"the certificate is not the one that is pinned, but sha-256:{shown}")

    class PinnedSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            check(self)

    class PinnedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            check(self)

    kind.sslsocket_class = PinnedSocket
    kind.sslobject_class = PinnedObject
