"""One example for each row of the migration page: what is written in their library, and what is written here."""

from __future__ import annotations

from unifetch.model import names

# For each place and name: the library, what is written there, and what is written here. Both are expressions of `url`,
# a server's; `proxy`, its origin; `refused`, a URL where nobody listens; `client`, a Session or Client; `name`, that of
# our backend; `path`, a file; and the library.
EXAMPLES: dict[str, dict[str, tuple[str, str, str]]] = {
    names.ARGUMENT: {
        "ca_cert_dir": (
            "urllib3",
            'urllib3.PoolManager(ca_cert_dir=None).request("GET", url)',
            'unifetch.get(url, tls={"ca_path": None})',
        ),
        "cert_file": (
            "urllib3",
            'urllib3.PoolManager(cert_file=None).request("GET", url)',
            'unifetch.get(url, tls={"client_cert": None})',
        ),
        "cert_reqs": (
            "urllib3",
            'urllib3.PoolManager(cert_reqs="CERT_NONE").request("GET", url)',
            "unifetch.get(url, tls=False)",
        ),
        "assert_hostname": (
            "urllib3",
            "urllib3.PoolManager(assert_hostname=False) and 1",  # an old one cannot ask over plain HTTP then
            'unifetch.Client(tls={"check_hostname": False}) and 1',
        ),
        "ssl_minimum_version": (
            "urllib3",
            'urllib3.PoolManager(ssl_minimum_version=772).request("GET", url)',
            'unifetch.get(url, tls={"min_version": "1.3"})',
        ),
        "pool_connections": (
            "urllib3",
            'urllib3.PoolManager(num_pools=100).request("GET", url)',
            'unifetch.get(url, limits={"connections": 100})',
        ),
        "limit_per_host": (
            "urllib3",
            'urllib3.PoolManager(maxsize=10).request("GET", url)',
            'unifetch.get(url, limits={"connections_per_origin": 10})',
        ),
        "uds": ("httpx", "httpx.HTTPTransport(uds=None) and 1", "unifetch.Client(unix_socket=None) and 1"),
        "skip_auto_headers": (
            "aiohttp",
            'await client.get(url, skip_auto_headers=["User-Agent"])',
            'unifetch.get(url, headers={"User-Agent": None})',
        ),
        "data": ("requests", 'requests.post(url, data={"a": "b"})', 'unifetch.post(url, form={"a": "b"})'),
        "content": ("httpx", 'httpx.post(url, content=b"bytes")', 'unifetch.post(url, body=b"bytes")'),
        "verify": ("requests", "requests.get(url, verify=False)", "unifetch.get(url, tls=False)"),
        "cert": ("requests", "requests.get(url, cert=None)", 'unifetch.get(url, tls={"client_cert": None})'),
        "ssl": ("aiohttp", "await client.get(url, ssl=False)", "unifetch.get(url, tls=False)"),
        "ca_certs": (
            "urllib3",
            'urllib3.PoolManager(ca_certs=None).request("GET", url)',
            'unifetch.get(url, tls={"ca_file": None})',
        ),
        "allow_redirects": (
            "requests",
            'requests.get(url + "/moved", allow_redirects=False)',
            'unifetch.get(url + "/moved", redirects=0)',
        ),
        "max_redirects": (
            "httpx",
            'httpx.Client(max_redirects=1, follow_redirects=True).get(url + "/moved")',
            'unifetch.get(url + "/moved", redirects=1)',
        ),
        "proxies": (
            "requests",
            'requests.get("http://h.test/", proxies={"http": proxy})',
            'unifetch.get("http://h.test/", proxy=proxy)',
        ),
        "proxy_auth": (
            "aiohttp",
            'await client.get("http://h.test/", proxy=proxy, proxy_auth=aiohttp.BasicAuth("a", "b"))',
            'unifetch.get("http://h.test/", proxy=proxy.replace("//", "//a:b@"))',
        ),
        "mounts": (
            "httpx",
            'httpx.Client(mounts={"http://": httpx.HTTPTransport(proxy=proxy)}).get("http://h.test/")',
            'unifetch.get("http://h.test/", proxy=proxy)',
        ),
        "trust_env": ("httpx", "httpx.get(url, trust_env=False)", "unifetch.get(url, proxy=None, auth=None)"),
        "stream": (
            "requests",
            "requests.get(url, stream=True).raw.read()",
            '(lambda stream: [*stream.__enter__().body, stream.__exit__(None, None, None)][0])(unifetch.stream("GET", url))',
        ),
        "hooks": (
            "requests",
            '(found := [], client.get(url, hooks={"response": lambda r, **_: found.append(r.status_code)}), found)[2]',
            "(found := [], unifetch.Client(listeners=lambda event: found.extend([event.response.status] if"
            ' type(event).__name__ == "Finished" else [])).get(url), found)[2]',
        ),
        "transport": (
            "httpx",
            "httpx.Client(transport=httpx.HTTPTransport()).get(url)",
            "unifetch.get(url, backend=client.backend)",
        ),
        "connector": (
            "aiohttp",
            "await aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=3)).get(url)",
            'unifetch.Client(limits={"connections": 3}).get(url)',
        ),
        "retries": ("urllib3", 'urllib3.PoolManager().request("GET", url, retries=2)', "unifetch.get(url, retry=3)"),
        "cookie_jar": (
            "aiohttp",
            "await aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar()).get(url)",
            "unifetch.Client(cookies=unifetch.CookieJar()).get(url)",
        ),
        "raise_for_status": (
            "aiohttp",
            "await client.get(url, raise_for_status=True)",
            "unifetch.get(url).raise_for_status()",
        ),
        "fields": (
            "urllib3",
            'urllib3.PoolManager().request("GET", url, fields={"a": "b"})',
            'unifetch.get(url, params={"a": "b"})',
        ),
        "decode_content": (
            "urllib3",
            'urllib3.PoolManager().request("GET", url + "/gzip", decode_content=False).data',
            'unifetch.get(url + "/gzip", decode=False).body',
        ),
        "connect_timeout": (
            "requests",
            "requests.get(url, timeout=(5, None))",
            'unifetch.get(url, timeout={"connect": 5})',
        ),
        "read_timeout": ("requests", "requests.get(url, timeout=(None, 5))", 'unifetch.get(url, timeout={"read": 5})'),
        "user_agent": (
            "requests",
            'requests.get(url, headers={"User-Agent": "me"})',
            'unifetch.get(url, headers={"User-Agent": "me"})',
        ),
        "auto_decompress": (
            "aiohttp",
            'await (await client.get(url + "/gzip", auto_decompress=False)).read()',
            'unifetch.get(url + "/gzip", decode=False).body',
        ),
        "chunked": (
            "aiohttp",
            '(await client.post(url, data=b"a", chunked=True)).status',
            'unifetch.post(url, body=iter([b"a"])).status',
        ),
        "pool_timeout": (
            "urllib3",
            'urllib3.HTTPConnectionPool(url.partition("//")[2].partition("/")[0]).urlopen("GET", "/p", pool_timeout=5)',
            'unifetch.get(url, timeout={"pool": 5})',
        ),
        "json_serialize": (
            "aiohttp",
            "await aiohttp.ClientSession(json_serialize=str).post(url, json=1)",
            'unifetch.post(url, body="1", headers={"Content-Type": "application/json"})',
        ),
    },
    names.RETRY: {
        "total": ("urllib3", "urllib3.Retry(total=2).total + 1", "unifetch.Retry(attempts=3).attempts"),
        "connect": ("urllib3", "urllib3.Retry(connect=2).connect + 1", "unifetch.Retry(attempts=3).attempts"),
        "redirect": (
            "urllib3",
            "urllib3.Retry(redirect=2).redirect",
            "unifetch.Client(redirects=2).settings.redirects",
        ),
        "backoff_factor": (
            "urllib3",
            "urllib3.Retry(backoff_factor=1).backoff_factor",
            "unifetch.Retry(backoff=1).backoff",
        ),
        "backoff_max": ("urllib3", "urllib3.Retry(backoff_max=9).backoff_max", "unifetch.Retry(max_wait=9).max_wait"),
        "status_forcelist": (
            "urllib3",
            "urllib3.Retry(status_forcelist=[503]).status_forcelist",
            "list(unifetch.Retry(statuses=[503]).statuses)",
        ),
        "allowed_methods": (
            "urllib3",
            'urllib3.Retry(allowed_methods=["GET"]).allowed_methods',
            'list(unifetch.Retry(methods=["GET"]).methods)',
        ),
        "respect_retry_after_header": (
            "urllib3",
            "urllib3.Retry(respect_retry_after_header=False).respect_retry_after_header",
            "unifetch.Retry(respect_retry_after=False).respect_retry_after",
        ),
    },
    names.LIMITS: {
        "max_connections": (
            "httpx",
            "httpx.Limits(max_connections=5).max_connections",
            "unifetch.Limits(connections=5).connections",
        ),
        "max_keepalive_connections": (
            "httpx",
            "httpx.Limits(max_keepalive_connections=5).max_keepalive_connections",
            "unifetch.Limits(connections=5).connections",
        ),
        "limit_per_host": ("", "", "unifetch.Limits(connections_per_origin=5)"),
    },
    names.TIMEOUT: {
        "timeout": (
            "httpx",
            "httpx.get(url, timeout=httpx.Timeout(timeout=5))",
            "unifetch.get(url, timeout=unifetch.Timeout(total=5))",
        ),
        "sock_read": ("aiohttp", "aiohttp.ClientTimeout(sock_read=5).sock_read", "unifetch.Timeout(read=5).read"),
        "sock_connect": (
            "aiohttp",
            "aiohttp.ClientTimeout(sock_connect=5).sock_connect",
            "unifetch.Timeout(connect=5).connect",
        ),
    },
    names.RESPONSE: {
        "host": ("aiohttp", "(await client.get(url)).host", "client.get(url).url.host"),
        "content_disposition": (
            "aiohttp",
            "(await client.get(url)).content_disposition",
            'client.get(url).headers.get("content-disposition")',
        ),
        "get_redirect_location": (
            "urllib3",
            'urllib3.PoolManager().request("GET", url + "/moved", redirect=False).get_redirect_location()',
            'unifetch.get(url + "/moved", redirects=0).headers.get("location")',
        ),
        "readline": (
            "urllib3",
            'urllib3.PoolManager().request("GET", url, preload_content=False).readline()',
            '(lambda file: (file.readline(), file.close())[0])(client.open("GET", url).file())',
        ),
        "status_code": ("requests", "requests.get(url).status_code", "unifetch.get(url).status"),
        "reason_phrase": ("httpx", "httpx.get(url).reason_phrase", "unifetch.get(url).reason"),
        "content": ("requests", "requests.get(url).content", "unifetch.get(url).body"),
        "is_success": ("httpx", "httpx.get(url).is_success", "unifetch.get(url).ok"),
        "is_error": ("httpx", "httpx.get(url).is_error", "not unifetch.get(url).ok"),
        "is_client_error": ("httpx", "httpx.get(url).is_client_error", "unifetch.get(url).status // 100 == 4"),
        "is_server_error": ("httpx", "httpx.get(url).is_server_error", "unifetch.get(url).status // 100 == 5"),
        "is_redirect": (
            "requests",
            'requests.get(url + "/moved", allow_redirects=False).is_redirect',
            'unifetch.get(url + "/moved", redirects=0).status in (301, 302, 303, 307, 308)',
        ),
        "is_permanent_redirect": (
            "requests",
            'requests.get(url + "/moved", allow_redirects=False).is_permanent_redirect',
            'unifetch.get(url + "/moved", redirects=0).status in (301, 308)',
        ),
        "has_redirect_location": (
            "httpx",
            'httpx.get(url + "/moved").has_redirect_location',
            '"location" in unifetch.get(url + "/moved", redirects=0).headers',
        ),
        "next": (
            "requests",
            'requests.get(url + "/moved", allow_redirects=False).next.url.rpartition("/")[2]',
            '(lambda r: r.url.join(r.headers["location"]).rpartition("/")[2])(unifetch.get(url + "/moved", redirects=0))',
        ),
        "cookies": ("requests", 'requests.get(url).cookies["a"]', '(client.get(url), client.cookies["a"])[1]'),
        "encoding": ("requests", "requests.get(url).encoding", "unifetch.get(url).charset"),
        "charset_encoding": ("httpx", "httpx.get(url).charset_encoding", "unifetch.get(url).charset"),
        "content_type": (
            "aiohttp",
            "(await client.get(url)).content_type",
            'unifetch.get(url).headers["content-type"].partition(";")[0]',
        ),
        "iter_content": (
            "requests",
            'b"".join(client.get(url, stream=True).iter_content(10))',
            'b"".join(client.open("GET", url).body)',
        ),
        "iter_raw": (
            "httpx",
            'b"".join(client.send(client.build_request("GET", url), stream=True).iter_raw())',
            'b"".join(client.open("GET", url, decode=False).body)',
        ),
        "iter_lines": (
            "requests",
            "list(client.get(url, stream=True).iter_lines(decode_unicode=True))",
            'list(client.open("GET", url).lines())',
        ),
        "aiter_bytes": (
            "httpx",
            'b"".join([p async for p in (await httpx.AsyncClient().get(url)).aiter_bytes()])',
            'b"".join([p async for p in (await unifetch.AsyncClient(name).open("GET", url)).body])',
        ),
        "aiter_lines": (
            "httpx",
            "[p async for p in (await httpx.AsyncClient().get(url)).aiter_lines()]",
            '[p async for p in (await unifetch.AsyncClient(name).open("GET", url)).lines()]',
        ),
        "aiter_raw": (
            "httpx",
            "(await httpx.AsyncClient().get(url)).content",
            'b"".join([p async for p in (await unifetch.AsyncClient(name).exchange("GET", url)).body])',
        ),
        "aread": (
            "httpx",
            "await (await httpx.AsyncClient().get(url)).aread()",
            '(await (await unifetch.AsyncClient(name).open("GET", url)).read()).body',
        ),
        "aclose": (
            "httpx",
            "await (await httpx.AsyncClient().get(url)).aclose()",
            'await (await unifetch.AsyncClient(name).open("GET", url)).close()',
        ),
        "raw": ("requests", "client.get(url, stream=True).raw.read(3)", 'client.open("GET", url).file().read(3)'),
        "stream": (
            "requests",
            'b"".join(requests.get(url, stream=True).raw.stream(10))',
            'b"".join(client.open("GET", url).body)',
        ),
        "release_conn": (
            "urllib3",
            'urllib3.PoolManager().request("GET", url, preload_content=False).release_conn()',
            'client.open("GET", url).close()',
        ),
        "method": ("aiohttp", "(await client.get(url)).method", "unifetch.get(url).request.method"),
        "real_url": ("aiohttp", "(await client.get(url)).real_url.path", "unifetch.get(url).url.path"),
        "version": ("", "", "unifetch.get(url).http_version"),
        "num_bytes_downloaded": (
            "httpx",
            "httpx.get(url).num_bytes_downloaded",
            "(sizes := [], client.download(url, path, progress=lambda n, _: sizes.append(n)), sizes[-1])[2]",
        ),
        "getheader": (
            "urllib3",
            'urllib3.PoolManager().request("GET", url).headers.get("Link")',
            'unifetch.get(url).headers.get("Link")',
        ),
        "aiter_text": (
            "httpx",
            '"".join([p async for p in (await httpx.AsyncClient().get(url)).aiter_text()])',
            '"".join([p async for p in (await unifetch.AsyncClient(name).open("GET", url)).lines()])',
        ),
        "content_length": (
            "aiohttp",
            "str((await client.get(url)).content_length)",
            'unifetch.get(url).headers.get("content-length")',
        ),
        "raw_headers": (
            "aiohttp",
            "[(a.decode(), b.decode()) for a, b in (await client.get(url)).raw_headers]",
            "list(unifetch.get(url).headers.pairs)",
        ),
        "request_info": ("aiohttp", "(await client.get(url)).request_info.method", "unifetch.get(url).request.method"),
        "geturl": (
            "urllib3",
            'urllib3.PoolManager().request("GET", url).geturl().endswith("/p")',
            'unifetch.get(url).url.endswith("/p")',
        ),
        "info": (
            "urllib3",
            'urllib3.PoolManager().request("GET", url).info()["Link"]',
            'unifetch.get(url).headers["Link"]',
        ),
    },
    names.HEADERS: {
        "getlist": (
            "urllib3",
            'urllib3.PoolManager().request("GET", url).headers.getlist("Set-Cookie")',
            'unifetch.get(url).headers.get_all("Set-Cookie")',
        ),
        "getone": (
            "aiohttp",
            '(await client.get(url)).headers.getone("Link")',
            'unifetch.get(url).headers.get("Link")',
        ),
        "multi_items": (
            "httpx",
            "[(name.lower(), value) for name, value in httpx.get(url).headers.multi_items()]",
            "[(name.lower(), value) for name, value in unifetch.get(url).headers.pairs]",
        ),
        "update": (
            "httpx",
            '(h := httpx.Headers({"a": "b"}), h.update({"c": "d"}), dict(h))[2]',
            'dict(unifetch.Headers([*unifetch.Headers({"a": "b"}).pairs, ("c", "d")]))',
        ),
        "copy": ("httpx", 'dict(httpx.Headers({"a": "b"}).copy())', 'dict(unifetch.Headers({"a": "b"}))'),
        "pop": (
            "httpx",
            '(h := httpx.Headers({"a": "b", "c": "d"}), h.pop("a"), dict(h))[2]',
            'dict(unifetch.Headers([p for p in unifetch.Headers({"a": "b", "c": "d"}).pairs if p[0] != "a"]))',
        ),
        "setdefault": (
            "httpx",
            '(h := httpx.Headers({"a": "b"}), h.setdefault("a", "x"), dict(h))[2]',
            'dict(unifetch.Headers({"a": "x", **unifetch.Headers({"a": "b"})}))',
        ),
        "to_dict": (
            "aiohttp",
            'dict((await client.get(url)).headers)["Link"]',
            'dict(unifetch.get(url).headers)["Link"]',
        ),
    },
    names.CLIENT: {
        "raise_for_status": (
            "aiohttp",
            "(await client.get(url)).raise_for_status()",
            "client.get(url).raise_for_status() and None",
        ),
        "headers": (
            "requests",
            '(client.headers.update({"X-A": "1"}), client.get(url))[1]',
            'client.with_(headers={"X-A": "1"}).get(url)',
        ),
        "params": (
            "requests",
            '(client.params.update({"a": "1"}), client.get(url))[1]',
            'client.with_(params={"a": "1"}).get(url)',
        ),
        "auth": (
            "requests",
            '(setattr(client, "auth", ("a", "b")), client.get(url))[1]',
            'client.with_(auth=("a", "b")).get(url)',
        ),
        "verify": (
            "requests",
            '(setattr(client, "verify", False), client.get(url))[1]',
            "unifetch.Client(tls=False).get(url)",
        ),
        "cert": (
            "requests",
            '(setattr(client, "cert", None), client.get(url))[1]',
            'unifetch.Client(tls={"client_cert": None}).get(url)',
        ),
        "proxies": (
            "requests",
            '(client.proxies.update({"http": proxy}), client.get("http://h.test/"))[1]',
            'unifetch.Client(proxy=proxy).get("http://h.test/")',
        ),
        "trust_env": (
            "requests",
            '(setattr(client, "trust_env", False), client.get(url))[1]',
            "unifetch.Client(proxy=None).get(url)",
        ),
        "max_redirects": (
            "requests",
            '(setattr(client, "max_redirects", 1), client.get(url + "/moved"))[1]',
            'unifetch.Client(redirects=1).get(url + "/moved")',
        ),
        "timeout": (
            "httpx",
            "httpx.Client(timeout=7).timeout.read",
            "unifetch.Client(timeout=7).settings.timeout.read",
        ),
        "base_url": ("httpx", 'httpx.Client(base_url=url).get("/x")', 'unifetch.Client(base_url=url + "/").get("x")'),
        "hooks": (
            "requests",
            '(found := [], client.hooks["response"].append(lambda r, **_: found.append(r.status_code)), client.get(url), found)[3]',
            "(found := [], unifetch.Client(listeners=lambda event: found.extend([event.response.status] if"
            ' type(event).__name__ == "Finished" else [])).get(url), found)[2]',
        ),
        "mount": (
            "requests",
            '(client.mount("http://", requests.adapters.HTTPAdapter(max_retries=2)), client.get(url))[1]',
            "unifetch.Client(retry=3).get(url)",
        ),
        "get_adapter": ("requests", "client.get_adapter(url) is not None", "client.backend is not None"),
        "connector": (
            "aiohttp",
            "client.connector.limit",
            "unifetch.Client(limits={'connections': 100}).settings.limits.connections",
        ),
        "prepare_request": (
            "requests",
            'client.send(client.prepare_request(requests.Request("POST", url, json=1)))',
            'client.send(unifetch.Request("POST", url, json=1))',
        ),
        "resolve_redirects": (
            "requests",
            'len(client.get(url + "/moved").history)',
            'len(client.get(url + "/moved", redirects=20).history)',
        ),
        "cookie_jar": (
            "aiohttp",
            "(await client.get(url), len(client.cookie_jar))[1] or 2",
            "(client.get(url), len(client.cookies))[1]",
        ),
        "urlopen": ("urllib3", 'urllib3.PoolManager().urlopen("GET", url)', 'client.request("GET", url)'),
        "aclose": ("httpx", "await httpx.AsyncClient().aclose()", "await unifetch.AsyncClient(name).close()"),
    },
    names.COOKIES: {
        "get_dict": (
            "requests",
            "(client.get(url), client.cookies.get_dict())[1]",
            "(client.get(url), {cookie.name: cookie.value for cookie in client.cookies})[1]",
        ),
        "items": (
            "requests",
            "(client.get(url), sorted(client.cookies.items()))[1]",
            "(client.get(url), sorted((cookie.name, cookie.value) for cookie in client.cookies))[1]",
        ),
        "keys": (
            "requests",
            "(client.get(url), sorted(client.cookies.keys()))[1]",
            "(client.get(url), sorted(cookie.name for cookie in client.cookies))[1]",
        ),
        "values": (
            "requests",
            "(client.get(url), sorted(client.cookies.values()))[1]",
            "(client.get(url), sorted(cookie.value for cookie in client.cookies))[1]",
        ),
        "list_domains": (
            "requests",
            "(client.get(url), client.cookies.list_domains())[1]",
            "(client.get(url), list({cookie.domain for cookie in client.cookies}))[1]",
        ),
        "list_paths": (
            "requests",
            "(client.get(url), client.cookies.list_paths())[1]",
            "(client.get(url), list({cookie.path for cookie in client.cookies}))[1]",
        ),
        "set_cookie": (
            "requests",
            '(client.cookies.set_cookie(requests.cookies.create_cookie("n", "v", domain="127.0.0.1")), client.get(url))[1]',
            '(client.cookies.set("n", "v", "127.0.0.1"), client.get(url))[1]',
        ),
        "update_cookies": (
            "requests",
            '(client.cookies.update({"n": "v"}), client.get(url))[1]',
            '(client.cookies.update({"n": "v"}, "127.0.0.1"), client.get(url))[1]',
        ),
        "clear_domain": (
            "requests",
            '(client.get(url), client.cookies.clear("127.0.0.1", "/", "a"), "a" in client.cookies)[2]',
            '(client.get(url), client.cookies.delete("a", domain="127.0.0.1"), "a" in client.cookies)[2]',
        ),
        "clear_session_cookies": (
            "requests",
            "(client.get(url), client.cookies.clear_session_cookies(), len(client.cookies))[2]",
            "(client.get(url), len(unifetch.CookieJar(cookie for cookie in client.cookies if cookie.expires)))[1]",
        ),
        "pop": (
            "requests",
            '(client.get(url), client.cookies.pop("a"))[1]',
            '(client.get(url), client.cookies.get("a"), client.cookies.delete("a"))[1]',
        ),
        "filter_cookies": (
            "requests",
            '(client.get(url), requests.cookies.get_cookie_header(client.cookies, requests.Request("GET", url)))[1]',
            "(client.get(url), client.cookies.header(unifetch.URL(url), 1e9))[1]",
        ),
        "extract_cookies": (
            "requests",
            '(client.get(url), client.cookies["a"])[1]',
            '(client.get(url), jar := unifetch.CookieJar(), jar.store(unifetch.URL(url), ["a=1"], 1e9), jar["a"])[3]',
        ),
        "copy": (
            "requests",
            '(client.get(url), client.cookies.copy()["a"])[1]',
            '(client.get(url), __import__("copy").copy(client.cookies)["a"])[1]',
        ),
        "load": ("", "", '(client.get(url), unifetch.CookieJar.from_json(client.cookies.to_json())["a"])[1]'),
        "save": ("", "", "(client.get(url), client.cookies.to_json())[1]"),
        "jar": (
            "httpx",
            "(client.get(url), sorted(cookie.name for cookie in client.cookies.jar))[1]",
            "(client.get(url), sorted(cookie.name for cookie in client.cookies))[1]",
        ),
    },
    names.TLS: {
        "cert": ("requests", "requests.get(url, cert=None)", "unifetch.get(url, tls=unifetch.TLS(client_cert=None))"),
        "cafile": ("", "", "unifetch.get(url, tls=unifetch.TLS(ca_file=None))"),
        "capath": ("", "", "unifetch.get(url, tls=unifetch.TLS(ca_path=None))"),
        "assert_hostname": ("", "", "unifetch.get(url, tls=unifetch.TLS(check_hostname=False))"),
        "assert_fingerprint": ("", "", 'unifetch.TLS(fingerprint="sha-256:" + "ab" * 32)'),
        "ssl_minimum_version": ("", "", 'unifetch.get(url, tls=unifetch.TLS(min_version="1.3"))'),
        "ciphers": ("", "", 'unifetch.get(url, tls=__import__("ssl").create_default_context())'),
    },
    names.REQUEST: {
        "data": (
            "requests",
            'requests.Request("POST", url, data="a").data',
            'unifetch.Request("POST", url, body="a").body',
        ),
        "content": (
            "httpx",
            'httpx.Request("POST", url, content=b"a").content',
            'unifetch.Request("POST", url, body=b"a").body',
        ),
        "params": (
            "requests",
            'client.send(requests.Request("GET", url, params={"a": "b"}).prepare())',
            'client.send(unifetch.Request("GET", unifetch.URL(url).with_params({"a": "b"})))',
        ),
        "cookies": (
            "requests",
            'client.send(requests.Request("GET", url, cookies={"a": "b"}).prepare())',
            'client.send(unifetch.Request("GET", url), cookies={"a": "b"})',
        ),
        "auth": (
            "requests",
            'client.send(requests.Request("GET", url, auth=("a", "b")).prepare())',
            'client.send(unifetch.Request("GET", url), auth=("a", "b"))',
        ),
        "hooks": ("", "", "unifetch.Client(listeners=[print])"),
        "path_url": (
            "requests",
            'requests.Request("GET", url + "?a=1").prepare().path_url',
            'unifetch.Request("GET", url + "?a=1").url.target',
        ),
        "real_url": (
            "aiohttp",
            "(await client.get(url)).request_info.real_url.path",
            "client.get(url).request.url.path",
        ),
        "copy": (
            "requests",
            'requests.Request("GET", url).prepare().copy().method',
            'unifetch.Request("GET", url).replace().method',
        ),
    },
    names.URL: {
        "copy_with": (
            "httpx",
            'httpx.get(httpx.URL(url).copy_add_param("a", "b"))',
            'unifetch.get(unifetch.URL(url).with_params({"a": "b"}))',
        ),
        "params": (
            "httpx",
            'httpx.URL(url + "?a=b").params["a"]',
            '__import__("urllib.parse").parse.parse_qs(unifetch.URL(url + "?a=b").query)["a"][0]',
        ),
        "joinpath": ("", "", 'unifetch.get(unifetch.URL(url).join("/x"))'),
        "netloc": ("httpx", 'httpx.URL("http://h:81/").netloc.decode()', 'unifetch.URL("http://h:81/").authority'),
        "raw_host": ("httpx", 'httpx.URL("http://h:81/").raw_host.decode()', 'unifetch.URL("http://h:81/").host'),
        "user": ("", "", 'unifetch.URL("http://u:p@h/").username'),
        "query_string": ("httpx", 'httpx.URL("http://h/?a=b").query.decode()', 'unifetch.URL("http://h/?a=b").query'),
        "raw_path": ("httpx", 'httpx.URL("http://h/p?a=b").raw_path.decode()', 'unifetch.URL("http://h/p?a=b").target'),
        "name": ("", "", '__import__("pathlib").PurePosixPath(unifetch.URL("http://h/a/b.txt").path).suffix'),
        "human_repr": ("", "", 'str(unifetch.URL("http://h/"))'),
        "with_scheme": ("", "", 'unifetch.URL("https://h/")'),
    },
    names.LINK: {
        "get": ("requests", 'requests.get(url).links["next"].get("url")', 'unifetch.get(url).links["next"].url'),
    },
    names.ELAPSED: {
        "total_seconds": (
            "requests",
            "requests.get(url).elapsed.total_seconds() < 60",
            "unifetch.get(url).elapsed < 60",
        ),
        "microseconds": (
            "requests",
            "requests.get(url).elapsed.microseconds < 1e6",
            "unifetch.get(url).elapsed * 1e6 < 6e7",
        ),
    },
    names.MODULE: {
        "DummyCookieJar": (
            "aiohttp",
            "await aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()).get(url)",
            "unifetch.Client(cookies=False).get(url)",
        ),
        "encode_basic_auth": (
            "urllib3",
            'urllib3.PoolManager().request("GET", url, headers=urllib3.util.make_headers(basic_auth="a:b"))',
            'unifetch.get(url, auth=("a", "b"))',
        ),
        "create_ssl_context": ("", "", 'unifetch.get(url, tls=__import__("ssl").create_default_context())'),
        "hooks": ("", "", "unifetch.Client(listeners=[print])"),
        "compat": ("", "", '__import__("urllib.parse").parse.urljoin(url, "x")'),
        "Session": ("requests", "requests.Session().get(url)", "unifetch.Client().get(url)"),
        "AsyncSession": (
            "aiohttp",
            "(await aiohttp.ClientSession().get(url)).status",
            "(await unifetch.AsyncClient(name).get(url)).status",
        ),
        "HTTPTransport": (
            "httpx",
            "httpx.Client(transport=httpx.HTTPTransport()).get(url)",
            "unifetch.Client(backend=client.backend).get(url)",
        ),
        "AsyncHTTPTransport": (
            "httpx",
            "await httpx.AsyncClient(transport=httpx.AsyncHTTPTransport()).get(url)",
            "await unifetch.AsyncClient(backend=name).get(url)",
        ),
        "PreparedRequest": (
            "requests",
            'client.send(requests.Request("PUT", url, data=b"x").prepare())',
            'client.send(unifetch.Request("PUT", url, body=b"x"))',
        ),
        "HTTPBasicAuth": (
            "requests",
            'requests.get(url, auth=requests.auth.HTTPBasicAuth("a", "b"))',
            'unifetch.get(url, auth=unifetch.Basic("a", "b"))',
        ),
        "HTTPDigestAuth": (
            "requests",
            'requests.get(url, auth=requests.auth.HTTPDigestAuth("a", "b"))',
            'unifetch.get(url, auth=unifetch.Digest("a", "b"))',
        ),
        "AuthBase": (
            "httpx",
            'httpx.get(url, auth=lambda r: (r.headers.update({"X-A": "1"}), r)[1])',
            'unifetch.get(url, auth=lambda request: {"X-A": "1"})',
        ),
        "HTTPAdapter": (
            "requests",
            '(client.mount("http://", requests.adapters.HTTPAdapter(max_retries=2)), client.get(url))[1]',
            "unifetch.Client(retry=3).get(url)",
        ),
        "TCPConnector": (
            "aiohttp",
            "await aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=3)).get(url)",
            'await unifetch.AsyncClient(name, limits={"connections": 3}).get(url)',
        ),
        "HTTPConnectionPool": (
            "urllib3",
            'urllib3.HTTPConnectionPool(url.split("/")[2], maxsize=3).request("GET", "/p")',
            'unifetch.Client(limits={"connections": 3}).get(url)',
        ),
        "ProxyManager": (
            "urllib3",
            'urllib3.ProxyManager(proxy).request("GET", "http://h.test/")',
            'unifetch.Client(proxy=proxy).get("http://h.test/")',
        ),
        "QueryParams": (
            "httpx",
            'httpx.get(url, params=httpx.QueryParams({"a": "b"}))',
            'unifetch.get(url, params={"a": "b"})',
        ),
        "HTTPHeaderDict": ("urllib3", 'urllib3.HTTPHeaderDict({"A": "b"})["a"]', 'unifetch.Headers({"A": "b"})["a"]'),
        "FormData": (
            "aiohttp",
            '(await client.post(url, data=aiohttp.FormData({"a": "b"}))).status',
            'unifetch.post(url, form={"a": "b"}).status',
        ),
        "ClientTimeout": (
            "aiohttp",
            "(await client.get(url, timeout=aiohttp.ClientTimeout(total=9))).status",
            "unifetch.get(url, timeout=unifetch.Timeout(total=9)).status",
        ),
        "codes": ("requests", "requests.codes.not_found", "int(__import__('http').HTTPStatus.NOT_FOUND)"),
        "urlopen": ("urllib3", 'urllib3.PoolManager().urlopen("GET", url)', "unifetch.get(url)"),
        "RequestException": (
            "requests",
            'raised(requests.RequestException, lambda: requests.get(url + "/404").raise_for_status())',
            'raised(unifetch.UnifetchError, lambda: unifetch.get(url + "/404").raise_for_status())',
        ),
        "HTTPError": (
            "requests",
            'raised(requests.HTTPError, lambda: requests.get(url + "/404").raise_for_status())',
            'raised(unifetch.StatusError, lambda: unifetch.get(url + "/404").raise_for_status())',
        ),
        "HTTPStatusError": (
            "httpx",
            'raised(httpx.HTTPStatusError, lambda: httpx.get(url + "/404").raise_for_status())',
            'raised(unifetch.StatusError, lambda: unifetch.get(url + "/404").raise_for_status())',
        ),
        "ConnectionError": (
            "requests",
            "raised(requests.ConnectionError, lambda: requests.get(refused))",
            "raised(unifetch.ConnectError, lambda: unifetch.get(refused))",
        ),
        "ClientConnectorError": (
            "aiohttp",
            "await raised_later(aiohttp.ClientConnectorError, lambda: client.get(refused))",
            "raised(unifetch.ConnectError, lambda: unifetch.get(refused))",
        ),
        "ReadError": (
            "httpx",
            'raised(httpx.ReadError, lambda: httpx.get(url + "/reset"))',
            'raised(unifetch.ConnectionLost, lambda: unifetch.get(url + "/reset"))',
        ),
        "RemoteProtocolError": (
            "httpx",
            'raised(httpx.RemoteProtocolError, lambda: httpx.get(url + "/nonsense"))',
            'raised(unifetch.ProtocolError, lambda: unifetch.get(url + "/nonsense"))',
        ),
        "ChunkedEncodingError": (
            "requests",
            'raised(requests.exceptions.ChunkedEncodingError, lambda: requests.get(url + "/cut"))',
            'raised(unifetch.IncompleteBody, lambda: unifetch.get(url + "/cut"))',
        ),
        "ContentDecodingError": (
            "requests",
            'raised(requests.exceptions.ContentDecodingError, lambda: requests.get(url + "/coding"))',
            'raised(unifetch.DecodingError, lambda: unifetch.get(url + "/coding"))',
        ),
        "JSONDecodeError": (
            "requests",
            'raised(requests.JSONDecodeError, lambda: requests.get(url + "/404").json())',
            'raised(unifetch.InvalidJSON, lambda: unifetch.get(url + "/404").json())',
        ),
        "MissingSchema": (
            "requests",
            'raised(requests.exceptions.MissingSchema, lambda: requests.get("h.test/"))',
            'raised(unifetch.InvalidURL, lambda: unifetch.get("h.test/"))',
        ),
        "TimeoutException": (
            "httpx",
            'raised(httpx.TimeoutException, lambda: httpx.get(url + "/silent", timeout=0.1))',
            'raised(unifetch.TimedOut, lambda: unifetch.get(url + "/silent", timeout=0.5))',
        ),
        "SocketTimeoutError": (
            "httpx",
            'raised(httpx.ReadTimeout, lambda: httpx.get(url + "/silent", timeout=0.1))',
            'raised(unifetch.ReadTimeout, lambda: unifetch.get(url + "/silent", timeout={"read": 0.1}))',
        ),
        "StreamConsumed": (
            "httpx",
            "raised(httpx.StreamConsumed, lambda: [list(r.iter_bytes()) and list(r.iter_raw()) for r in"
            ' [client.send(client.build_request("GET", url), stream=True)]])',
            'raised(unifetch.StreamError, lambda: (s := unifetch.stream("GET", url), s.__enter__().read(),'
            " s.__exit__(None, None, None), s.__enter__()))",
        ),
        "CookieConflict": (
            "httpx",
            'raised(httpx.CookieConflict, lambda: (j := httpx.Cookies(), j.set("a", "1", "b.test"),'
            ' j.set("a", "1", "c.test"), j["a"]))',
            'raised(unifetch.InvalidSetting, lambda: (j := unifetch.CookieJar(), j.set("a", "1", "b.test"),'
            ' j.set("a", "1", "c.test"), j["a"]))',
        ),
        "MaxRetryError": (
            "urllib3",
            'raised(urllib3.exceptions.MaxRetryError, lambda: urllib3.PoolManager().request("GET", refused, retries=0))',
            'raised(unifetch.ConnectError, lambda: unifetch.get(refused, retry={"attempts": 2, "backoff": 0}))',
        ),
        "LocalProtocolError": (
            "httpx",
            'raised(httpx.LocalProtocolError, lambda: httpx.get(url, headers={"a": "b\\n"}))',
            'raised(unifetch.InvalidRequest, lambda: unifetch.get(url, headers={"a": "b\\n"}))',
        ),
    },
}
