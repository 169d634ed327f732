"""Who is asked: each library by the call that its own documentation shows first, and unifetch on each backend.

A call is written out as source text, run as it stands, and shown as it stands. So what a page shows is what ran.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

LIBRARIES = ("urllib", "requests", "httpx", "httpx2", "urllib3", "aiohttp")
BY_HAND = ("socket", "curl")
AWAITED = ("httpx-async", "httpx2-async")
BACKENDS = ("urllib", "requests", "httpx", "httpx2", "urllib3", "aiohttp", "socket")
UNIFETCH = tuple(f"unifetch:{name}" for name in BACKENDS)
NEWEST = (*LIBRARIES, *AWAITED, *BY_HAND, *UNIFETCH)
FLOOR = tuple(name for name in (*LIBRARIES, *AWAITED) if name != "urllib")


@dataclass(frozen=True)
class Ask:
    """A call, in terms that every library has some words for.

    Values are source text where they are code (`body`, `json`, `form`, `params`, …), so that they can be shown.

    Attributes:
        method, path: what is asked for; the path is appended to the server's address.
        url: the whole URL as an expression, instead of the path.
        params, headers, json, form, body, files, auth, cookies: expressions, as the caller would write them.
        timeout: seconds, or None for whatever the library does by itself.
        read: `"whole"`, `"pieces"` (of 64 KiB), `"text"`, `"json"`, or `"cookies"` (the fields Set-Cookie).
        times: how often, on one session where the library has sessions.
        wait: seconds between one time and the next.
        each: instead of `times`, the addresses that are asked on one session, one after the other; `url` is "address".
        http2: whether the call asks for HTTP/2.
        before: lines that stand before the call.
        only: the subjects that have an ordinary call for it; empty for all.
        code: the whole source by subject, where it is none of the above.
    """

    method: str = "GET"
    path: str = "/"
    url: str = ""
    params: str = ""
    headers: str = ""
    json: str = ""
    form: str = ""
    body: str = ""
    files: str = ""
    auth: str = ""
    cookies: str = ""
    timeout: float | None = None
    read: str = "whole"
    times: int = 1
    wait: float = 0.0
    each: str = ""
    http2: bool = False
    before: str = ""
    only: tuple[str, ...] = ()
    code: dict[str, str] = field(default_factory=dict)


def code(subject: str, ask: Ask) -> str | None:
    """The source of `ask(url)` for this subject, or None where it has no ordinary call for it."""
    if (ask.only or subject in AWAITED) and subject.partition(":")[0] not in ask.only:
        return None
    if subject in ask.code:
        return ask.code[subject]
    writer = WRITERS[subject.partition(":")[0]]
    return writer(ask, subject)


def _url(ask: Ask) -> str:
    return ask.url or f'url + "{ask.path}"'


def _function(imports: str, ask: Ask, lines: list[str]) -> str:
    before = [*ask.before.splitlines(), ""] if ask.before else []
    body = [f"    {line}" if line else "" for line in [*before, *lines]]
    return "\n".join([*(f"import {name}" for name in imports.split()), "", "", "def ask(url):", *body]) + "\n"


def _repeat(ask: Ask, lines: list[str]) -> list[str]:
    """The lines, so often as they are asked for."""
    if ask.times == 1:
        return lines
    pause = [f"    time.sleep({ask.wait})"] if ask.wait else []
    every = f"for address in {ask.each}:" if ask.each else f"for _ in range({ask.times}):"
    return [every, *(f"    {line}" for line in lines), *pause]


def _arguments(ask: Ask, **names: str) -> list[str]:
    """Keyword arguments, by the names that a library has for them."""
    given = []
    for name in ("params", "headers", "json", "form", "body", "files", "auth", "cookies"):
        value = getattr(ask, name)
        if value:
            given.append(f"{names.get(name, name)}={value}")
    if ask.timeout is not None:
        given.append(f"timeout={ask.timeout:g}")
    return given


def _urllib(ask: Ask, subject: str) -> str | None:
    if ask.files or ask.cookies:
        return None
    imports = ["urllib.request"]
    url = _url(ask)
    before: list[str] = []
    if ask.params:
        imports.append("urllib.parse")
        joint = "&" if "?" in ask.path else "?"
        url = f'{url} + "{joint}" + urllib.parse.urlencode({ask.params})'
    data, headers = ask.body, ask.headers
    if ask.form:
        imports.append("urllib.parse")
        data = f'urllib.parse.urlencode({ask.form}).encode("ascii")'
    if ask.json:
        imports.append("json")
        data, headers = f"json.dumps({ask.json}).encode()", '{"Content-Type": "application/json"}'
    if ask.auth:
        imports.append("base64")
        before.append(f'credentials = base64.b64encode(":".join({ask.auth}).encode()).decode()')
        headers = '{"Authorization": f"Basic {credentials}"}'
    arguments = [url, *([f"data={data}"] if data else []), *([f"headers={headers}"] if headers else [])]
    if ask.method != ("POST" if data else "GET"):
        arguments.append(f'method="{ask.method}"')
    call = url if len(arguments) == 1 else "request"
    if len(arguments) > 1:
        before.append(f"request = urllib.request.Request({', '.join(arguments)})")
    if ask.timeout is not None:
        call += f", timeout={ask.timeout:g}"
    body = {
        "whole": ["body = response.read()"],
        "pieces": ['body = b"".join(iter(lambda: response.read(65536), b""))'],
        "text": ["body = response.read().decode(response.headers.get_content_charset() or 'utf-8')"],
        "json": ["body = json.load(response)"],
        "cookies": ['body = response.headers.get_all("Set-Cookie")'],
    }[ask.read]
    if ask.read == "json":
        imports.append("json")
    lines = [f"with urllib.request.urlopen({call}) as response:", *(f"    {line}" for line in body)]
    lines = [*before, *_repeat(ask, lines), "return response.status, response.headers.items(), body"]
    return _function(" ".join([*dict.fromkeys(imports), *_time(ask)]), ask, lines)


def _time(ask: Ask) -> list[str]:
    return ["time"] if ask.wait else []


def _requests(ask: Ask, subject: str) -> str:
    arguments = [_url(ask), *_arguments(ask, form="data", body="data")]
    if ask.read == "pieces":
        arguments.append("stream=True")
    one = f"response = WHO.{ask.method.lower()}({', '.join(arguments)})"
    body = {
        "whole": "response.content",
        "pieces": 'b"".join(response.iter_content(65536))',
        "text": "response.text",
        "json": "response.json()",
        "cookies": 'response.headers["Set-Cookie"]',
    }[ask.read]
    result = f"return response.status_code, response.headers.items(), {body}"
    if ask.times == 1:
        return _function("requests", ask, [one.replace("WHO", "requests"), result])
    lines = [f"    {line}" for line in _repeat(ask, [one.replace("WHO", "session")])]
    return _function(
        " ".join([*_time(ask), "requests"]), ask, ["with requests.Session() as session:", *lines, f"    {result}"]
    )


def _httpx(ask: Ask, subject: str) -> str:
    library = subject
    arguments = [_url(ask), *_arguments(ask, form="data", body="content")]
    body = {
        "whole": "response.content",
        "pieces": 'b"".join(response.iter_bytes())',
        "text": "response.text",
        "json": "response.json()",
        "cookies": 'response.headers.get_list("Set-Cookie")',
    }[ask.read]
    result = f"return response.status_code, response.headers.multi_items(), {body}"
    if ask.read == "pieces":
        line = f'with {library}.stream("{ask.method}", {", ".join(arguments)}) as response:'
        return _function(library, ask, [line, f"    {result}"])
    plain = not (ask.method in ("DELETE", "GET", "HEAD") and (ask.json or ask.body or ask.form))
    verb = f"{ask.method.lower()}(" if plain else f'request("{ask.method}", '
    one = f"response = WHO.{verb}{', '.join(arguments)})"
    if ask.times == 1 and not ask.http2:
        return _function(library, ask, [one.replace("WHO", library), result])
    lines = [f"    {line}" for line in _repeat(ask, [one.replace("WHO", "client")])]
    client = f"{library}.Client({'http2=True' if ask.http2 else ''})"
    return _function(" ".join([*_time(ask), library]), ask, [f"with {client} as client:", *lines, f"    {result}"])


def _httpx_async(ask: Ask, subject: str) -> str:
    library = subject.partition("-")[0]
    arguments = [_url(ask), *_arguments(ask, form="data", body="content")]
    one = f'response = await client.request("{ask.method}", {", ".join(arguments)})'
    lines = [
        "async def main():",
        f"    async with {library}.AsyncClient() as client:",
        *(f"        {line}" for line in _awaited_repeat(ask, [one])),
        "        return response.status_code, response.headers.multi_items(), response.content",
        "",
        "return asyncio.run(main())",
    ]
    return _function(f"asyncio {library}", ask, lines)


def _awaited_repeat(ask: Ask, lines: list[str]) -> list[str]:
    return [line.replace("time.sleep", "await asyncio.sleep") for line in _repeat(ask, lines)]


def _urllib3(ask: Ask, subject: str) -> str | None:
    if ask.cookies:
        return None
    fields, headers = ask.params, ask.headers
    if ask.form:
        fields = ask.form
    arguments = [f'"{ask.method}"', _url(ask)]
    extra: list[str] = []
    if ask.files:
        fields = ask.files
    if ask.auth:
        headers = f'urllib3.make_headers(basic_auth=":".join({ask.auth}))'
    if fields:
        arguments.append(f"fields={fields}")
    if headers:
        arguments.append(f"headers={headers}")
    if ask.json:
        arguments.append(f"json={ask.json}")
    if ask.body:
        arguments.append(f"body={ask.body}")
    if ask.timeout is not None:
        arguments.append(f"timeout={ask.timeout:g}")
    if ask.read == "pieces":
        arguments.append("preload_content=False")
    body = {
        "whole": "response.data",
        "pieces": 'b"".join(response.stream(65536))',
        "text": "response.data.decode()",
        "json": "response.json()",
        "cookies": 'response.headers.getlist("Set-Cookie")',
    }[ask.read]
    one = f"response = WHO.request({', '.join(arguments)})"
    result = f"return response.status, response.headers.items(), {body}"
    if ask.times > 1:
        extra = ["pool = urllib3.PoolManager()"]
    one = one.replace("WHO", "pool" if ask.times > 1 else "urllib3")
    return _function(" ".join([*_time(ask), "urllib3"]), ask, [*extra, *_repeat(ask, [one]), result])


def _aiohttp(ask: Ask, subject: str) -> str:
    arguments = [_url(ask)]
    for name, word in (
        ("params", "params"),
        ("headers", "headers"),
        ("json", "json"),
        ("form", "data"),
        ("body", "data"),
    ):
        if value := getattr(ask, name):
            arguments.append(f"{word}={value}")
    before = []
    if ask.before and not set(AWAITED) & set(ask.only):
        ask = replace(ask, before=ask.before.replace("def pieces", "async def pieces"))
    if ask.files:
        before = ["form = aiohttp.FormData()"]
        before.append(f"for name, (filename, content) in {ask.files}.items():")
        before.append("    form.add_field(name, content, filename=filename)")
        arguments.append("data=form")
    if ask.auth:
        arguments.append(f"auth=aiohttp.BasicAuth(*{ask.auth})")
    if ask.cookies:
        arguments.append(f"cookies={ask.cookies}")
    if ask.timeout is not None:
        arguments.append(f"timeout=aiohttp.ClientTimeout(total={ask.timeout:g})")
    body = {
        "whole": "await response.read()",
        "pieces": 'b"".join([piece async for piece in response.content.iter_chunked(65536)])',
        "text": "await response.text()",
        "json": "await response.json()",
        "cookies": 'response.headers.getall("Set-Cookie")',
    }[ask.read]
    one = [
        f"async with session.{ask.method.lower()}({', '.join(arguments)}) as response:",
        f"    body = {body}",
    ]
    lines = [
        "async def main():",
        *(f"    {line}" for line in before),
        "    async with aiohttp.ClientSession() as session:",
        *(f"        {line}" for line in _awaited_repeat(ask, one)),
        "        return response.status, response.headers.items(), body",
        "",
        "return asyncio.run(main())",
    ]
    return _function("asyncio aiohttp", ask, lines)


def _socket(ask: Ask, subject: str) -> str | None:
    """By hand, a GET is what fits on a page; the rest is the business of a library."""
    if (
        ask != Ask(path=ask.path, headers=ask.headers, read=ask.read)
        or ask.read not in ("whole", "pieces")
        or ask.headers
    ):
        return None
    lines = [
        'host, _, port = url.partition("//")[2].partition(":")',
        "with socket.create_connection((host, int(port))) as connection:",
        '    fields = f"Host: {host}:{port}\\r\\nConnection: close\\r\\n"',
        f'    connection.sendall(f"GET {ask.path} HTTP/1.1\\r\\n{{fields}}\\r\\n".encode())',
        '    received = b"".join(iter(lambda: connection.recv(65536), b""))',
        'head, _, body = received.partition(b"\\r\\n\\r\\n")',
        'status_line, *fields = head.decode("latin-1").split("\\r\\n")',
        'return int(status_line.split(" ")[1]), [tuple(field.split(": ", 1)) for field in fields], body',
    ]
    return _function("socket", ask, lines)


def _curl(ask: Ask, subject: str) -> str | None:
    if ask.before or ask.files or ask.times > 1 or ask.read != "whole" or ask.url or ask.form:
        return None
    words = ["curl", "--silent", "--show-error", "--include", *(["--http2"] if ask.http2 else [])]
    data = ask.body
    if ask.params:
        return None
    if ask.method == "HEAD":
        words.append("--head")
    elif ask.method != ("POST" if data or ask.json else "GET"):
        words += ["--request", ask.method]
    command = ", ".join(f'"{word}"' for word in words)
    if ask.headers:
        command += (
            f', *(part for name, value in {ask.headers}.items() for part in ("--header", f"{{name}}: {{value}}"))'
        )
    if ask.json:
        command += f', "--json", json.dumps({ask.json})'
    if data:
        command += f', "--data-binary", {data}'
    if ask.auth:
        command += f', "--user", ":".join({ask.auth})'
    if ask.timeout is not None:
        command += f', "--max-time", "{ask.timeout:g}"'
    lines = [
        f"command = [{command}, {_url(ask)}]",
        "received = subprocess.run(command, check=True, capture_output=True).stdout",
        'head, _, body = received.partition(b"\\r\\n\\r\\n")',
        'while body.startswith(b"HTTP/"):  # a 1xx came before',
        '    head, _, body = body.partition(b"\\r\\n\\r\\n")',
        'status_line, *fields = head.decode("latin-1").split("\\r\\n")',
        'return int(status_line.split(" ")[1]), [tuple(field.split(":", 1)) for field in fields], body',
    ]
    return _function(" ".join([*(["json"] if ask.json else []), "subprocess"]), ask, lines)


def _unifetch(ask: Ask, subject: str) -> str:
    backend = subject.partition(":")[2]
    arguments = [_url(ask), *_arguments(ask), *(["http2=True"] if ask.http2 else []), f'backend="{backend}"']
    body = {
        "whole": "response.body",
        "pieces": "",
        "text": "response.text",
        "json": "response.json()",
        "cookies": 'response.headers.get_all("Set-Cookie")',
    }[ask.read]
    result = f"return response.status, response.headers.items(), {body}"
    if ask.read == "pieces":
        lines = [
            f'with unifetch.stream("{ask.method}", {", ".join(arguments)}) as response:',
            '    return response.status, response.headers.items(), b"".join(response.body)',
        ]
        return _function("unifetch", ask, lines)
    plain = not (ask.method in ("DELETE", "GET", "HEAD") and (ask.json or ask.body or ask.form))
    verb = f"{ask.method.lower()}(" if plain else f'request("{ask.method}", '
    if ask.times == 1:
        return _function("unifetch", ask, [f"response = unifetch.{verb}{', '.join(arguments)})", result])
    one = f"response = client.{verb}{', '.join(arguments[:-1])})"
    lines = [f"    {line}" for line in _repeat(ask, [one])]
    return _function(
        " ".join([*_time(ask), "unifetch"]),
        ask,
        [f'with unifetch.Client(backend="{backend}") as client:', *lines, f"    {result}"],
    )


# --- Calls of their own ---------------------------------------------------------------------------

# One that is awaited: how the client is made, and how it is asked.
AWAITED_CALLS = {
    "aiohttp": ("aiohttp.ClientSession()", "client.get(url)"),
    "httpx-async": ("httpx.AsyncClient()", "client.get(url)"),
    "httpx2-async": ("httpx2.AsyncClient()", "client.get(url)"),
    **{f"unifetch:{name}": (f'unifetch.AsyncClient(backend="{name}")', "client.get(url)") for name in BACKENDS},
}
# What such a response is, as (status, headers, body).
AWAITED_RESULTS = {
    "aiohttp": "response.status, response.headers.items(), await response.read()",
    "httpx": "response.status_code, response.headers.multi_items(), response.content",
    "httpx2": "response.status_code, response.headers.multi_items(), response.content",
    "unifetch": "response.status, response.headers.items(), response.body",
}


def at_once(count: int) -> dict[str, str]:
    """So many GETs by as many tasks of one event loop, on one client; it returns the last answer."""
    return {
        subject: _awaited(
            subject,
            client,
            [f"responses = await asyncio.gather(*({call} for _ in range({count})))", "response = responses[-1]"],
        )
        for subject, (client, call) in AWAITED_CALLS.items()
    }


def while_the_loop_stands(timeout: int, seconds: int) -> dict[str, str]:
    """A GET while something else holds up the event loop for so many seconds."""
    given = f"timeout={timeout}"
    lines = [
        "asked = asyncio.create_task(ASK)",
        "await asyncio.sleep(1)  # it is sent, and its answer on the way",
        f"time.sleep({seconds})  # somebody computes, and the loop stands",
        "response = await asked",
    ]
    found = {}
    for subject, (client, call) in AWAITED_CALLS.items():
        limit = f"timeout=aiohttp.ClientTimeout(total={timeout})" if subject == "aiohttp" else given
        made = client.replace("()", f"({limit})").replace('")', f'", {given})')
        asked = "asyncio.ensure_future(" if subject == "aiohttp" else "asyncio.create_task("
        each = [line.replace("asyncio.create_task(ASK)", f"{asked}{call})") for line in lines]
        found[subject] = _awaited(subject, made, each, "time")
    return found


def _awaited(subject: str, client: str, lines: list[str], *imports: str) -> str:
    library = subject.partition("-")[0].partition(":")[0]
    body = [
        "async def main():",
        f"    async with {client} as client:",
        *(f"        {line}" for line in lines),
        f"        return {AWAITED_RESULTS[library]}",
        "",
        "return asyncio.run(main())",
    ]
    return _function(" ".join(["asyncio", *imports, library]), Ask(), body)


WRITERS = {
    "urllib": _urllib,
    "requests": _requests,
    "httpx": _httpx,
    "httpx2": _httpx,
    "urllib3": _urllib3,
    "aiohttp": _aiohttp,
    "httpx-async": _httpx_async,
    "httpx2-async": _httpx_async,
    "socket": _socket,
    "curl": _curl,
    "unifetch": _unifetch,
}
