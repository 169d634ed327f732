"""elastic-transport over unifetch: `Transport([config], node_class=UnifetchNode)`, and so `Elasticsearch(…)`."""

from __future__ import annotations

import gzip
from typing import Any

import elastic_transport
from elastic_transport import ApiResponseMeta, BaseNode, HttpHeaders, NodeConfig
from elastic_transport._node import NodeApiResponse  # it has no public name

import unifetch

DEFAULT: Any = elastic_transport.client_utils.DEFAULT


class UnifetchNode(BaseNode):
    """One node of a cluster; its transport chooses among them, and retries."""

    _CLIENT_META_HTTP_CLIENT = ("uf", unifetch.__version__)

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        cert = (config.client_cert, config.client_key) if config.client_key else config.client_cert
        fields = {"verify": config.verify_certs, "ca_file": config.ca_certs, "client_cert": cert}
        pin = config.ssl_assert_fingerprint
        tls = config.ssl_context or {**fields, **({"fingerprint": f"sha-256:{pin}"} if pin else {})}
        self._client = unifetch.Client(tls=tls, redirects=0, cookies=False, timeout=config.request_timeout)

    def perform_request(
        self, method: str, target: str, body: Any = None, headers: Any = None, request_timeout: Any = DEFAULT
    ) -> Any:
        fields = {**self.headers, **(headers or {})}
        fields.pop("connection", None)  # keep-alive, which goes without saying
        if body and self._http_compress:
            body, fields["content-encoding"] = gzip.compress(body), "gzip"
        call = {} if request_timeout is DEFAULT else {"timeout": request_timeout}
        try:
            answer = self._client.request(method, self.base_url + target, body=body or None, headers=fields, **call)
        except unifetch.TimedOut as error:
            raise elastic_transport.ConnectionTimeout(f"{error}", errors=(error,)) from error
        except unifetch.TLSError as error:
            raise elastic_transport.TlsError(f"{error}", errors=(error,)) from error
        except unifetch.UnifetchError as error:
            raise elastic_transport.ConnectionError(f"{error}", errors=(error,)) from error
        got = HttpHeaders(answer.headers)
        meta = ApiResponseMeta(answer.status, answer.http_version[5:], got, answer.elapsed, self.config)
        return NodeApiResponse(meta, answer.body)

    def close(self) -> None:
        self._client.close()
