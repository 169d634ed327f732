"""Saying who asks."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from pathlib import Path

from unifetch import AsyncClient, Bearer, Client, Digest, FinalRequest, Netrc


# [sign]
def signature(request: FinalRequest) -> dict[str, str]:
    """Sign what will be sent: every field but Authorization is there, and the bytes of the body."""
    signed = f"{request.method} {request.url.target}\n".encode() + request.body
    return {"X-Signature": hmac.new(b"our key", signed, hashlib.sha256).hexdigest()}


# [end]


async def awaiting(url: str) -> None:
    """The same for an AsyncClient, which awaits what has to be awaited."""

    async def fetch() -> str:
        await asyncio.sleep(0)  # in earnest: ask the server that issues them
        return "t0ken"

    async with AsyncClient(base_url=url, auth=Bearer(fetch)) as client:
        assert (await client.get("/bearer/t0ken")).status == 200


def main(url: str, directory: Path) -> None:
    # [basic]
    with Client(base_url=url, auth=("ada", "secret")) as client:  # Basic
        client.get("/echo")
        client.get("/echo", auth=Bearer("t0ken"))  # another for one call
        client.get("/echo", auth={"type": "bearer", "token": "t0ken"})  # the same as plain data
        # [end]
        said = client.get("/echo", auth=Bearer("t0ken")).json()
        assert said["headers"]["authorization"] == "Bearer t0ken"
        said = client.get("/echo").json()
        assert said["headers"]["authorization"] == "Basic YWRhOnNlY3JldA=="

    with Client(base_url=url) as client:
        response = client.get("/digest", auth=Digest("ada", "secret"))
        assert response.status == 200  # the 401 was answered; the password was not sent

        response = client.post("/echo", json={"item": 7}, auth=signature)
        assert "x-signature" in response.json()["headers"]

        # [renewed]
        tokens = iter(["too-old", "t0ken"])  # in earnest: ask the server that issues them
        with Client(base_url=url, auth=Bearer(lambda: next(tokens))) as renewing:
            response = renewing.get("/bearer/t0ken")
        # [end]
        assert response.status == 200
        assert next(tokens, None) is None
        asyncio.run(awaiting(url))

        path = directory / "netrc"
        path.touch(mode=0o600)
        path.write_text("machine 127.0.0.1 login ada password secret\n")

        client.get("/echo", auth="netrc")  # of $NETRC, or ~/.netrc
        client.get("/echo", auth=Netrc(path))
        said = client.get("/echo", auth=Netrc(path)).json()
        assert said["headers"]["authorization"] == "Basic YWRhOnNlY3JldA=="
