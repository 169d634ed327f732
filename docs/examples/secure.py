"""Whom to trust."""

from __future__ import annotations

from unifetch import TLS, Client, TLSError


def main(tls_url: str, ca_file: str) -> None:
    # [ca]
    with Client(base_url=tls_url, tls=TLS(ca_file=ca_file, min_version="1.3")) as client:
        client.get("/")
        client.get("/", tls={"ca_file": ca_file})  # plain data will do
        # [end]

        # [refused]
        try:
            client.get("/", tls=TLS())  # by the system's trust store
        except TLSError as error:
            print(error)  # TLS with 127.0.0.1:… failed: unable to get local issuer certificate
            assert error.request_sent == "no"
        # [end]
        else:
            raise AssertionError

        # [unverified]
        client.get("/", tls={"verify": False})  # this call only: the next one verifies again
        # [end]
