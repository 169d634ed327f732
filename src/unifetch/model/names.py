"""Names that other libraries have for things, and what each is called here.

One table, read when somebody uses such a name: by the errors for arguments, attributes and module names, and by the
tests of the migration page. Nothing here is an alias: whoever writes the name of another library is told ours.
"""

from __future__ import annotations

from difflib import get_close_matches

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

# Where a name is used: as an argument of a call, as a field of a setting, as a name of the module, or as an attribute.
ARGUMENT, RETRY, LIMITS, TIMEOUT, TLS, MODULE = "argument", "retry", "limits", "timeout", "tls", "module"
REQUEST, RESPONSE, HEADERS, CLIENT, COOKIES = "Request", "Response", "Headers", "Client", "CookieJar"
URL, LINK, ELAPSED = "URL", "Link", "elapsed"

# For each place: the names of others, what is written here instead, and the page of `docs/how-to` on it.
ANSWERS: dict[str, dict[str, tuple[str, str]]] = {
    ARGUMENT: {
        "data": ("form= for fields, body= for bytes, text, a file or an iterator", "bodies"),
        "content": ("body=", "bodies"),
        "verify": ('tls=: False, or {"ca_file": "ca.pem"}, or an ssl.SSLContext', "tls"),
        "cert": ('tls={"client_cert": (certificate, key)}', "tls"),
        "ssl ssl_context verify_ssl": ("tls=", "tls"),
        "ca_certs": ('tls={"ca_file": "ca.pem"}', "tls"),
        "ca_cert_dir": ('tls={"ca_path": "/etc/ssl/certs"}', "tls"),
        "cert_file key_file key_password": ('tls={"client_cert": (certificate, key, passphrase)}', "tls"),
        "cert_reqs": ("tls=False, for no verification", "tls"),
        "assert_hostname": ('tls={"check_hostname": False}, for any name in the certificate', "tls"),
        "ssl_minimum_version ssl_version": ('tls={"min_version": "1.3"}', "tls"),
        "allow_redirects follow_redirects redirect": ("redirects=: the most to follow, 0 for none", "redirects"),
        "max_redirects": ("redirects=", "redirects"),
        "proxies": ("proxy=", "proxies"),
        "proxy_auth": ('proxy="http://user:password@host:port"', "proxies"),
        "mounts": ("proxy= and backend=", "proxies"),
        "trust_env": ("proxy=None for no proxy; auth=None for no netrc, which is read only if asked for", "proxies"),
        "stream preload_content release_conn": ('stream("GET", url), in a `with` block', "streaming"),
        "hooks event_hooks trace_configs": ("listeners= of a client", "events"),
        "transport http1": ("backend=", "backends"),
        "connector": ("backend=, limits= and tls=", "backends"),
        "retries max_retries": ("retry=", "retries"),
        "limit pool_connections num_pools": ('limits={"connections": 100}', "limits"),
        "limit_per_host pool_maxsize maxsize": ('limits={"connections_per_origin": 10}', "limits"),
        "pool_block block": ('nothing: a call waits for a free connection, timeout={"pool": 5} seconds long', "limits"),
        "uds": ("unix_socket=", "connecting"),
        "ttl_dns_cache use_dns_cache": ("nothing: resolve= gives the address of a host", "connecting"),
        "skip_auto_headers": ('headers={"User-Agent": None}', "header-fields"),
        "max_line_size max_field_size": ("nothing: a head has fixed limits", "limits"),
        "cookie_jar": ("cookies= of a client", "cookies"),
        "read_until_eof": ("nothing: a body is read by its framing", "streaming"),
        "raise_for_status": ("response.raise_for_status()", "errors"),
        "default_encoding": ("nothing: text is decoded by its byte order mark, its charset, or as UTF-8", "requests"),
        "fields": ("params= or form=", "bodies"),
        "decode_content": ("decode=False", "decoding"),
        "connect_timeout conn_timeout": ('timeout={"connect": 5}', "timeouts"),
        "read_timeout": ('timeout={"read": 5}', "timeouts"),
        "user_agent": ('headers={"User-Agent": "…"}', "requests"),
        "extensions": ("nothing: each setting has its own argument", "settings"),
        "auto_decompress": ("decode=", "decoding"),
        "compress": ('body=gzip.compress(…) with headers={"Content-Encoding": "gzip"}', "bodies"),
        "chunked": ("body= with an iterator, which is sent in chunks", "bodies"),
        "fingerprint assert_fingerprint": ('tls={"fingerprint": "sha-256:…"}', "tls"),
        "pool_timeout": ('timeout={"pool": 5}', "timeouts"),
        "json_serialize": ('body=dumps(…) with headers={"Content-Type": "application/json"}', "bodies"),
    },
    RETRY: {
        "total": ("attempts=, the first one included: total + 1", "retries"),
        "connect read status other": ("attempts=, for all of them together", "retries"),
        "redirect": ("redirects= of the client or the call", "redirects"),
        "backoff_factor": ("backoff=", "retries"),
        "backoff_max retry_after_max": ("max_wait=", "retries"),
        "backoff_jitter": ("nothing: every wait is random", "retries"),
        "status_forcelist": ("statuses=", "retries"),
        "allowed_methods method_whitelist": ("methods=", "retries"),
        "respect_retry_after_header": ("respect_retry_after=", "retries"),
        "raise_on_status": ("nothing: the last response is returned; .raise_for_status() raises", "retries"),
    },
    LIMITS: {
        "max_connections limit pool_connections": ("connections=", "limits"),
        "max_keepalive_connections": ("connections=, of which any may be kept", "limits"),
        "limit_per_host pool_maxsize maxsize": ("connections_per_origin=", "limits"),
    },
    TIMEOUT: {
        "timeout": ("total=", "timeouts"),
        "sock_read": ("read=", "timeouts"),
        "sock_connect": ("connect=", "timeouts"),
    },
    TLS: {
        "cert cert_file key_file key_password": ("client_cert=(certificate, key, passphrase)", "tls"),
        "ca_certs cafile": ("ca_file=", "tls"),
        "capath ca_cert_dir": ("ca_path=", "tls"),
        "assert_hostname": ("check_hostname=", "tls"),
        "assert_fingerprint": ('fingerprint="sha-256:…"', "tls"),
        "ssl_minimum_version": ('min_version="1.3"', "tls"),
        "ciphers": ("tls=context, of ssl.create_default_context(), whose set_ciphers(…) takes them", "tls"),
    },
    REQUEST: {
        "data": (".form, or .body", "requests"),
        "content": (".body", "requests"),
        "params": ("Request(method, URL(url).with_params({…}))", "requests"),
        "cookies": ("client.send(request, cookies={…})", "cookies"),
        "auth": ("client.send(request, auth=…)", "auth"),
        "hooks register_hook deregister_hook": ("Client(listeners=[…])", "events"),
        "extensions": ("nothing: each setting has its own argument", "settings"),
        "prepare": ("nothing: client.send(request) sends it as it is", "requests"),
        "path_url": (".url.target", "urls"),
        "real_url": (".url", "urls"),
        "copy": (".replace(…), which gives a changed copy", "requests"),
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
        "get_redirect_location": ('.headers.get("location")', "redirects"),
        "next next_request": ('.url.join(.headers["location"]), where redirects=0 returned a redirect', "redirects"),
        "cookies": ('client.cookies, the jar; or .headers.get_all("set-cookie")', "cookies"),
        "encoding": (".charset; to decode otherwise, .body.decode(…)", "responses"),
        "charset_encoding get_encoding": (".charset", "responses"),
        "apparent_encoding": ("nothing: no charset is guessed; .body.decode(…) decodes as you say", "responses"),
        "content_type": ('.headers["content-type"]', "responses"),
        "content_disposition": ('.headers.get("content-disposition")', "responses"),
        "default_encoding": ("nothing: .text goes by the charset, else UTF-8; .body.decode(…) as you say", "responses"),
        "iter_content iter_bytes iter_chunked read_chunked": ("the iterator .body of a stream()", "streaming"),
        "iter_raw": ("the iterator .body of an exchange()", "streaming"),
        "iter_text iter_lines": (".lines() of a stream()", "streaming"),
        "aiter_bytes": ("`async for piece in .body` of a stream()", "streaming"),
        "aiter_lines aiter_text": ("`async for line in .lines()` of a stream()", "streaming"),
        "aiter_raw": ("`async for piece in .body` of an exchange()", "streaming"),
        "aread": ("await .read() of a stream()", "streaming"),
        "aclose": ("await .close()", "streaming"),
        "raw": (".file() of client.open(…), or client.exchange(…) for a body that is not decoded", "streaming"),
        "stream": ("client.stream(…)", "streaming"),
        "readinto readline": (".file() of client.open(…)", "streaming"),
        "release_conn release": (".close()", "streaming"),
        "method": (".request.method", "responses"),
        "real_url geturl url_obj": (".url", "responses"),
        "host": (".url.host", "urls"),
        "version": (".http_version", "responses"),
        "extensions": ("nothing: each detail has its own attribute", "responses"),
        "num_bytes_downloaded": ("progress= of download()", "downloads"),
        "getheader": (".headers.get(…)", "responses"),
        "connection": ("nothing: connections belong to the client", "responses"),
        "is_informational": ("nothing: a listener is told of 1xx, and the response is the final one", "events"),
        "content_length": ('.headers.get("content-length")', "responses"),
        "raw_headers getheaders": (".headers.pairs", "responses"),
        "request_info": (".request", "responses"),
        "info": (".headers", "responses"),
        "retries": ("nothing: an error tells of its attempts", "retries"),
    },
    HEADERS: {
        "getlist get_list getall getheaders": (".get_all(…)", "responses"),
        "getone": (".get(…)", "responses"),
        "multi_items raw": (".pairs", "responses"),
        "update add extend": ("Headers([*headers.pairs, …]): a Headers does not change", "responses"),
        "copy": ("the same object: a Headers does not change", "responses"),
        "pop popitem discard clear": (
            "Headers of the pairs that stay: a Headers does not change",
            "responses",
        ),
        "setdefault": ('Headers({"Name": …, **headers}): a Headers does not change', "responses"),
        "to_dict": ("dict(headers)", "responses"),
    },
    CLIENT: {
        "headers": (
            "Client(headers={…}); .with_(headers={…}) adds some; .settings.headers are those there",
            "settings",
        ),
        "params": ("Client(params={…}); .with_(params={…}) adds some", "settings"),
        "auth": ("Client(auth=…), or .with_(auth=…)", "auth"),
        "verify": ('Client(tls=…): False, or {"ca_file": "ca.pem"}', "tls"),
        "cert": ('Client(tls={"client_cert": (certificate, key)})', "tls"),
        "proxies": ("Client(proxy=…)", "proxies"),
        "trust_env": ("Client(proxy=None) for no proxy of the environment", "proxies"),
        "max_redirects follow_redirects": ("Client(redirects=…)", "redirects"),
        "timeout": ("Client(timeout=…), or .settings.timeout", "timeouts"),
        "base_url": ("Client(base_url=…), or .settings.base_url", "settings"),
        "hooks event_hooks trace_configs": ("Client(listeners=[…]): each is a callable that takes one event", "events"),
        "mount adapters": ("Client(retry=…, limits=…, backend=…), for every URL", "retries"),
        "get_adapter": (".backend", "backends"),
        "connector": ("Client(limits=…, tls=…, backend=…)", "settings"),
        "prepare_request build_request": ("Request(…), which .send(…) sends", "requests"),
        "merge_environment_settings": ("nothing: .send(…) goes by the settings of the client", "requests"),
        "resolve_redirects": ("redirects=; .history of a response has those that were followed", "redirects"),
        "cookie_jar": (".cookies", "cookies"),
        "urlopen": (".request(method, url)", "requests"),
        "aclose": (".close()", "async"),
        "closed is_closed": ("nothing: a client that is closed says so in a call", "async"),
        "raise_for_status": ("response.raise_for_status()", "errors"),
        "ws_connect": ("nothing: there are no WebSockets", "requests"),
    },
    COOKIES: {
        "get_dict": ("{cookie.name: cookie.value for cookie in jar}", "cookies"),
        "items iteritems": ("[(cookie.name, cookie.value) for cookie in jar]", "cookies"),
        "keys iterkeys": ("[cookie.name for cookie in jar]", "cookies"),
        "values itervalues": ("[cookie.value for cookie in jar]", "cookies"),
        "list_domains": ("{cookie.domain for cookie in jar}", "cookies"),
        "list_paths": ("{cookie.path for cookie in jar}", "cookies"),
        "set_cookie": (".set(name, value, domain)", "cookies"),
        "update_cookies": (".update(cookies, domain)", "cookies"),
        "clear_domain": (".delete(name, domain=…)", "cookies"),
        "clear_session_cookies": ("CookieJar(cookie for cookie in jar if cookie.expires)", "cookies"),
        "pop popitem": (".get(name) and .delete(name)", "cookies"),
        "filter_cookies add_cookie_header": (".header(url, time.time())", "cookies"),
        "extract_cookies": (".store(url, values, time.time())", "cookies"),
        "copy": ("copy.copy(jar)", "cookies"),
        "load": ("CookieJar.from_json(text)", "cookies"),
        "save": (".to_json()", "cookies"),
        "jar": ("the jar itself", "cookies"),
    },
    URL: {
        "copy_with with_query update_query copy_set_param copy_add_param copy_merge_params extend_query": (
            ".with_params({…}), which adds some",
            "urls",
        ),
        "params": ("urllib.parse.parse_qs(url.query)", "urls"),
        "joinpath with_path": (".join(path)", "urls"),
        "netloc raw_authority": (".authority", "urls"),
        "hostname raw_host": (".host", "urls"),
        "user": (".username", "urls"),
        "query_string raw_query_string": (".query", "urls"),
        "raw_path path_qs raw_path_qs request_uri": (".target, path and query", "urls"),
        "name parts parent suffix": ("pathlib.PurePosixPath(url.path)", "urls"),
        "human_repr": ("str(url)", "urls"),
        "with_scheme with_host with_port": ("URL(text) of the whole", "urls"),
        "is_absolute_url is_absolute absolute": ("nothing: a URL is always absolute", "urls"),
    },
    LINK: {
        "get items": (".url, .rel and .params", "responses"),
    },
    ELAPSED: {
        "total_seconds seconds": ("a number of seconds already", "responses"),
        "microseconds": ("a number of seconds: elapsed * 1e6", "responses"),
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
        "ClientConnectorError NewConnectionError": ("ConnectError", "errors"),
        "ReadError WriteError ServerDisconnectedError ClientOSError ServerConnectionError": (
            "ConnectionLost",
            "errors",
        ),
        "RemoteProtocolError": ("ProtocolError", "errors"),
        "ChunkedEncodingError ClientPayloadError IncompleteRead": ("IncompleteBody", "errors"),
        "ContentDecodingError DecodeError": ("DecodingError", "errors"),
        "JSONDecodeError InvalidJSONError": ("InvalidJSON", "errors"),
        "MissingSchema InvalidSchema UnsupportedProtocol LocationParseError URLRequired URLSchemeUnknown": (
            "InvalidURL",
            "errors",
        ),
        "InvalidUrlClientError NonHttpUrlClientError LocationValueError": ("InvalidURL", "errors"),
        "SSLError ClientConnectorCertificateError ClientConnectorSSLError ClientSSLError ServerFingerprintMismatch": (
            "TLSError",
            "errors",
        ),
        "TimeoutException TimeoutError ServerTimeoutError": ("TimedOut", "errors"),
        "ClientTimeout": ("Timeout", "timeouts"),
        "ConnectTimeoutError ConnectionTimeoutError": ("ConnectTimeout", "errors"),
        "MaxRetryError RetryError": ("the error of the last attempt, whose .attempts tells of all", "retries"),
        "ClientConnectorDNSError": ("NameResolutionError", "errors"),
        "ClientProxyConnectionError ClientHttpProxyError": ("ProxyError", "errors"),
        "InvalidProxyURL ProxySchemeUnknown": ("InvalidSetting", "errors"),
        "SocketTimeoutError ReadTimeoutError": ("ReadTimeout", "errors"),
        "EmptyPoolError": ("PoolTimeout", "errors"),
        "ContentTypeError": ("InvalidJSON: .json() asks for no Content-Type", "errors"),
        "LocalProtocolError": ("InvalidRequest", "errors"),
        "StreamConsumed StreamConsumedError StreamClosed ResponseNotRead": ("StreamError", "streaming"),
        "UnrewindableBodyError RedirectClientError InvalidUrlRedirectClientError": ("RedirectError", "redirects"),
        "CookieConflict": ("InvalidSetting, of jar[name]", "cookies"),
        "PreparedRequest ClientRequest RequestInfo": ("Request", "requests"),
        "HTTPBasicAuth BasicAuth": ("Basic", "auth"),
        "HTTPDigestAuth DigestAuth DigestAuthMiddleware": ("Digest", "auth"),
        "NetRCAuth": ("Netrc", "auth"),
        "AuthBase": (
            'a callable, of no class: it takes the request, and returns fields to add: {"X-Token": …}',
            "auth",
        ),
        "HTTPAdapter": ("Client(retry=…, limits=…, backend=…)", "retries"),
        "TCPConnector": ("AsyncClient(limits=…, tls=…, backend=…)", "settings"),
        "HTTPConnectionPool HTTPSConnectionPool": ("Client(limits=…)", "settings"),
        "ProxyManager": ("Client(proxy=…)", "proxies"),
        "TraceConfig": ("AsyncClient(listeners=[…])", "events"),
        "QueryParams": ("params=: a mapping, pairs or text", "requests"),
        "HTTPHeaderDict": ("Headers", "responses"),
        "ClientResponse HTTPResponse": ("Response", "responses"),
        "disable_warnings InsecureRequestWarning": (
            "nothing: tls=False warns nobody, and is said for each client or call",
            "tls",
        ),
        "Cookies RequestsCookieJar": ("CookieJar", "cookies"),
        "FormData MultipartWriter": ("form= and files=", "bodies"),
        "DummyCookieJar": ("cookies=False of a client", "cookies"),
        "UnixConnector": ("AsyncClient(unix_socket=…)", "connecting"),
        "DefaultResolver ThreadedResolver AsyncResolver": ("AsyncClient(resolve={host: address})", "connecting"),
        "Fingerprint": ('tls={"fingerprint": "sha-256:…"}', "tls"),
        "create_ssl_context": ("tls=, which takes an ssl.SSLContext", "tls"),
        "encode_basic_auth make_headers": ('auth=("user", "password")', "auth"),
        "USE_CLIENT_DEFAULT": ("nothing: what a call does not name is the client's", "settings"),
        "BaseTransport AsyncBaseTransport": ("a Backend of unifetch.backends.base, as backend=", "backends"),
        "ASGITransport WSGITransport": (
            "nothing: unifetch.testing.intercept(handler) or a Server answers in a test",
            "testing",
        ),
        "ClientWebSocketResponse WSMsgType": ("nothing: there are no WebSockets", "requests"),
        "compat packages utils": ("urllib.parse and what else of the standard library it gave", "urls"),
        "hooks": ("Client(listeners=[…])", "events"),
        "certs": ("nothing: the system's certificates count; tls= names others", "tls"),
        "exceptions": ("unifetch itself, which has the errors; the Timeout there is TimedOut here", "errors"),
        "adapters": ("Client(retry=…, limits=…, backend=…), for its HTTPAdapter", "retries"),
        "auth": (
            "unifetch itself, which has Basic, Digest, Bearer, Netrc; for AuthBase any callable that returns fields",
            "auth",
        ),
        "cookies": ("unifetch itself, which has CookieJar and Cookie", "cookies"),
        "sessions poolmanager": ("unifetch itself, which has Client", "settings"),
        "structures": ("unifetch itself, which has Headers", "responses"),
        "models": ("unifetch itself, which has Request and Response", "responses"),
        "status_codes codes": ("http.HTTPStatus of the standard library", "responses"),
        "client_exceptions": ("unifetch itself, which has the errors; ServerTimeoutError is TimedOut here", "errors"),
        "util": ("unifetch itself, which has Retry, Timeout and URL", "retries"),
        "MockTransport": ("unifetch.testing.intercept(handler), whose handler returns an Answer", "testing"),
        "urlopen": ("get(url), or request(method, url)", "requests"),
    },
}
NAMES = {
    place: {name: found for names, found in answers.items() for name in names.split()}
    for place, answers in ANSWERS.items()
}


