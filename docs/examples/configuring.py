"""Settings from a file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from unifetch import Client, InvalidSetting, configure

HERE = Path(__file__).parent


def main(url: str) -> None:
    path = HERE / "settings.toml"

    # [load]
    with open(path, "rb") as file:
        settings = tomllib.load(file)["http"]

    with Client(**settings) as client:
        print(client.settings.timeout.total)  # 60
    # [end]
    assert client.settings.timeout.total == 60
    assert client.settings.limits.body == 50_000_000

    # [process]
    configure(timeout=20, headers={"User-Agent": "my-app/1.0"})  # at the start of the application

    with Client(base_url=url, timeout=5) as client:  # what it names wins; the rest is configure's
        response = client.get("/echo")
    # [end]
    assert response.json()["headers"]["user-agent"] == "my-app/1.0"

    # [wrong]
    for wrong in ({"timeout": {"conect": 5}}, {"redirects": "five"}):
        try:
            Client(**wrong)
        except InvalidSetting as error:
            print(error)  # timeout: unknown key 'conect'; accepted are total, connect, read, …
        else:
            raise AssertionError(wrong)
    # [end]
