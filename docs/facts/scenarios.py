"""The questions: what is asked, what the server answers, what to look at, and why either answer may be right.

`kind` is `"required"` where a standard decides, `"optional"` where it leaves a choice, and `"information"`
where no standard says anything. Nothing stands here that looks like a hole whose maintainers were not told.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field

from .recorder import Answer, Close, Pause, Reset, Script
from .subjects import AWAITED, LIBRARIES, Ask, at_once, while_the_loop_stands

MESSAGING = "RFC 9112"  # HTTP/1.1
SEMANTICS = "RFC 9110"


@dataclass(frozen=True)
class Scenario:
    """One question.

    Attributes:
        name: its name in addresses.
        topic: one of `TOPICS`.
        question: one line.
        kind: `"required"`, `"optional"` or `"information"`.
        section: the section of the standard, or `""`.
        why: why either answer may be right; plain text.
        ask: the call.
        script: what the server answers.
        shows: what the short answer is made of; see `answers.py`.
        early: the server answers before it has read the body.
        tls: `""`, `"trusted"` (by the system only) or `"common-name"` (a certificate without subjectAltName).
        environ: environment variables of the process; `{port}` is the server's.
        files: files by environment variable, whose value is their path.
        limit: seconds until a call is taken for one that does not end.
        racy: the bytes are not the same on each run, so that they are shown but not held against the next one.
        hosts: names that lead to these addresses, the first of them in place of 127.0.0.1; at 127.0.0.2 nobody answers.
        alpn: what the server offers by ALPN; `"h2"` is answered in frames.
        brief: only the bytes of the first connection are kept.
    """

    name: str
    topic: str
    question: str
    why: str
    ask: Ask
    script: Script
    shows: str
    kind: str = "information"
    section: str = ""
    early: bool = False
    tls: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    limit: float = 20.0
    racy: bool = False
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    alpn: tuple[str, ...] = ()
    brief: bool = False


TOPICS = {
    "wire": "The bytes of common calls",
    "asking": "Asking",
    "time": "Time and repetition",
    "answering": "Answering",
    "malformed": "Malformed answers",
    "around": "Around it",
    "awaited": "Awaited",
    "http2": "HTTP/2",
}


def reply(body: bytes = b"", *fields: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A well-formed response, unless the fields make it something else."""
    length = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {length}", "", ""]
    return "\r\n".join(head).encode() + body


def always(*answer: bytes | Pause | Close | Reset) -> dict[str, list[Answer]]:
    """The same answer to every request."""
    return {"/": [answer]}


OK = always(reply(b"hello\n", "Content-Type: text/plain"))
TWO_HOSTS = {"one.test": ("127.0.0.1",), "two.test": ("127.0.0.1",)}
ELSEWHERE: Script = {
    "/": [[reply(b"", "Location: http://two.test:{port}/there", status="302 Found")]],
    "/there": [[reply(b"ok")]],
}
MOVED = "Location: /there"


def chunked(body: bytes, *fields: str) -> bytes:
    """A response whose body is in chunks, which are given as they are."""
    return "\r\n".join(["HTTP/1.1 200 OK", *fields, "Transfer-Encoding: chunked", "", ""]).encode() + body


