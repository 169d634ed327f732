"""Where a redirect leads, and what may go there (Fetch, "HTTP-redirect fetch"; RFC 9110 §15.4).

A change of origin (scheme, host or port) takes every credential off the request. A redirect leads to http and https
only, and userinfo in a Location is ignored.
"""

from __future__ import annotations

from ..errors import InvalidURL, RedirectError, evidence
from ..masking import masked_url
from ..model.messages import Request
from ..model.url import location_url

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from ..model.headers import Headers

REDIRECTS = frozenset({301, 302, 303, 307, 308})

# What belongs to one origin, and no other may see.
_OF_ORIGIN = ("authorization", "cookie", "proxy-authorization", "host")
# What described the body that a redirect to GET drops (Fetch, "request-body-header name").
_OF_BODY = ("content-encoding", "content-language", "content-location", "content-type", "content-length", "expect")


def follow(request: Request, status: int, headers: Headers, *, replayable: bool) -> Request | None:
    """The request that a response of this status and with these headers redirects to, or None if it redirects nowhere.

    Raises `RedirectError` for a Location that is ambiguous or no http or https URL, and for a redirect that keeps a
    body which cannot be sent again (`replayable`).
    """
    if status not in REDIRECTS:
        return None
    locations = set(headers.get_all("location"))
    if not locations:
        return None
    if len(locations) > 1:
        both = evidence(masked_url(headers["location"]))
        raise RedirectError(f"{status} with two different Location fields: {both}", request_sent="yes")
    location = locations.pop()
    try:
        url = location_url(request.url, location)
    except InvalidURL as error:
        message = f"{status} with a Location that cannot be followed: {error}"
        raise RedirectError(message, request_sent="yes") from error

    method, body, fields = request.method, request.body, request.headers
    if (status in (301, 302) and method == "POST") or (status == 303 and method not in ("GET", "HEAD")):
        method, body = "GET", None
        fields = fields.without(*_OF_BODY)
    elif body is not None and not replayable:
        message = f"{status} asks to send the body again, and a one-shot stream cannot be"
        raise RedirectError(message, request_sent="yes")
    if url.origin != request.url.origin:
        fields = fields.without(*_OF_ORIGIN)
    return Request(method, url, headers=fields, body=body)
