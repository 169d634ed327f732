"""Names that other libraries have for things, and what each is called here.

One table, read when somebody uses such a name: by the errors for arguments, attributes and module names, and by the
tests of the migration page. Nothing here is an alias: whoever writes the name of another library is told ours.
"""

from __future__ import annotations

from difflib import get_close_matches

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# Where a name is used: as an argument of a call, or as an attribute of what. A client has none of these: a class with
# `__getattr__` is slower at every attribute that it does have, and each call looks at a dozen.
ARGUMENT, RESPONSE, HEADERS, MODULE = "argument", "Response", "Headers", "module"

# For each place: the names of others, what is written here instead, and the page of `docs/how-to` on it.
_ANSWERS: dict[str, dict[str, tuple[str, str]]] = {
    ARGUMENT: {
        "data": ("form= for fields, body= for bytes, text, a file or an iterator", "bodies"),
        "content": ("body=", "bodies"),
        "verify": ('tls=: False, or {"ca_file": "ca.pem"}, or an ssl.SSLContext', "tls"),
        "cert": ('tls={"client_cert": (certificate, key)}', "tls"),
        "ssl ssl_context verify_ssl": ("tls=", "tls"),
        "ca_certs": ('tls={"ca_file": "ca.pem"}', "tls"),
        "allow_redirects follow_redirects": ("redirects=: the most to follow, 0 for none", "redirects"),
        "max_redirects": ("redirects=", "redirects"),
        "proxies": ("proxy=", "proxies"),
        "proxy_auth": ('proxy="http://user:password@host:port"', "proxies"),
        "mounts": ("proxy= and backend=", "proxies"),
        "trust_env": ("proxy=None for no proxy; auth=None for no netrc, which is read only if asked for", "proxies"),
        "stream preload_content": ('stream("GET", url), in a `with` block', "streaming"),
        "hooks event_hooks trace_configs": ("listeners= of a client", "events"),
        "transport http1": ("backend=", "backends"),
        "connector": ("backend=, limits= and tls=", "backends"),
        "retries": ("retry=", "retries"),
        "cookie_jar": ("cookies= of a client", "cookies"),
        "read_until_eof": ("nothing: a body is read by its framing", "streaming"),
        "raise_for_status": ("response.raise_for_status()", "errors"),
        "default_encoding": ("nothing: text is decoded by its byte order mark, its charset, or as UTF-8", "requests"),
        "fields": ("params= or form=", "bodies"),
        "decode_content": ("decode=False", "decoding"),
        "connect_timeout": ('timeout={"connect": 5}', "timeouts"),
        "read_timeout": ('timeout={"read": 5}', "timeouts"),
        "user_agent": ('headers={"User-Agent": "…"}', "requests"),
        "extensions": ("nothing: each setting has its own argument", "settings"),
    },
    RESPONSE: {
        "status_code": (".status", "responses"),
        "reason_phrase": (".reason", "responses"),
        "content data": (".body", "responses"),
        "is_success": (".ok, which is true below 400", "responses"),
        "is_error": ("not .ok", "responses"),
        "is_client_error": (".status // 100 == 4", "responses"),
        "is_server_error": (".status // 100 == 5", "responses"),
        "is_redirect": (".status in (301, 302, 303, 307, 308); redirects= says how many are followed", "redirects"),
        "is_permanent_redirect": (".status in (301, 308)", "redirects"),
        "has_redirect_location": ('"location" in .headers', "redirects"),
        "next next_request": ('.url.join(.headers["location"]), where redirects=0 returned a redirect', "redirects"),
        "cookies": ('client.cookies, the jar; or .headers.get_all("set-cookie")', "cookies"),
        "encoding": (".charset; to decode otherwise, .body.decode(…)", "responses"),
        "charset_encoding": (".charset", "responses"),
        "apparent_encoding": ("nothing: no charset is guessed; .body.decode(…) decodes as you say", "responses"),
        "content_type": ('.headers["content-type"]', "responses"),
        "iter_content iter_bytes iter_chunked": ("the iterator .body of a stream()", "streaming"),
        "iter_raw": ("the iterator .body of an exchange()", "streaming"),
        "iter_text iter_lines": (".lines() of a stream()", "streaming"),
        "aiter_bytes": ("`async for piece in .body` of a stream()", "streaming"),
        "aiter_lines": ("`async for line in .lines()` of a stream()", "streaming"),
        "aiter_raw": ("`async for piece in .body` of an exchange()", "streaming"),
        "aread": ("await .read() of a stream()", "streaming"),
        "aclose": ("await .close()", "streaming"),
        "raw": (".file() of client.open(…), or client.exchange(…) for a body that is not decoded", "streaming"),
        "stream": ("client.stream(…)", "streaming"),
        "release_conn release": (".close()", "streaming"),
        "method": (".request.method", "responses"),
        "real_url": (".url", "responses"),
        "version": (".http_version", "responses"),
        "extensions": ("nothing: each detail has its own attribute", "responses"),
        "num_bytes_downloaded": ("progress= of download()", "downloads"),
        "getheader": (".headers.get(…)", "responses"),
        "connection": ("nothing: connections belong to the client", "responses"),
    },
    HEADERS: {
        "getlist get_list getall": (".get_all(…)", "responses"),
        "getone": (".get(…)", "responses"),
        "multi_items raw": (".pairs", "responses"),
        "update": ("Headers([*headers.pairs, …]): a Headers does not change", "responses"),
        "copy": ("the same object: a Headers does not change", "responses"),
    },
    MODULE: {
        "Session session PoolManager": ("Client", "settings"),
        "AsyncSession ClientSession AsyncHTTPClient": ("AsyncClient", "async"),
        "HTTPTransport": ("Client(backend=…)", "backends"),
        "AsyncHTTPTransport": ("AsyncClient(backend=…)", "backends"),
        "RequestException ClientError RequestError TransportError": ("UnifetchError", "errors"),
        "HTTPError": ("StatusError, for a status; UnifetchError, for all errors", "errors"),
        "HTTPStatusError ClientResponseError": ("StatusError", "errors"),
        "ConnectionError ClientConnectionError NetworkError": (
            "ConnectError, where none came about; ConnectionLost, where it broke",
            "errors",
        ),
        "ClientConnectorError": ("ConnectError", "errors"),
        "ReadError WriteError ServerDisconnectedError": ("ConnectionLost", "errors"),
        "RemoteProtocolError": ("ProtocolError", "errors"),
        "ChunkedEncodingError ClientPayloadError": ("IncompleteBody", "errors"),
        "ContentDecodingError": ("DecodingError", "errors"),
        "JSONDecodeError": ("InvalidJSON", "errors"),
        "MissingSchema InvalidSchema UnsupportedProtocol": ("InvalidURL", "errors"),
        "SSLError": ("TLSError", "errors"),
        "TimeoutException TimeoutError ServerTimeoutError": ("TimedOut", "errors"),
        "ClientTimeout": ("Timeout", "timeouts"),
        "ConnectTimeoutError": ("ConnectTimeout", "errors"),
        "MaxRetryError": ("the error of the last attempt, whose .attempts tells of all", "retries"),
        "PreparedRequest": ("Request", "requests"),
        "HTTPBasicAuth BasicAuth": ("Basic", "auth"),
        "HTTPDigestAuth DigestAuth": ("Digest", "auth"),
        "NetRCAuth": ("Netrc", "auth"),
        "AuthBase": ("Auth", "auth"),
        "HTTPAdapter": ("Client(backend=…, retry=…, limits=…)", "backends"),
        "Cookies RequestsCookieJar": ("CookieJar", "cookies"),
        "FormData": ("form= and files=", "bodies"),
        "exceptions": ("unifetch itself, which has the errors", "errors"),
        "codes": ("http.HTTPStatus of the standard library", "responses"),
        "MockTransport": ("unifetch.testing", "testing"),
        "urlopen": ("get(url), or request(method, url)", "requests"),
    },
}
NAMES = {
    place: {name: found for names, found in answers.items() for name in names.split()}
    for place, answers in _ANSWERS.items()
}


