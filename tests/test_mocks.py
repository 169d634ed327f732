"""The mocks that users have for a library keep working when unifetch carries their requests with it.

They stand in for a layer of that library which our adapter goes through: `responses` for the transport adapter of
requests, `respx` for httpcore's connection pool, `pytest-httpx` for httpx's transports.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from unifetch import (
    AsyncClient,
    Client,
    ConnectError,
    ConnectTimeout,
    IncompleteBody,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    TimedOut,
    TLSError,
    TooManyRedirects,
    UnifetchError,
    WriteTimeout,
    get,
    post,
)

if TYPE_CHECKING:
    import httpx
    import requests

URL = "https://service.test/things"
END = "https://service.test/end"

# --- responses, and requests ----------------------------------------------------------------------


@pytest.fixture
def responses() -> Iterator[Any]:
    """The mock, switched on; a request that it does not know is an error."""
    module = pytest.importorskip("responses", reason="responses is not installed")
    with module.RequestsMock(assert_all_requests_are_fired=True) as mock:
        yield mock


@pytest.fixture(params=["by name", "an injected Session"])
def via_requests(request: pytest.FixtureRequest) -> Iterator[str | requests.Session]:
    """What `backend=` is given."""
    library = pytest.importorskip("requests", reason="requests is not installed")
    if request.param == "by name":
        yield "requests"
    else:
        with library.Session() as session:
            yield session


class TestResponses:
    """`responses` in front of the requests backend."""

    def test_json(self, responses: Any, via_requests: Any) -> None:
        """A JSON answer, with its status and fields."""
        responses.get(URL, json={"a": 1}, status=201, headers={"X-A": "1"})
        response = get(URL, backend=via_requests)

        assert (201, {"a": 1}, "1", "requests", URL) == (
            response.status,
            response.json(),
            response.headers["x-a"],
            response.backend,
            response.url,
        )

    def test_bytes(self, responses: Any, via_requests: Any) -> None:
        """A body as it is, whole and as a stream."""
        responses.get(URL, body=b"\x00\xff" * 50_000)
        with Client(backend=via_requests) as client, client.stream("GET", URL) as response:
            streamed = response.read().body

        assert b"\x00\xff" * 50_000 == streamed == get(URL, backend=via_requests).body

    def test_request(self, responses: Any, via_requests: Any) -> None:
        """The mock sees the request as it would go out."""
        responses.post(URL, status=204)
        post(URL, params={"q": "a b"}, json={"n": [1]}, headers={"X-A": "1"}, backend=via_requests)
        sent = responses.calls[0].request

        assert ("POST", f"{URL}?q=a+b", "1", "service.test") == (
            sent.method,
            sent.url,
            sent.headers["x-a"],
            sent.headers["Host"],
        )
        assert {"n": [1]} == json.loads(sent.body)

    def test_matchers(self, responses: Any, via_requests: Any) -> None:
        """What it can tell requests apart by, it can here."""
        from responses import matchers

        asked_for_two = matchers.query_param_matcher({"page": "2"})
        responses.post(URL, body=b"two", match=[asked_for_two, matchers.json_params_matcher({"n": 1})])
        responses.get(URL, body=b"x", match=[matchers.header_matcher({"X-A": "1"})])

        assert b"two" == post(URL, params={"page": 2}, json={"n": 1}, backend=via_requests).body
        assert b"x" == get(URL, headers={"X-A": "1"}, backend=via_requests).body

    @pytest.mark.parametrize("status", [404, 500, 503])
    def test_status(self, responses: Any, via_requests: Any, status: int) -> None:
        """Any status is a response."""
        responses.get(URL, status=status)

        assert status == get(URL, backend=via_requests).status

    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            ("ConnectionError", ConnectError),
            ("ConnectTimeout", ConnectTimeout),
            ("ReadTimeout", ReadTimeout),
            ("Timeout", TimedOut),
            ("SSLError", TLSError),
        ],
    )
    def test_error(self, responses: Any, via_requests: Any, theirs: str, ours: type[UnifetchError]) -> None:
        """An exception of requests that the mock raises becomes ours, with theirs as its cause."""
        from requests import exceptions

        error = getattr(exceptions, theirs)("mocked")
        responses.get(URL, body=error)

        with pytest.raises(ours, match="mocked") as caught:
            get(URL, backend=via_requests)
        assert (error, "requests", URL) == (caught.value.__cause__, caught.value.backend, caught.value.request.url)  # type: ignore[union-attr]  # set by then

    def test_a_request_that_is_not_mocked(self, responses: Any, via_requests: Any) -> None:
        """It does not reach the network: the error says that the mock refused it."""
        with pytest.raises(ConnectError, match="refused by Responses"):
            get(URL, backend=via_requests)

    def test_redirect(self, responses: Any, via_requests: Any) -> None:
        """unifetch follows it through the mock, by its own rules."""
        responses.post(URL, status=303, headers={"Location": "/end"})
        responses.get(END, body=b"end")
        response = post(URL, body=b"x", backend=via_requests)

        assert (b"end", END, [303]) == (response.body, response.url, [each.status for each in response.history])
        assert ["POST", "GET"] == [call.request.method for call in responses.calls]

    def test_redirect_without_end(self, responses: Any, via_requests: Any) -> None:
        """And stops where it says."""
        responses.get(URL, status=302, headers={"Location": URL})

        with pytest.raises(TooManyRedirects):
            get(URL, redirects=3, backend=via_requests)
        assert 4 == len(responses.calls)

    def test_body_that_is_cut_short(self, responses: Any, via_requests: Any) -> None:
        """A mock may lie about the length, and is found out."""
        responses.get(URL, body=b"abc", headers={"Content-Length": "9"}, auto_calculate_content_length=False)

        with pytest.raises(IncompleteBody):
            get(URL, backend=via_requests)


# --- respx, and httpx -----------------------------------------------------------------------------


@pytest.fixture
def respx() -> Iterator[Any]:
    """The mock as its users switch it on, which patches httpcore."""
    module = pytest.importorskip("respx", reason="respx is not installed")
    with module.mock() as mock:
        yield mock


@pytest.fixture(params=["by name", "an injected Client"])
def via_httpx(request: pytest.FixtureRequest) -> Iterator[str | httpx.Client]:
    """What `backend=` is given."""
    library = pytest.importorskip("httpx", reason="httpx is not installed")
    if request.param == "by name":
        yield "httpx"
    else:
        with library.Client() as client:
            yield client


ERRORS = [
    ("ConnectError", ConnectError),
    ("ConnectTimeout", ConnectTimeout),
    ("ReadTimeout", ReadTimeout),
    ("WriteTimeout", WriteTimeout),
    ("PoolTimeout", PoolTimeout),
    ("RemoteProtocolError", ProtocolError),
    ("TimeoutException", TimedOut),
]


class TestRespx:
    """`respx` in front of the httpx backend."""

    def test_json(self, respx: Any, via_httpx: Any) -> None:
        """A JSON answer, with its status and fields."""
        route = respx.get(URL).respond(201, json={"a": 1}, headers={"X-A": "1"})
        response = get(URL, backend=via_httpx)

        assert (201, {"a": 1}, "1", "httpx", URL) == (
            response.status,
            response.json(),
            response.headers["x-a"],
            response.backend,
            response.url,
        )
        assert 1 == route.call_count

    def test_bytes(self, respx: Any, via_httpx: Any) -> None:
        """A body as it is, whole and as a stream."""
        respx.get(URL).respond(content=b"\x00\xff" * 50_000)
        with Client(backend=via_httpx) as client, client.stream("GET", URL) as response:
            streamed = response.read().body

        assert b"\x00\xff" * 50_000 == streamed == get(URL, backend=via_httpx).body

    def test_request(self, respx: Any, via_httpx: Any) -> None:
        """The mock sees the request as it would go out, and tells requests apart by it."""
        route = respx.post(URL, params={"q": "a b"}, json={"n": [1]}, headers={"X-A": "1"}).respond(204)
        post(URL, params={"q": "a b"}, json={"n": [1]}, headers={"X-A": "1"}, backend=via_httpx)
        sent = route.calls.last.request

        assert ("POST", f"{URL}?q=a+b", "service.test") == (sent.method, str(sent.url), sent.headers["host"])
        assert {"n": [1]} == json.loads(sent.content)

    @pytest.mark.parametrize("status", [404, 500, 503])
    def test_status(self, respx: Any, via_httpx: Any, status: int) -> None:
        """Any status is a response."""
        respx.get(URL).respond(status)

        assert status == get(URL, backend=via_httpx).status

    @pytest.mark.parametrize(("theirs", "ours"), ERRORS)
    def test_error(self, respx: Any, via_httpx: Any, theirs: str, ours: type[UnifetchError]) -> None:
        """An exception of httpx that the mock raises becomes ours."""
        import httpx

        respx.get(URL).mock(side_effect=getattr(httpx, theirs))

        with pytest.raises(ours) as caught:
            get(URL, backend=via_httpx)
        assert ("httpx", URL) == (caught.value.backend, caught.value.request.url)  # type: ignore[union-attr]  # set by then

    def test_a_request_that_is_not_mocked(self, respx: Any, via_httpx: Any) -> None:
        """It does not reach the network, and the mock's own message tells of it."""
        with pytest.raises(Exception, match=r"service\.test.*not mocked"):
            get(URL, backend=via_httpx)

    def test_redirect(self, respx: Any, via_httpx: Any) -> None:
        """unifetch follows it through the mock, by its own rules."""
        first = respx.post(URL).respond(303, headers={"Location": "/end"})
        last = respx.get(END).respond(content=b"end")
        response = post(URL, body=b"x", backend=via_httpx)

        assert (b"end", END, [303]) == (response.body, response.url, [each.status for each in response.history])
        assert (1, 1) == (first.call_count, last.call_count)

    def test_redirect_without_end(self, respx: Any, via_httpx: Any) -> None:
        """And stops where it says."""
        route = respx.get(URL).respond(302, headers={"Location": URL})

        with pytest.raises(TooManyRedirects):
            get(URL, redirects=3, backend=via_httpx)
        assert 4 == route.call_count

    def test_side_effects(self, respx: Any, via_httpx: Any) -> None:
        """One answer after the other, or what a function says."""
        import httpx

        respx.get(URL).mock(side_effect=[httpx.Response(503), httpx.Response(200, text="ok")])
        respx.get(END).mock(side_effect=lambda request: httpx.Response(200, text=request.headers["x-a"]))

        assert (503, "ok") == (get(URL, backend=via_httpx).status, get(URL, backend=via_httpx).text)
        assert "mine" == get(END, headers={"X-A": "mine"}, backend=via_httpx).text

    @pytest.mark.parametrize("is_injected", [False, True], ids=["by name", "an injected AsyncClient"])
    def test_awaited(self, respx: Any, is_injected: bool) -> None:
        """The same of an AsyncClient."""
        library = pytest.importorskip("httpx", reason="httpx is not installed")
        respx.get(URL).respond(302, headers={"Location": END})
        respx.get(END).respond(201, json={"a": 1})

        async def scenario() -> Any:
            async with library.AsyncClient() as theirs:
                async with AsyncClient(backend=theirs if is_injected else "httpx") as client:
                    return await client.get(URL)

        response = asyncio.run(scenario())

        assert (END, 201, {"a": 1}) == (response.url, response.status, response.json())


