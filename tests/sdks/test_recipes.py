"""The recipes of docs/how-to/sdks.md: each SDK, untouched, over unifetch, against a scripted server."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from unifetch import Client
from unifetch.backends import BACKENDS, is_installed
from unifetch.testing import RecordedRequest, Server, refused_port, reply

RECIPES = Path(__file__).parent.parent.parent / "docs" / "examples" / "sdks"
JSON = {"Content-Type": "application/json"}


def recipe(name: str, library: str) -> ModuleType:
    """The module of a recipe; the test is skipped where its SDK is not installed."""
    pytest.importorskip(library, reason=f"{library} is not installed; the tox env `sdks` has it")
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", RECIPES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=BACKENDS)
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of each backend."""
    if not is_installed(request.param):
        pytest.skip(f"the library of {request.param} is not installed")
    with Client(request.param, cookies=False, redirects=0, timeout=10) as client:
        yield client


@pytest.fixture
def nowhere() -> Iterator[str]:
    """The URL of a server that is not there."""
    with refused_port() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.py")), ids=lambda path: path.stem)
def test_recipes_are_short(path: Path) -> None:
    """A recipe has 40 lines of code at most."""
    assert 40 >= len([line for line in path.read_text("utf-8").splitlines() if line.strip()])


def test_stripe(client: Client, nowhere: str) -> None:
    """A charge, an error of the API, and a server that is not there."""
    module = recipe("stripe_shim", "stripe")
    import stripe

    answers = [
        reply(200, json.dumps({"id": "cus_1", "object": "customer"}).encode(), JSON),
        reply(402, json.dumps({"error": {"type": "card_error", "message": "no"}}).encode(), JSON),
    ]
    with Server(*answers) as server:
        url = {"api": server.url}
        shop = stripe.StripeClient("sk_test", http_client=module.UnifetchClient(client), base_addresses=url)
        assert "cus_1" == shop.v1.customers.create({"name": "a"}).id
        with pytest.raises(stripe.CardError):
            shop.v1.customers.create({"name": "b"})

        assert b"name=a" == server.requests[0].body
        assert "Bearer sk_test" == server.requests[0].header("authorization")
    url = {"api": nowhere}
    shop = stripe.StripeClient("sk_test", http_client=module.UnifetchClient(client), base_addresses=url)
    with pytest.raises(stripe.APIConnectionError):
        shop.v1.customers.create({"name": "c"}, options={"max_network_retries": 0})


def test_google_auth(client: Client, nowhere: str) -> None:
    """A refresh token becomes an access token; what fails is google-auth's own error."""
    module = recipe("google_auth", "google.auth")
    from google.auth import exceptions
    from google.oauth2.credentials import Credentials

    answer = reply(200, b'{"access_token": "fresh", "expires_in": 3600}', JSON)
    with Server(answer) as server:
        uri = server.url + "/token"
        credentials: Any = Credentials(None, refresh_token="r", token_uri=uri, client_id="i", client_secret="s")
        credentials.refresh(module.Request(client))

        assert "fresh" == credentials.token
        assert b"grant_type=refresh_token" in server.requests[0].body
    with pytest.raises(exceptions.TransportError):
        module.Request(client)(nowhere)


def test_twilio(client: Client) -> None:
    """A message is sent, with its form and its credentials."""
    module = recipe("twilio_shim", "twilio")
    from twilio.rest import Client as Twilio

    with Server(reply(201, b'{"sid": "SM1", "status": "queued"}', JSON)) as server:

        class Here(module.UnifetchClient):  # type: ignore[misc, name-defined]  # a module that was loaded by its path
            def request(self, method: str, url: str, *given: Any, **call: Any) -> Any:
                return super().request(method, server.url + url.partition(".com")[2], *given, **call)

        twilio = Twilio("AC1", "token", http_client=Here(client))
        assert "SM1" == twilio.messages.create(to="+1", from_="+2", body="hello").sid

        assert b"Body=hello" in server.requests[0].body
        assert str(server.requests[0].header("authorization")).startswith("Basic ")