def answer(place: str, name: str) -> str | None:
    """What to write here for a name of another library, as the end of a sentence; None for a name of none."""
    found = NAMES[place].get(name)
    if found is None:
        return None
    ours, page = found
    said = ours.replace("nothing: ", "there is none here: ", 1) if ours[:9] == "nothing: " else f"here it is {ours}"
    return f"{said} (docs/how-to/{page}.md)"


def unknown_key(setting: str, name: str, taken: Iterable[str]) -> str:
    """The message for a field that a setting does not have."""
    hint = answer(setting, name) if setting in NAMES else None
    return f"{setting}: unknown key {name!r}; {hint or 'accepted are ' + ', '.join(taken)}"


def is_caught(frame: FrameType) -> bool:
    """Whether the name that a frame is looking up is one of an `except` clause."""
    from dis import get_instructions

    following = (each.opname for each in get_instructions(frame.f_code) if each.offset > frame.f_lasti)
    return next((name for name in following if name[:5] not in ("LOAD_", "BUILD")), "") == "CHECK_EXC_MATCH"


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
    if call == "Request()" and name in ("params", "cookies", "auth", "timeout", "trailers", "tls", "proxy"):
        return f"{call} takes no {name}=; client.send(request, {name}=…) does"
    if name in ("body", "json", "form", "files", "progress") and call in ("get()", "head()", "options()", "delete()"):
        method = call[:-2].upper()
        return f'{call} takes no {name}=, as {method} rarely has a body; request("{method}", url, {name}=…) sends one'
    if call == "send()" and name in ("body", "json", "form", "files"):
        return f"{call} takes no {name}=, which its Request has; request.replace({name}=…) gives a changed copy"
    hint = answer(ARGUMENT, name)
    if hint is None:
        close = nearest(name, taken)
        hint = f"did you mean {close}=?" if close else f"it takes {', '.join(taken)}"
    return f"{call} takes no {name}=; {hint}"


def unknown_attribute(place: str, name: str, known: Iterable[str], kind: str = "") -> str:
    """The message for an attribute that an object of ours does not have.

    Args:
        place: where its names stand.
        name: the attribute.
        known: those that it has.
        kind: the name of its class, where that is not the place's.
    """
    message = f"{(kind or place)!r} object has no attribute {name!r}"
    if (hint := answer(place, name)) is None:
        close = None if name.startswith("_") else nearest(name, [each for each in known if not each.startswith("_")])
        hint = f"did you mean .{close}?" if close else None
    return message if hint is None else f"{message}; {hint}"