def test_transport_of_the_users_own() -> None:
    """`httpx.MockTransport` needs no further library, nor does any transport that a client was given."""
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")

    def handler(request: Any) -> Any:
        return httpx.Response(200, json={"method": request.method, "path": request.url.path})

    with httpx.Client(transport=httpx.MockTransport(handler)) as client:
        assert {"method": "GET", "path": "/things"} == get(URL, backend=client).json()


def test_adapter_of_the_users_own() -> None:
    """So does a transport adapter that is mounted on a `requests.Session`, for the URLs that it is mounted for."""
    requests = pytest.importorskip("requests", reason="requests is not installed")
    import io

    import urllib3

    class Canned(requests.adapters.BaseAdapter):  # type: ignore[misc]  # a class of an imported module
        def send(self, request: Any, **_: Any) -> Any:
            raw = urllib3.HTTPResponse(io.BytesIO(request.url.encode()), {"X-A": "1"}, 200, preload_content=False)
            response = requests.Response()
            response.status_code, response.raw = 200, raw
            return response

        def close(self) -> None:
            pass

    with requests.Session() as session:
        session.mount("https://service.test/", Canned())
        response = get(URL, backend=session)

    assert (200, URL, "1") == (response.status, response.text, response.headers["x-a"])


# --- pytest-httpx, and an injected httpx.Client ---------------------------------------------------


