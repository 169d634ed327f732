"""What OpenSSL's words mean, and what to try."""

from __future__ import annotations

import os

from ..errors import TLSError

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from ..errors import RequestSent

_NO_TLS = "it does not speak TLS on this port; is it http://?"
_ENDED = "it ended the connection; does it serve this name, and TLS on this port?"
_VERSION = "it speaks no version of TLS that both sides allow; tls min_version is 1.2 unless set"
_NONE_SHOWN = "it asks for a client certificate, and none was shown; set tls client_cert"
_NO_PROTOCOL = "it speaks no protocol that we offer by ALPN; http2=True offers HTTP/2 as well"
_NOT_ACCEPTED = "it does not accept the client certificate that was shown"

_MEANINGS = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "UNEXPECTED_EOF_WHILE_READING": _ENDED,
    "TLSV1_ALERT_PROTOCOL_VERSION": _VERSION,
    "UNSUPPORTED_PROTOCOL": _VERSION,
    "TLSV1_UNRECOGNIZED_NAME": "it does not know this host name",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it accepts nothing that we offer; does it ask for a client certificate?",
}
# How a server refuses a client certificate. With TLS 1.3 it comes when the handshake is over for us (RFC 8446 §4.4.2).
_REFUSALS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _NONE_SHOWN,
    "SSLV3_ALERT_BAD_CERTIFICATE": _NOT_ACCEPTED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _NOT_ACCEPTED,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _NOT_ACCEPTED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _NOT_ACCEPTED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _NOT_ACCEPTED,
    "TLSV1_ALERT_ACCESS_DENIED": _NOT_ACCEPTED,
    "TLSV1_ALERT_UNKNOWN_CA": _NOT_ACCEPTED,
}
# X509_V_ERR codes: self-signed, its issuer unknown.
_NOT_TRUSTED = {18, 19, 20, 21}


def handshake_failed(error: BaseException, host: str, port: int) -> TLSError:
    """What is raised if a handshake with an origin or a proxy has failed."""
    reason = getattr(error, "reason", None)
    if message := getattr(error, "verify_message", ""):
        words = message + _hint(error)
    elif reason in _MEANINGS or reason in _REFUSALS:
        words = f"{_MEANINGS.get(reason) or _REFUSALS[reason]} ({reason})"
    elif isinstance(error, ConnectionError):
        words = f"{_ENDED} ({error.strerror or type(error).__name__})"
    elif "no application protocol" in str(error):  # which the table of `ssl` does not have
        words = f"{_NO_PROTOCOL} (TLSV1_ALERT_NO_APPLICATION_PROTOCOL)"
    else:
        words = str(reason or getattr(error, "strerror", None) or error)
    return TLSError(f"TLS with {host}:{port} failed: {words}")


def certificate_refused(error: BaseException, sent: RequestSent) -> TLSError | None:
    """What is raised if a connection broke because the server wants another client certificate; None if not so."""
    reason = getattr(error, "reason", None)
    if reason not in _REFUSALS:
        return None
    return TLSError(f"TLS failed: {_REFUSALS[reason]} ({reason})", request_sent=sent)


def _hint(error: BaseException) -> str:
    if getattr(error, "verify_code", None) in _NOT_TRUSTED:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            if os.environ.get(name):
                return f"; {name} is set, which is not read here: set tls ca_file, or SSL_CERT_FILE"
    return ""