WIRE = [
    Scenario(
        "get",
        "wire",
        "What does the plainest GET send?",
        "Only Host is required. Accept-Encoding asks for a smaller answer, which the client then has to "
        "decode; User-Agent "
        "helps those who run servers; Connection: close says that nothing else will follow.",
        Ask(),
        OK,
        "fields",
        "optional",
        f"{SEMANTICS} §7.2",
    ),
    Scenario(
        "head",
        "wire",
        "What does HEAD send, and when is its answer complete?",
        "The answer has the fields of a GET, a length too, and no body. Who reads one waits in vain.",
        Ask(method="HEAD"),
        always(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"),
        "outcome",
        "required",
        f"{SEMANTICS} §9.3.2",
    ),
    Scenario(
        "post-json",
        "wire",
        "How is JSON written?",
        "Any white space and any escape is JSON. Compact UTF-8 is smaller; ASCII survives careless servers.",
        Ask(method="POST", json='{"name": "é", "tags": [1, 2]}'),
        OK,
        "body",
        "optional",
        "RFC 8259 §8.1",
    ),
    Scenario(
        "post-form",
        "wire",
        "How is a form written?",
        "The URL standard wants + for a space and leaves *-._ alone; all that decode forms accept %20 as well.",
        Ask(method="POST", form='{"name": "a b", "mark": "*~é"}'),
        OK,
        "body",
        "optional",
        "URL Standard §5.2",
    ),
    Scenario(
        "post-bytes",
        "wire",
        "Which Content-Type do bytes get?",
        "Who names none says nothing about the bytes, which is honest. urllib calls whatever it sends a form.",
        Ask(method="POST", body='b"hello"'),
        OK,
        "field Content-Type",
        "optional",
        f"{SEMANTICS} §8.3",
    ),
    Scenario(
        "post-file",
        "wire",
        "How is a file in a form written?",
        "The Content-Type of a part is optional, and so is a guess of it from the file's name.",
        Ask(method="POST", files='{"file": ("a.txt", b"hello")}'),
        OK,
        "body",
        "optional",
        "RFC 7578 §4",
    ),
    Scenario(
        "file-name",
        "wire",
        "How is a file's name that is not ASCII written?",
        "Browsers send UTF-8 as it is, by the HTML standard; RFC 7578 forbids the form filename*= that "
        "older libraries chose.",
        Ask(method="POST", files='{"file": ("é.txt", b"hello")}'),
        OK,
        "part",
        "required",
        "RFC 7578 §4.2",
    ),
    Scenario(
        "post-generator",
        "wire",
        "How is a body sent whose length nobody knows?",
        "In HTTP/1.1 by chunks, each with its size before it. A server of HTTP/1.0 would not understand it.",
        Ask(method="POST", body="pieces()", before='def pieces():\n    yield b"one"\n    yield b"two"'),
        OK,
        "body",
        "required",
        f"{MESSAGING} §7.1",
    ),
    Scenario(
        "put-empty",
        "wire",
        "Does a PUT without a body say that it has none?",
        "Content-Length: 0 SHOULD be sent where the method expects a body; a server may otherwise answer 411.",
        Ask(method="PUT"),
        OK,
        "field Content-Length",
        "optional",
        f"{SEMANTICS} §8.6",
    ),
    Scenario(
        "delete",
        "wire",
        "Does a DELETE without a body say that it has none?",
        "DELETE expects no body, so the field SHOULD NOT be sent. It does no harm either.",
        Ask(method="DELETE"),
        OK,
        "field Content-Length",
        "optional",
        f"{SEMANTICS} §8.6",
    ),
    Scenario(
        "basic",
        "wire",
        "In which encoding does Basic send a password?",
        "RFC 7617 leaves it open unless the server says charset=UTF-8. Latin-1 is the older habit.",
        Ask(auth='("user", "pässword")'),
        OK,
        "field Authorization",
        "optional",
        "RFC 7617 §2.1",
    ),
    Scenario(
        "own-fields",
        "wire",
        "Do the names of your own header fields keep their case?",
        "Case means nothing, so servers must not care. Some do; then it helps if what you wrote is what is sent.",
        Ask(headers='{"x-lower": "1", "X-UPPER": "2"}'),
        OK,
        "names x-lower x-upper",
        "information",
        f"{SEMANTICS} §5.1",
    ),
    Scenario(
        "keep-alive",
        "wire",
        "Do two requests, one after the other, share a connection?",
        "A connection that is kept saves a round trip, over TLS two or more. One that is closed cannot be stale.",
        Ask(times=2),
        OK,
        "connections",
        "optional",
        f"{MESSAGING} §9.3",
    ),
    Scenario(
        "set-cookie",
        "wire",
        "Does a cookie come back with the second request?",
        "A jar is part of a session for those who imitate a browser. Others want no state that they did not ask for.",
        Ask(times=2),
        {"/": [[reply(b"", "Set-Cookie: a=1; Path=/")], [reply()]]},
        "second Cookie",
        "optional",
        "RFC 6265 §5.4",
    ),
    Scenario(
        "host-only-cookie",
        "wire",
        "Does a cookie without Domain go to a subdomain, too?",
        "By RFC 6265 it goes to its host alone. Python's http.cookiejar, which some libraries use, follows Netscape's "
        "habit by default, and says so.",
        Ask(url="address", times=2, each='(url, url.replace("//", "//sub."))', only=(*LIBRARIES, "unifetch")),
        always(reply(b"", "Set-Cookie: a=1")),
        "second Cookie",
        "required",
        "RFC 6265 §5.3",
        hosts={"shop.test": ("127.0.0.1",), "sub.shop.test": ("127.0.0.1",)},
    ),
]

ASKING = [
    Scenario(
        "params-none",
        "asking",
        "What is sent for params={'b': None}?",
        "None may mean “leave it out”, “without a value”, or the text None. No standard knows Python's None.",
        Ask(params='{"b": None}'),
        OK,
        "target",
        section="URL Standard §5.2",
    ),
    Scenario(
        "params-true",
        "asking",
        "What is sent for params={'b': True}?",
        "str(True) is what Python prints; true is what JSON and most servers expect.",
        Ask(params='{"b": True}'),
        OK,
        "target",
        section="URL Standard §5.2",
    ),
    Scenario(
        "params-list",
        "asking",
        "What is sent for params={'b': [1, 2]}?",
        "Repeating the name is the habit of forms, though no standard gives lists a meaning.",
        Ask(params='{"b": [1, 2]}'),
        OK,
        "target",
        section="URL Standard §5.2",
    ),
    Scenario(
        "params-space",
        "asking",
        "How are a space and a slash in params written?",
        "The URL standard writes + for a space in a query that is a form, RFC 3986 knows %20 only. A "
        "slash may stand as it is.",
        Ask(params='{"b": "a b/c"}'),
        OK,
        "target",
        section="RFC 3986 §3.4",
    ),
    Scenario(
        "params-merge",
        "asking",
        "What becomes of /?a=1 and params={'b': 3}?",
        "Adding is what most expect; replacing makes params the one source of the query.",
        Ask(path="/?a=1", params='{"b": 3}'),
        OK,
        "target",
        section="RFC 3986 §3.4",
    ),
    Scenario(
        "percent-stray",
        "asking",
        "What becomes of a % that begins no escape?",
        "Such a URL is malformed. It can be sent as it is, escaped, or refused; other escapes should stay as they are.",
        Ask(path="/a%zz/%2f"),
        OK,
        "target",
        "optional",
        "RFC 3986 §2.1",
    ),
    Scenario(
        "percent-letter",
        "asking",
        "Is %41 sent as it is, or as A?",
        "The two are equivalent, and a client may normalise. A signature over the URL then no longer fits.",
        Ask(path="/%41%7e"),
        OK,
        "target",
        "optional",
        "RFC 3986 §6.2.2.2",
    ),
    Scenario(
        "dots",
        "asking",
        "Does the client resolve /a/../b?",
        "Browsers do, by the URL standard. Who tests a server wants the path as it was written.",
        Ask(path="/a/../b"),
        OK,
        "target",
        "optional",
        "RFC 3986 §5.2.4",
    ),
    Scenario(
        "fragment",
        "asking",
        "Is a fragment sent?",
        "It is for the client alone, and not part of a request target.",
        Ask(path="/a#b"),
        OK,
        "target",
        "required",
        f"{SEMANTICS} §4.2.5",
    ),
    Scenario(
        "umlaut",
        "asking",
        "What becomes of é in a path?",
        "A URI is ASCII; browsers encode UTF-8 with percent signs. To refuse is strict, to encode is kind.",
        Ask(path="/é"),
        OK,
        "target",
        "optional",
        "RFC 3987 §3.1",
    ),
    Scenario(
        "file-url",
        "asking",
        "Is a data: URL opened?",
        "urllib opens any kind of URL, which is its documented purpose. Who fetches URLs of strangers "
        "wants http and https only.",
        Ask(url='"data:,hello"', only=(*LIBRARIES, "unifetch")),
        OK,
        "outcome",
    ),
    Scenario(
        "field-umlaut",
        "asking",
        "In which encoding is é in a header value sent?",
        "Fields are ASCII by recommendation, ISO-8859-1 by history, and UTF-8 by hope.",
        Ask(headers='{"X-Name": "é"}'),
        OK,
        "field X-Name",
        "optional",
        f"{SEMANTICS} §5.5",
    ),
    Scenario(
        "length-too-small",
        "asking",
        "What if your own Content-Length is too small?",
        "The caller is wrong. The body can be cut, the field corrected, the call refused, or the bytes "
        "sent as they are: then "
        "the server takes the rest for another request.",
        Ask(method="POST", body='b"hello"', headers='{"Content-Length": "2"}', only=(*LIBRARIES, "unifetch")),
        always(reply(b"ok"), Close()),
        "framed",
        "required",
        f"{SEMANTICS} §8.6",
    ),
    Scenario(
        "file-half-read",
        "asking",
        "What is sent of a file that was read half way?",
        "From where it stands is what a stream suggests; from the beginning is what a name suggests.",
        Ask(
            method="POST",
            body="file",
            before='file = tempfile.TemporaryFile()\nfile.write(b"0123456789")\nfile.seek(5)',
            only=(*LIBRARIES, "unifetch"),
        ),
        OK,
        "framed",
    ),
    Scenario(
        "json-nan",
        "asking",
        "Is NaN sent as JSON?",
        "NaN is no JSON. Python's json module writes it all the same, unless told not to.",
        Ask(method="POST", json='{"x": float("nan")}', only=(*LIBRARIES, "unifetch")),
        OK,
        "body",
        "required",
        "RFC 8259 §6",
    ),
    *(
        Scenario(
            f"redirect-{status}-{method.lower()}",
            "asking",
            f"What follows a {status} to a {method}?",
            why,
            Ask(method=method, body='b"hello"', only=(*LIBRARIES, "curl", "unifetch")),
            {"/": [[reply(b"", MOVED, status=f"{status} Redirect")]], "/there": [[reply(b"ok")]]},
            "second request",
            "optional",
            f"{SEMANTICS} §15.4",
        )
        for status, method, why in [
            (
                301,
                "POST",
                "For historical reasons a client MAY change POST to GET; the Fetch standard does. Some follow "
                "only what is safe.",
            ),
            (301, "PUT", "Only POST may be changed by the text. The Fetch standard keeps PUT and its body."),
            (303, "POST", "303 means: look over there with GET."),
            (
                307,
                "POST",
                "307 keeps method and body. Whether to send a body once more without asking is a question of taste.",
            ),
        ]
    ),
    Scenario(
        "redirect-generator",
        "asking",
        "What if the body of a 307 was a generator, which is used up?",
        "A body that cannot be sent again cannot follow. An error says so; an empty upload looks like success.",
        Ask(
            method="POST",
            body="pieces()",
            before='def pieces():\n    yield b"one"\n    yield b"two"',
            only=(*LIBRARIES, "unifetch"),
        ),
        {"/": [[reply(b"", MOVED, status="307 Temporary Redirect")]], "/there": [[reply(b"ok")]]},
        "second body",
        "optional",
        f"{SEMANTICS} §15.4.8",
    ),
    Scenario(
        "redirect-authorization",
        "asking",
        "Does a redirect to another host take your Authorization along?",
        "Who named the credentials named them for one host. That urllib keeps all header fields is a known "
        "issue of Python ([77842](https://github.com/python/cpython/issues/77842)).",
        Ask(headers='{"Authorization": "Bearer mine"}', only=(*LIBRARIES, "unifetch")),
        ELSEWHERE,
        "second Authorization",
        "optional",
        f"{SEMANTICS} §15.4",
        hosts=TWO_HOSTS,
    ),
    Scenario(
        "redirect-cookies",
        "asking",
        "Does a redirect to another host take the cookies of the call along?",
        "A mapping of cookies names no host. They can be meant for the host that is asked, or for whoever answers; "
        ""
        "a known issue of requests ([5714](https://github.com/psf/requests/issues/5714)).",
        Ask(cookies='{"a": "1"}', only=(*LIBRARIES, "unifetch")),
        ELSEWHERE,
        "second Cookie",
        section="RFC 6265 §5.4",
        hosts=TWO_HOSTS,
    ),
]

TIME = [
    Scenario(
        "no-timeout",
        "time",
        "How long does a call wait for an answer, if you say nothing?",
        "For ever is right for a long poll, and wrong for a worker that nobody watches. urllib3's `request` has three "
        "seconds of its own, for each of its four attempts; a PoolManager has no bound. unifetch ends it after thirty "
        "seconds without a byte.",
        Ask(),
        always(Pause(20.0)),
        "patience",
        limit=15.0,
    ),
    Scenario(
        "drip",
        "time",
        "Does timeout=1 end an answer that drips for two seconds?",
        "A timeout for each read tells a dead peer from a slow one. A total is what the caller's own deadline needs.",
        Ask(timeout=1),
        always(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nh",
            *(step for letter in b"ello" for step in (Pause(0.6), bytes([letter]))),
        ),
        "outcome",
        racy=True,
    ),
    Scenario(
        "repeat-get-reset",
        "time",
        "How often is a GET sent if each new connection is reset?",
        "GET is safe, so it MAY be repeated. Who repeats hides a fault that its caller may want to know of.",
        Ask(only=(*LIBRARIES, "curl", "unifetch")),
        always(Reset()),
        "requests",
        "optional",
        f"{SEMANTICS} §9.2.2",
    ),
    Scenario(
        "repeat-post-reset",
        "time",
        "How often is a POST sent if its connection is reset?",
        "It may have been carried out, so nobody SHOULD repeat it without knowing.",
        Ask(method="POST", body='b"hello"', only=(*LIBRARIES, "curl", "unifetch")),
        always(Reset()),
        "requests",
        "required",
        f"{SEMANTICS} §9.2.2",
    ),
    Scenario(
        "repeat-truncated",
        "time",
        "How often is a GET sent if its answer breaks off?",
        "GET is safe, so it MAY be repeated. What came so far is lost either way.",
        Ask(only=(*LIBRARIES, "curl", "unifetch")),
        always(reply(b"hel", length=6), Close()),
        "requests",
        "optional",
        f"{SEMANTICS} §9.2.2",
    ),
    Scenario(
        "repeat-503",
        "time",
        "Does a 503 with Retry-After bring a second request?",
        "The field says when it is worth while. A library that waits by itself holds up its caller.",
        Ask(only=(*LIBRARIES, "curl", "unifetch")),
        always(reply(b"later", "Retry-After: 0", status="503 Service Unavailable")),
        "requests",
        "optional",
        f"{SEMANTICS} §10.2.3",
    ),
    Scenario(
        "repeat-timeout",
        "time",
        "How often is a GET sent whose answer does not come in time?",
        "GET is safe, so it MAY be repeated. With repetition, timeout=0.5 means two seconds.",
        Ask(timeout=0.5, only=(*LIBRARIES, "curl", "unifetch")),
        always(Pause(5.0)),
        "requests",
        "optional",
        f"{SEMANTICS} §9.2.2",
    ),
    Scenario(
        "stale-get",
        "time",
        "The server closed the kept connection meanwhile: does the next GET get through?",
        "Before it writes, a client can see that a connection was closed. Where it is not seen in time, "
        "GET may be repeated.",
        Ask(times=2, wait=0.2, only=(*LIBRARIES, "unifetch")),
        always(reply(b"hello"), Close()),
        "outcome",
        "optional",
        f"{MESSAGING} §9.3.1",
    ),
    Scenario(
        "stale-post",
        "time",
        "The server closed the kept connection meanwhile: does the next POST get through?",
        "Before it writes, a client can see that a connection was closed. A POST is not repeated once "
        "it may have been received.",
        Ask(method="POST", body='b"hello"', times=2, wait=0.2, only=(*LIBRARIES, "unifetch")),
        always(reply(b"hello"), Close()),
        "outcome",
        "optional",
        f"{MESSAGING} §9.3.1",
    ),
    Scenario(
        "early-413",
        "time",
        "The server answers 413 and hangs up while 20 MB are being sent: does the caller see it?",
        "A client SHOULD watch for an answer while it sends. One that only writes meets a broken pipe.",
        Ask(method="POST", body="bytes(20_000_000)", only=(*LIBRARIES, "unifetch")),
        always(reply(b"too large", status="413 Content Too Large"), Pause(0.3), Reset()),
        "outcome",
        "optional",
        f"{MESSAGING} §9.3",
        early=True,
        racy=True,
    ),
]

TIME.append(
    Scenario(
        "silent-address",
        "time",
        "A name has two addresses, and the first gives no answer: how long until the second is tried?",
        "One after the other, each within the timeout, is simple. RFC 8305 begins with the next after a quarter of "
        "a second.",
        Ask(timeout=6, only=(*LIBRARIES, *AWAITED, "unifetch")),
        OK,
        "promptly 6",
        section="RFC 8305 §5",
        hosts={"two.test": ("127.0.0.2", "127.0.0.1")},
    )
)

ANSWERING = [
    Scenario(
        "redirect",
        "answering",
        "Is a redirect followed?",
        "Following is what a browser does; not following lets the caller decide what goes where.",
        Ask(),
        {"/": [[reply(b"", MOVED, status="302 Found")]], "/there": [[reply(b"ok")]]},
        "outcome",
        "optional",
        f"{SEMANTICS} §15.4",
    ),
    Scenario(
        "redirect-loop",
        "answering",
        "After how many requests does a circle of redirects end?",
        "A client SHOULD detect it. Five was the number once recommended; browsers stop at 20.",
        Ask(),
        always(reply(b"", "Location: /", status="302 Found")),
        "requests",
        "optional",
        f"{SEMANTICS} §15.4",
    ),
    Scenario(
        "status-404",
        "answering",
        "Is 404 an exception?",
        "It is an answer that came as it should. It is also one that careless callers forget to look at.",
        Ask(),
        always(reply(b"no", status="404 Not Found")),
        "outcome",
    ),
    Scenario(
        "early-hints",
        "answering",
        "Is 103 (Early Hints) taken for the answer?",
        "A client MUST be able to skip interim responses.",
        Ask(),
        always(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", reply(b"ok")),
        "outcome",
        "required",
        f"{SEMANTICS} §15.2",
    ),
    Scenario(
        "short-body",
        "answering",
        "Is a body that is shorter than its Content-Length an error?",
        "The message is incomplete, and the client MUST treat it so.",
        Ask(),
        always(reply(b"hel", length=6), Close()),
        "outcome",
        "required",
        f"{MESSAGING} §8",
    ),
    Scenario(
        "short-body-pieces",
        "answering",
        "Is a body that is cut short an error if it is read in pieces?",
        "The message is incomplete, and the client MUST treat it so. Nobody who reads a stream to its "
        "end looks at the length again.",
        Ask(read="pieces"),
        always(reply(b"hel", length=6), Close()),
        "outcome",
        "required",
        f"{MESSAGING} §8",
    ),
    Scenario(
        "gzip",
        "answering",
        "Is a gzip body decoded?",
        "A client that asks for gzip decodes it. One that did not ask may leave it as it came.",
        Ask(),
        always(reply(bytes.fromhex("1f8b0800000000000203cb48cdc9c9e7020020303a3606000000"), "Content-Encoding: gzip")),
        "outcome",
        "optional",
        f"{SEMANTICS} §8.4",
    ),
    Scenario(
        "gzip-short",
        "answering",
        "Is a gzip body that was cut short an error?",
        "The coding has an end that can be checked. What came before it may still be of use to somebody.",
        Ask(),
        always(reply(bytes.fromhex("1f8b0800000000000203cb48cdc9"), "Content-Encoding: gzip")),
        "outcome",
        "information",
        "RFC 1952 §2.3.1",
    ),
    Scenario(
        "gzip-two",
        "answering",
        "Are two gzip members, one after the other, decoded both?",
        "A gzip file is a series of members by its own definition; HTTP only says “gzip”.",
        Ask(),
        always(
            reply(bytes.fromhex("1f8b0800000000000203cb48cdc9c9e7020020303a3606000000") * 2, "Content-Encoding: gzip")
        ),
        "outcome",
        "optional",
        "RFC 1952 §2.2",
    ),
    Scenario(
        "deflate-raw",
        "answering",
        "Is deflate without its zlib wrapper decoded?",
        "The standard wants the wrapper, and says itself that some send none.",
        Ask(),
        always(reply(bytes.fromhex("cb48cdc9c9e70200"), "Content-Encoding: deflate")),
        "outcome",
        "optional",
        f"{SEMANTICS} §8.4.1.2",
    ),
    Scenario(
        "br-unasked",
        "answering",
        "What becomes of a body in br where no decoder for it is installed?",
        "Nobody asked for it. The bytes as they came are what there is; an error says that they are not the content.",
        Ask(),
        always(reply(bytes.fromhex("8b028068656c6c6f0a03"), "Content-Encoding: br")),
        "outcome",
        section=f"{SEMANTICS} §8.4",
    ),
    Scenario(
        "expanding",
        "answering",
        "Are 20 kB that decode to 20 MB decoded whole?",
        "Zeros compress a thousandfold, and so does a report of nothing. A bound protects the memory of whoever "
        "asks strangers.",
        Ask(only=(*LIBRARIES, "unifetch")),
        always(reply(gzip.compress(bytes(20 << 20), 1, mtime=0), "Content-Encoding: gzip")),
        "size",
        section=f"{SEMANTICS} §8.4.1.3",
        racy=True,
    ),
    Scenario(
        "text-latin",
        "answering",
        "What is the text of 0xC3 0xA9 without a charset?",
        "ISO-8859-1 was the default until 2014. UTF-8 is what nearly everybody sends.",
        Ask(read="text"),
        always(reply("é".encode(), "Content-Type: text/plain")),
        "outcome",
        section=f"{SEMANTICS} §8.3.2",
    ),
    Scenario(
        "text-broken",
        "answering",
        "What is the text of 0xE9, which is no UTF-8, without a charset?",
        "A replacement character keeps the rest readable; an exception keeps it right.",
        Ask(read="text"),
        always(reply(b"\xe9", "Content-Type: text/plain")),
        "outcome",
        section=f"{SEMANTICS} §8.3.2",
    ),
    Scenario(
        "json-type",
        "answering",
        "Is JSON parsed that calls itself text/plain?",
        "The caller asked for JSON, and the server named another type. One of them knows better.",
        Ask(read="json", only=(*LIBRARIES, "unifetch")),
        always(reply(b'{"a": 1}', "Content-Type: text/plain")),
        "outcome",
    ),
    Scenario(
        "json-empty",
        "answering",
        "What is the JSON of an empty body?",
        "Nothing is not JSON. aiohttp documents None.",
        Ask(read="json", only=(*LIBRARIES, "unifetch")),
        always(reply(b"", "Content-Type: application/json")),
        "outcome",
        "required",
        "RFC 8259 §2",
    ),
    Scenario(
        "two-cookies",
        "answering",
        "Do two Set-Cookie fields stay two?",
        "Other fields may be joined by a comma, but this one not: its dates have commas.",
        Ask(read="cookies", only=(*LIBRARIES, "unifetch")),
        always(reply(b"", "Set-Cookie: a=1", "Set-Cookie: b=2")),
        "outcome",
        "required",
        f"{SEMANTICS} §5.3",
    ),
]

MALFORMED = [
    Scenario(
        name,
        "malformed",
        question,
        why,
        Ask(),
        always(*steps),
        "outcome",
        kind,
        section,
    )
    for name, question, why, kind, section, steps in [
        (
            "not-http",
            "An answer that is no HTTP at all",
            "HTTP/0.9 had no head. No client should speak it today.",
            "required",
            f"{MESSAGING} §2.1",
            (b"220 mail.example ESMTP\r\n", Close()),
        ),
        (
            "empty-answer",
            "The connection ends without a byte",
            "There is nothing to take for an answer; only the names of the errors differ.",
            "required",
            f"{MESSAGING} §8",
            (Close(),),
        ),
        (
            "version-2.0",
            "A status line of HTTP/2.0",
            "HTTP/2 has no such line. Who reads it as a later version of HTTP/1 finds an answer that it can use.",
            "information",
            f"{SEMANTICS} §2.5",
            (b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",),
        ),
        (
            "version-1.2",
            "A status line of HTTP/1.2",
            "A higher minor version is to be processed as the highest that one knows.",
            "required",
            f"{SEMANTICS} §2.5",
            (b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok",),
        ),
        (
            "no-reason",
            "No reason, and no space before it",
            "The space is required, the reason is not; real servers leave out both.",
            "optional",
            f"{MESSAGING} §4",
            (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",),
        ),
        (
            "status-letters",
            "A status of letters",
            "Three digits are required.",
            "required",
            f"{MESSAGING} §4",
            (b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok",),
        ),
        (
            "status-four",
            "A status of four digits",
            "Three digits are required; a program may still want to see the number.",
            "required",
            f"{MESSAGING} §4",
            (b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",),
        ),
        (
            "bare-lf",
            "Lines that end with LF alone",
            "A recipient MAY accept it. Where two readers of the same bytes disagree, one of them can be deceived.",
            "optional",
            f"{MESSAGING} §2.2",
            (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", Close()),
        ),
        (
            "folded",
            "A header line that is folded",
            "Obsolete; a client MUST replace the fold by spaces, or refuse it where the message is not a response.",
            "required",
            f"{MESSAGING} §5.2",
            (b"HTTP/1.1 200 OK\r\nX-Long: one\r\n two\r\nContent-Length: 2\r\n\r\nok",),
        ),
        (
            "no-colon",
            "A header line without a colon",
            "It means nothing. What follows it can be kept, lost, or refused with it.",
            "required",
            f"{MESSAGING} §5",
            (b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\nok", Close()),
        ),
        (
            "space-before-colon",
            "A space before the colon of Content-Length",
            "A proxy MUST remove it from a response; a client is told nothing. It reads a length, or a "
            "field without meaning.",
            "optional",
            f"{MESSAGING} §5.1",
            (b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", Close()),
        ),
        (
            "head-cut",
            "The connection ends within the head",
            "An incomplete head is no response. Lost lines may have said how to read the body.",
            "required",
            f"{MESSAGING} §8",
            (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Le", Close()),
        ),
        (
            "length-and-chunks",
            "Both Content-Length and Transfer-Encoding",
            "Transfer-Encoding wins, and the message ought to be handled as an error: it may be an attempt to deceive.",
            "optional",
            f"{MESSAGING} §6.3",
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",),
        ),
        (
            "length-twice",
            "The same Content-Length twice",
            "It may be taken as one, or refused.",
            "optional",
            f"{MESSAGING} §6.3",
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",),
        ),
        (
            "length-two",
            "Two different Content-Lengths",
            "An error that a client MUST NOT recover from: it closes, and discards the response.",
            "required",
            f"{MESSAGING} §6.3",
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nok", Close()),
        ),
        (
            "length-plus",
            "Content-Length: +2",
            "Digits only. int() takes more than that.",
            "required",
            f"{SEMANTICS} §8.6",
            (b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", Close()),
        ),
        (
            "chunk-hex",
            "A chunk of the size 0x2",
            "Hexadecimal digits only. int(size, 16) takes more than that.",
            "required",
            f"{MESSAGING} §7.1",
            (chunked(b"0x2\r\nok\r\n0\r\n\r\n"),),
        ),
        (
            "chunk-end",
            "No line break after a chunk",
            "It is required; who skips two bytes without a look reads on at the wrong place.",
            "required",
            f"{MESSAGING} §7.1",
            (chunked(b"2\r\nokXX0\r\n\r\n"), Close()),
        ),
        (
            "chunks-cut",
            "No last chunk before the connection ends",
            "The message is incomplete.",
            "required",
            f"{MESSAGING} §8",
            (chunked(b"2\r\nok\r\n"), Close()),
        ),
        (
            "many-fields",
            "A head of 150 fields",
            "No number is named. Each limit protects somebody and locks out somebody.",
            "information",
            f"{SEMANTICS} §5.4",
            (reply(b"ok", *(f"X-{number}: {number}" for number in range(149))),),
        ),
        (
            "long-line",
            "A header line of 70,000 bytes",
            "No number is named. Each limit protects somebody and locks out somebody.",
            "information",
            f"{SEMANTICS} §5.4",
            (reply(b"ok", "X-Long: " + "x" * 70_000),),
        ),
        (
            "nul",
            "A NUL in a header value",
            "A recipient MUST replace it by a space, or reject the message.",
            "required",
            f"{SEMANTICS} §5.5",
            (reply(b"ok", "X-Nul: a\0b"),),
        ),
        (
            "coding-unknown",
            "A Content-Encoding that nobody knows",
            "What cannot be decoded is left as it came, or refused; the field says which it is.",
            "information",
            f"{SEMANTICS} §8.4",
            (reply(b"ok", "Content-Encoding: zip"),),
        ),
    ]
]

AROUND = [
    Scenario(
        "proxy",
        "around",
        "Is the environment's http_proxy used?",
        "A company's network needs it. A server that fetches URLs may not want to be steered by its environment.",
        Ask(url='"http://example.invalid/"', only=(*LIBRARIES, "curl", "unifetch")),
        OK,
        "outcome",
        environ={"http_proxy": "http://127.0.0.1:{port}"},
    ),
    Scenario(
        "netrc",
        "around",
        "Are credentials taken from ~/.netrc?",
        "It is a convenience that curl made popular, by an option. Unasked, it sends a password that nobody named.",
        Ask(),
        OK,
        "field Authorization",
        files={"NETRC": "machine 127.0.0.1 login user password secret\n"},
    ),
    Scenario(
        "netrc-over",
        "around",
        "Do credentials of ~/.netrc replace an Authorization of your own?",
        "What the caller wrote is nearer to the call.",
        Ask(headers='{"Authorization": "Bearer mine"}'),
        OK,
        "field Authorization",
        files={"NETRC": "machine 127.0.0.1 login user password secret\n"},
    ),
    Scenario(
        "system-trust",
        "around",
        "Is an authority trusted that OpenSSL's own variable SSL_CERT_FILE names?",
        "A bundle of its own makes a library the same everywhere; the system's store has the authorities of the house.",
        Ask(only=(*LIBRARIES, "curl", "unifetch")),
        OK,
        "outcome",
        tls="trusted",
        environ={"SSL_CERT_FILE": "{ca}"},
        section="RFC 5280 §6",
    ),
    Scenario(
        "common-name",
        "around",
        "Is a certificate accepted whose name stands in its common name only?",
        "RFC 9525 forbids it since 2023; OpenSSL allows it by default.",
        Ask(only=(*LIBRARIES, "curl", "unifetch")),
        OK,
        "outcome",
        "required",
        "RFC 9525 §6.4.4",
        tls="common-name",
        environ={"SSL_CERT_FILE": "{ca}", "REQUESTS_CA_BUNDLE": "{ca}"},
    ),
    Scenario(
        "tls-cut",
        "around",
        "TLS ends without close_notify where the body ends with the connection: is it an error?",
        "The end may be the attacker's. So many servers forget close_notify that most clients stopped looking.",
        Ask(only=(*LIBRARIES, "curl", "unifetch")),
        always(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", Close(politely=False)),
        "outcome",
        "optional",
        f"{MESSAGING} §9.8",
        tls="trusted",
        environ={"SSL_CERT_FILE": "{ca}", "REQUESTS_CA_BUNDLE": "{ca}"},
    ),
]

AWAITED_ONLY = ("aiohttp", *AWAITED)
AWAITED_SCENARIOS = [
    Scenario(
        "blocking-generator",
        "awaited",
        "Is a plain generator accepted as the body of an awaited request?",
        "One that waits would hold up the loop. One that does not is the simplest thing there is.",
        Ask(
            method="POST",
            body="pieces()",
            before='def pieces():\n    yield b"one"\n    yield b"two"',
            only=AWAITED_ONLY,
        ),
        OK,
        "outcome",
    ),
    Scenario(
        "reset-at-end",
        "awaited",
        "The connection is reset in a body that ends with it: is it an error?",
        "A reset is no end that the server meant.",
        Ask(only=(*AWAITED_ONLY, *LIBRARIES, "curl", "unifetch")),
        always(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", Pause(0.2), Reset()),
        "outcome",
        "optional",
        f"{MESSAGING} §8",
    ),
    Scenario(
        "awaited-413",
        "awaited",
        "The server answers 413 and hangs up while 20 MB are being sent: does an awaited caller see it?",
        "A client SHOULD watch for an answer while it sends.",
        Ask(method="POST", body="bytes(20_000_000)", only=AWAITED_ONLY),
        always(reply(b"too large", status="413 Content Too Large"), Pause(0.3), Reset()),
        "outcome",
        "optional",
        f"{MESSAGING} §9.3",
        early=True,
        racy=True,
    ),
]

AWAITED_SCENARIOS += [
    Scenario(
        "at-once",
        "awaited",
        "110 requests at once, each answered after six seconds: what comes of them?",
        "A hundred connections are a common bound, which protects the server and the client's own descriptors. Who "
        "waits behind it can wait, or give up.",
        Ask(only=(*AWAITED_ONLY, "unifetch"), code=at_once(110)),
        always(Pause(6.0), reply(b"ok")),
        "outcome",
        limit=40.0,
        racy=True,
        brief=True,
    ),
    Scenario(
        "standing-loop",
        "awaited",
        "The event loop stands for three seconds, and the answer comes within timeout=3 meanwhile: is it an error?",
        "The answer was there in time, its reader was not. By the clock of the caller, the time is over.",
        Ask(only=(*AWAITED_ONLY, "unifetch"), code=while_the_loop_stands(3, 3)),
        always(Pause(1.5), reply(b"ok")),
        "outcome",
        racy=True,
    ),
]

SPEAK_HTTP2 = ("httpx", "httpx2", "curl", "unifetch")
HTTP2 = [
    Scenario(
        name,
        "http2",
        question,
        why,
        ask,
        OK,
        shows,
        "optional",
        section,
        tls="trusted",
        environ={"SSL_CERT_FILE": "{ca}", "REQUESTS_CA_BUNDLE": "{ca}", "CURL_CA_BUNDLE": "{ca}"},
        alpn=alpn,
        racy=True,
    )
    for name, question, why, ask, shows, section, alpn in [
        (
            "http2-unasked",
            "The server offers HTTP/2, and you say nothing: which version is spoken?",
            "HTTP/2 pays with many streams to one far host. A request alone costs more by it, and every answer has "
            "fields in lower case.",
            Ask(only=(*LIBRARIES, "curl", "unifetch")),
            "version",
            "RFC 9113 §3.2",
            ("h2", "http/1.1"),
        ),
        (
            "http2-asked",
            "The server offers HTTP/2, and you ask for it: which version is spoken?",
            "Who has no word for it speaks HTTP/1.1. unifetch speaks it on its socket backend.",
            Ask(http2=True, only=SPEAK_HTTP2),
            "version",
            "RFC 9113 §3.2",
            ("h2", "http/1.1"),
        ),
        (
            "http2-refused",
            "You ask for HTTP/2, and the server has HTTP/1.1 only: what comes of it?",
            "ALPN is an offer, and the server chooses.",
            Ask(http2=True, only=SPEAK_HTTP2),
            "version",
            "RFC 7301 §3.2",
            ("http/1.1",),
        ),
        (
            "http2-frames",
            "Which frames does a GET by HTTP/2 begin with?",
            "SETTINGS must come first. A larger window of the connection lets a fast answer come without pauses.",
            Ask(http2=True, only=SPEAK_HTTP2),
            "frames",
            "RFC 9113 §3.4",
            ("h2",),
        ),
        (
            "http2-fields",
            "Which fields does a GET by HTTP/2 send?",
            "Four that begin with a colon take the place of the request line and of Host. All names are in lower case.",
            Ask(http2=True, only=SPEAK_HTTP2),
            "decoded",
            "RFC 9113 §8.3.1",
            ("h2",),
        ),
    ]
]

SCENARIOS = [*WIRE, *ASKING, *TIME, *ANSWERING, *MALFORMED, *AROUND, *AWAITED_SCENARIOS, *HTTP2]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