def answer(place: str, name: str) -> str | None:
    """What to write here for a name of another library, as the end of a sentence; None for a name of none."""
    found = NAMES[place].get(name)
    if found is None:
        return None
    ours, page = found
    said = ours.replace("nothing: ", "there is none here: ", 1) if ours[:9] == "nothing: " else f"here it is {ours}"
    return f"{said} (docs/how-to/{page}.md)"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that was probably meant by one that is not known, or None."""
    return next(iter(get_close_matches(name, list(known), 1, 0.7)), None)


def unknown_argument(call: str, name: str, taken: Iterable[str]) -> str:
    """The message for an argument that a call does not take: ours, or the nearest, and all that it takes.

    Args:
        call: the call, as `"get()"`.
        name: what it was given.
        taken: the arguments that it takes.
    """
    taken = list(taken)
    if name in ("body", "json", "form", "files", "progress") and call in ("get()", "head()", "options()", "delete()"):
        method = call[:-2].upper()
        return f'{call} takes no {name}=, as {method} rarely has a body; request("{method}", url, {name}=…) sends one'
    hint = answer(ARGUMENT, name)
    if hint is None:
        close = nearest(name, taken)
        hint = f"did you mean {close}=?" if close else f"it takes {', '.join(taken)}"
    return f"{call} takes no {name}=; {hint}"


def unknown_attribute(place: str, name: str, known: Iterable[str]) -> str:
    """The message for an attribute that an object of ours does not have."""
    message = f"{place!r} object has no attribute {name!r}"
    if (hint := answer(place, name)) is None:
        close = None if name.startswith("_") else nearest(name, [each for each in known if not each.startswith("_")])
        hint = f"did you mean .{close}?" if close else None
    return message if hint is None else f"{message}; {hint}"