@pytest.fixture
def httpx_transport(request: pytest.FixtureRequest) -> Any:
    """The plugin's own fixture `httpx_mock`, where the plugin is installed."""
    pytest.importorskip("pytest_httpx", reason="pytest-httpx is not installed")
    return request.getfixturevalue("httpx_mock")


@pytest.fixture
def injected() -> Iterator[httpx.Client]:
    """What `backend=` is given: the plugin stands in for the transports of a client."""
    library = pytest.importorskip("httpx", reason="httpx is not installed")
    with library.Client() as client:
        yield client


class TestPytestHttpx:
    """`pytest-httpx` in front of an injected `httpx.Client`."""

    def test_json(self, httpx_transport: Any, injected: httpx.Client) -> None:
        """A JSON answer, with its status and fields."""
        httpx_transport.add_response(url=URL, status_code=201, json={"a": 1}, headers={"X-A": "1"})
        response = get(URL, backend=injected)

        assert (201, {"a": 1}, "1", "httpx", URL) == (
            response.status,
            response.json(),
            response.headers["x-a"],
            response.backend,
            response.url,
        )

    def test_bytes(self, httpx_transport: Any, injected: httpx.Client) -> None:
        """A body as it is, whole and as a stream."""
        for _ in range(2):
            httpx_transport.add_response(url=URL, content=b"\x00\xff" * 50_000)
        with Client(backend=injected) as client, client.stream("GET", URL) as response:
            streamed = response.read().body

        assert b"\x00\xff" * 50_000 == streamed == get(URL, backend=injected).body

    def test_request(self, httpx_transport: Any, injected: httpx.Client) -> None:
        """The mock sees the request as it would go out, and tells requests apart by it."""
        httpx_transport.add_response(
            method="POST", url=f"{URL}?q=a+b", match_json={"n": [1]}, match_headers={"X-A": "1"}, status_code=204
        )
        response = post(URL, params={"q": "a b"}, json={"n": [1]}, headers={"X-A": "1"}, backend=injected)

        assert (204, "service.test") == (response.status, httpx_transport.get_request().headers["host"])

    def test_awaited(self, httpx_transport: Any) -> None:
        """The same of an AsyncClient."""
        library = pytest.importorskip("httpx", reason="httpx is not installed")
        httpx_transport.add_response(url=URL, json={"a": 1})

        async def scenario() -> Any:
            async with library.AsyncClient() as theirs, AsyncClient(backend=theirs) as client:
                return await client.get(URL)

        assert {"a": 1} == asyncio.run(scenario()).json()

    @pytest.mark.parametrize(("theirs", "ours"), ERRORS)
    def test_error(self, httpx_transport: Any, injected: Any, theirs: str, ours: type[UnifetchError]) -> None:
        """An exception of httpx that the mock raises becomes ours, with theirs as its cause."""
        import httpx

        error = getattr(httpx, theirs)("mocked")
        httpx_transport.add_exception(error, url=URL)

        with pytest.raises(ours, match="mocked") as caught:
            get(URL, backend=injected)
        assert (error, "httpx") == (caught.value.__cause__, caught.value.backend)

    def test_redirect(self, httpx_transport: Any, injected: httpx.Client) -> None:
        """unifetch follows it through the mock, by its own rules."""
        httpx_transport.add_response(method="POST", url=URL, status_code=303, headers={"Location": "/end"})
        httpx_transport.add_response(method="GET", url=END, content=b"end")
        response = post(URL, body=b"x", backend=injected)

        assert (b"end", END, [303]) == (response.body, response.url, [each.status for each in response.history])
