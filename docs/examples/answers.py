"""What comes back."""

from __future__ import annotations

import pickle

from unifetch import Client, InvalidJSON


def main(url: str) -> None:
    with Client(base_url=url) as client:
        # [response]
        response = client.get("/data.json")
        assert response.status == 200
        assert response.body == b'{"page": 2}'
        assert response.text == '{"page": 2}'
        assert response.json() == {"page": 2}
        assert response.url == f"{url}/data.json"
        assert response.backend == "urllib"
        print(response.http_version, response.elapsed)  # HTTP/1.1 0.0021 (seconds)
        # [end]

        # [headers]
        assert response.headers["content-TYPE"] == "application/json"
        assert response.headers.get_all("Content-Type") == ["application/json"]
        print(response.headers.pairs)  # every field in order, as it came
        # [end]

        # [status]
        response = client.get("/missing")
        assert response.status == 404
        assert not response.ok  # 400 and above
        # [end]

        # [json]
        try:
            client.get("/").json()
        except InvalidJSON as error:
            print(error)  # the body is not JSON: Expecting value at character 0: 'hello\n'
        # [end]
        else:
            raise AssertionError

        # [pickle]
        copy = pickle.loads(pickle.dumps(response))
        assert copy == response
        # [end]