def test_msal(client: Client) -> None:
    """A client's credentials become a token, by what the authority says of itself."""
    module = recipe("msal_shim", "msal")
    import msal

    def answer(request: RecordedRequest) -> Any:
        base = f"https://{request.header('host')}"
        if "openid-configuration" in request.target or "discovery" in request.target:
            found = {name: f"{base}/{name}" for name in ("authorization_endpoint", "token_endpoint", "issuer")}
            return reply(200, json.dumps({**found, "issuer": f"{base}/tenant"}).encode(), JSON)
        return reply(200, b'{"access_token": "secret", "expires_in": 3600, "token_type": "Bearer"}', JSON)

    with Server(answer) as server:

        class Here(module.UnifetchClient):  # type: ignore[misc, name-defined]  # as above
            def post(self, url: str, **call: Any) -> Any:
                return super().post(server.url + url[len("https://host.example") :], **call)

            def get(self, url: str, **call: Any) -> Any:
                return super().get(server.url + url[len("https://host.example") :], **call)

        assert 200 == Here(client).get("https://host.example/openid-configuration").status_code
        token = Here(client).post("https://host.example/token", data={"a": "b"})
        assert "secret" in token.text
        assert b"a=b" == server.requests[1].body
        assert callable(msal.ConfidentialClientApplication)


def test_elastic_transport(client: Client, nowhere: str) -> None:
    """A search, compressed; the node's errors are elastic-transport's own."""
    module = recipe("elastic", "elastic_transport")
    import elastic_transport

    with Server(reply(200, gzip.compress(b'{"hits": []}'), {**JSON, "Content-Encoding": "gzip"})) as server:
        config = elastic_transport.NodeConfig("http", "127.0.0.1", server.port, http_compress=True)
        transport = elastic_transport.Transport([config], node_class=module.UnifetchNode)
        headers = {"content-type": "application/json", "accept": "application/json"}
        found = transport.perform_request("POST", "/i/_search", body={"q": 1}, headers=headers)
        transport.close()

        assert {"hits": []} == found.body
        assert b'{"q":1}' == gzip.decompress(server.requests[0].body)
    gone = elastic_transport.NodeConfig("http", "127.0.0.1", int(nowhere.rpartition(":")[2]))
    transport = elastic_transport.Transport([gone], node_class=module.UnifetchNode, max_retries=0)
    with pytest.raises(elastic_transport.ConnectionError):
        transport.perform_request("GET", "/")


def test_azure_core(client: Client, nowhere: str) -> None:
    """A pipeline with its own redirects and retries, a stream, and its own errors."""
    module = recipe("azure", "azure.core")
    from azure.core import PipelineClient, exceptions
    from azure.core.pipeline.policies import RedirectPolicy, RetryPolicy
    from azure.core.rest import HttpRequest

    policies = [RedirectPolicy(), RetryPolicy(retry_backoff_factor=0.001)]
    answers = [reply(307, b"", {"Location": "/b"}), reply(503), reply(200, b'{"a": 1}', JSON), reply(200, b"pieces")]
    with Server(*answers) as server:
        service = PipelineClient(server.url, transport=module.UnifetchTransport(client), policies=policies)
        answer = service.send_request(HttpRequest("PUT", server.url + "/a", json={"b": 2}))
        assert {"a": 1} == json.loads(answer.body())
        assert b'{"b": 2}' == server.requests[2].body
        stream = service.send_request(HttpRequest("GET", server.url + "/c"), stream=True)
        assert b"pieces" == b"".join(stream.stream_download(None))
    gone = HttpRequest("GET", nowhere)
    with pytest.raises(exceptions.ServiceRequestError):
        PipelineClient("", transport=module.UnifetchTransport(client), policies=[]).send_request(gone)


def test_botocore(client: Client, nowhere: str) -> None:
    """An object is put and got; what was signed is what was sent."""
    module = recipe("botocore_shim", "botocore")
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import EndpointConnectionError

    def service(url: str) -> Any:
        session = botocore.session.Session()
        keys = {"aws_access_key_id": "AK", "aws_secret_access_key": "SK", "region_name": "eu-central-1"}
        config = Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"})
        return module.carry(session.create_client("s3", endpoint_url=url, config=config, **keys), client)

    with Server(reply(200, b"", {"ETag": '"1"'}), reply(200, b"content", {"Content-Length": "7"})) as server:
        s3 = service(server.url)
        s3.put_object(Bucket="bucket", Key="a b/c", Body=b"content")
        assert b"content" == s3.get_object(Bucket="bucket", Key="a b/c")["Body"].read()

        put = server.requests[0]
        assert ("/bucket/a%20b/c", "PUT") == (put.target, put.method)
        assert b"content" in put.body
        for name in str(put.header("authorization")).partition("SignedHeaders=")[2].partition(",")[0].split(";"):
            assert put.header(name) is not None
    with pytest.raises(EndpointConnectionError):
        service(nowhere).list_buckets()
