"""What both clients share: their settings, what they keep, and the way from the arguments of a call to its journey.

It does no I/O, and waits for nothing; `sync_client.py` and `async_client.py` drive the journey.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from time import monotonic, time
from weakref import WeakSet

from ..backends import load, wrap
from ..errors import InvalidSetting, InvalidURL
from ..masking import is_secret
from ..model.elsewhere import tell
from ..model.frozen import trusted
from ..model.headers import Headers
from ..model.messages import USUAL_METHODS, Request, checked_method
from ..model.timeouts import Timeout
from ..model.url import URL, form_urlencode
from ..policies.bodies import NO_BODY, add_trailers, with_content_type, with_length
from .call import Journey, Memory
from .call_settings import Plan
from .config import PROCESS, check_request, check_settings, chosen_backend, environment, environment_rules
from .connection_limit import Slots
from .interception import SEAM
from .settings import PARSERS, parse
from .signatures import EDITOR

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal, NoReturn, Self, TypeVar, Unpack

    from ..model.headers import HeaderTypes
    from ..policies.bodies import Body
    from ..policies.cookie_jar import CookieJar
    from .arguments import CallArguments, ClientArguments, ExchangeArguments, ParamTypes, every_setting
    from .config import BackendTypes, Environment
    from .settings import Settings

    C = TypeVar("C", bound="BaseClient")  # for editors that do not know `Self`


# Those of `model/names.py`, which is imported only when somebody uses one.
_THEIRS = (
    "headers params auth verify cert proxies trust_env max_redirects follow_redirects timeout base_url"
    " hooks event_hooks trace_configs mount adapters get_adapter connector prepare_request build_request"
    " merge_environment_settings resolve_redirects cookie_jar urlopen aclose closed is_closed"
    " raise_for_status ws_connect"
)


class BaseClient:
    """The half of a client that waits for nothing; see `Client` for its arguments."""

    _slots_type = Slots
    notices_environment = False  # the module's functions do; a client keeps what it read when it was made

    def __init__(
        self,
        backend: BackendTypes | None = None,
        *,
        cookies: CookieJar | Mapping[str, str] | bool = True,
        **settings: Unpack[ClientArguments],
    ) -> None:
        if EDITOR:
            every_setting(**settings)
        self._named = backend
        self._root: Self | None = None  # whose connections a derived client has
        self._own = parse(settings)
        for name in ("timeout", "limits"):  # which say what to change in those of the process
            if name in settings:
                said: Any = settings[name]
                self._own[name] = dict(said) if isinstance(said, Mapping) else said
        self._no_memory = Memory(threading.Lock(), monotonic, time, jar=None, keeps_cookies=False, settings_auth=None)
        self._merged: tuple[Settings, Settings] | None = None
        self._memory = self._remember(cookies)
        self._plan: Plan | None = None
        self._settled: Plan | None = None  # the same, where a call need not check that it still holds
        self._exact: Plan | None = None
        self._timed: tuple[object, Plan] | None = None  # of the last call with a timeout of its own, and nothing else
        self._phases: tuple[Timeout, Timeout] | None = None  # the client's timeout, and the same without a total
        self._environment = environment()
        self._backends: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._slots = self._slots_type()
        self._closed = False
        self._keeps_backend = backend is not None  # else each call has to look at what somebody else chooses
        # A native object is refused here, not at the first request.
        self._native = None if backend is None or isinstance(backend, str) else self._wrap(backend)
        _clients.add(self)

    def _remember(self, cookies: Any) -> Memory:
        from_caller = None
        if not isinstance(cookies, bool):
            from ..policies.cookie_jar import CookieJar

            if isinstance(cookies, Mapping):
                base = self.settings.base_url
                if base is None:
                    raise InvalidSetting(
                        "cookies: a client needs to know whose they are: give base_url= as well, or a CookieJar with "
                        'jar.set(name, value, "example.org")'
                    )
                jar = CookieJar()
                jar.update(cookies, base.host)
                cookies = jar
            if not isinstance(cookies, CookieJar):
                raise InvalidSetting(
                    f"cookies: a client takes a CookieJar, a mapping, True or False, not {type(cookies).__name__}"
                )
            from_caller = cookies
        return Memory(
            threading.Lock(),
            monotonic,
            time,
            jar=from_caller,
            keeps_cookies=cookies is not False,
            settings_auth=self._own.get("auth"),
        )

    # --- From a call to its journey ---------------------------------------------------------------

    def _journey(self, method: str, url: str, content: Body, name: str, call: CallArguments) -> Journey:
        headers = named = params = cookies = None
        if call:
            headers, named = call.pop("headers", None), call.pop("backend", None)
            params, cookies = call.pop("params", None), _cookie_header(call.pop("cookies", None))
            if (trailers := call.pop("trailers", None)) is not None:
                add_trailers(content, trailers)
            if call and not CALL.issuperset(call):
                refuse_arguments(name, call)
        plan, interception = self._settled, SEAM.interception
        if call or named is not None or plan is None or plan.process is not PROCESS.settings or interception:
            plan = self._plan_for(named, call)
        base = plan.base_url
        try:
            target = URL(url) if base is None else base.join(url)
        except InvalidURL as error:
            if base is None:
                _refuse_relative(url, error)
            raise
        own, always = plan.headers, plan.params
        if base is not None and target.origin != base.origin:
            # The credentials of a client belong to the origin of its base_url; for another, the call has to give them.
            own = own.without(*filter(is_secret, own.by_name()))
            always = _without_secrets(always)
            others = plan.settings
            if plan.auth is not None and "auth" not in call:
                others = others.replace(auth=None)
            if others.tls.client_cert is not None and "tls" not in call:
                others = others.replace(tls=others.tls.for_others())
            if others is not plan.settings:
                plan = self._planned(others, plan.backend, plan.process, plan.environment)
        if always is not None:
            params = merged_params(always, params)
        if params is not None:
            target = target.with_params(params)
        fields = own if headers is None else own.merged(Headers(headers))
        body = None
        if content is not NO_BODY:
            body, fields = content.source, with_length(with_content_type(fields, content), content)
        if type(method) is not str or method not in USUAL_METHODS:
            method = checked_method(method)
        request = trusted(Request, {"method": method, "url": target, "headers": fields, "body": body})
        if content is not NO_BODY or fields is not plan.headers or plan.has_headers:
            check_request(plan.backend, fields, content)
        if interception is not None:  # a test, perhaps with a clock of its own
            return interception.journey(plan, request, content, self._memory, cookies)
        return Journey(plan, request, content, self._memory, cookies)

    def _plan_for(self, named: BackendTypes | None, call: CallArguments) -> Plan:
        if self.notices_environment and self._environment != (now := environment()):
            self._notice_environment(now)
        # Read before what follows from them: if another thread changes them meanwhile, the plan does not hold.
        process, seen = PROCESS.settings, self._environment
        backend, interception = self._backend(named), SEAM.interception
        if interception is not None:
            backend = interception.before(backend)
        if call:
            said, timed = call.get("timeout"), self._timed
            if len(call) > 1 or type(said) not in (Timeout, int, float):
                return self._planned(self.settings.replace(**call), backend, process, seen)
            if timed is None or timed[0] != said or not timed[1].holds(backend, process, seen):
                timed = said, self._planned(self.settings.replace(**call), backend, process, seen)
                if self._keeps_plan(named):
                    self._timed = timed
            return timed[1]
        plan = self._plan
        if plan is None or not plan.holds(backend, process, seen):
            plan = self._planned(self.settings, backend, process, seen)
            if self._keeps_plan(named):
                self._plan = plan
                if self._keeps_backend and named is None:
                    self._settled = plan
        return plan

    def _exchange(self, method: str, url: str, headers: HeaderTypes, content: Body, call: ExchangeArguments) -> Journey:
        """The journey of one exchange: no policies, and of the client's settings only the bounds and the route."""
        timeout, named = call.pop("timeout"), None
        if call:
            if not EXCHANGE.issuperset(call):
                refuse_arguments("exchange()", call)
            named = call.pop("backend", None)
            if (trailers := call.pop("trailers", None)) is not None:
                add_trailers(content, trailers)
        if self.notices_environment and self._environment != (now := environment()):
            self._notice_environment(now)
        process, seen = PROCESS.settings, self._environment  # as in `_plan_for`
        backend, interception, plan = self._backend(named), SEAM.interception, self._exact
        if interception is not None:
            backend = interception.before(backend)
        if (
            call
            or plan is None
            or not plan.holds(backend, process, seen)
            or (plan.timeout is not timeout and plan.timeout != timeout)
        ):
            plan = self._planned(self.settings.replace(timeout=timeout, **call), backend, process, seen, exact=True)
            if not call and self._keeps_plan(named):
                self._exact = plan
        if type(headers) is not Headers:
            headers = Headers(headers)
        if type(method) is not str or method not in USUAL_METHODS:
            method = checked_method(method)
        request = trusted(Request, {"method": method, "url": URL(url), "headers": headers, "body": content.source})
        if content.length is None:
            with_length(request.headers, content)
        check_request(backend, request.headers, content)
        if interception is not None:
            return interception.journey(plan, request, content, self._no_memory, None)
        return Journey(plan, request, content, self._no_memory, None)

    def _notice_environment(self, now: Environment) -> None:
        self._environment = now
        self._forget_plans()

    def _forget_plans(self) -> None:
        self._plan = self._settled = self._exact = self._timed = None

    def _keeps_plan(self, named: BackendTypes | None) -> bool:
        # Not one that would keep an object of the caller's, or a test's, from its end.
        return (named is None or isinstance(named, str)) and SEAM.interception is None and not self._closed

    def _planned(
        self, settings: Settings, backend: Any, process: Settings, seen: Environment, *, exact: bool = False
    ) -> Plan:
        check_settings(backend, settings)
        if "proxy" not in vars(settings) and (rules := environment_rules(seen)) is not None:
            settings = settings.replace(proxy=rules)
        if exact:
            settings = settings.replace(redirects=0, retry=None, auth=None)
        return Plan(settings, backend, process, seen, self.settings.limits, exact=exact)

    def with_(self: C, **settings: Unpack[ClientArguments]) -> C:
        """A client with other settings, over the connections and the cookies of this one.

        Its `headers` are merged into ours as those of a call are: they replace the fields of the same name, and None
        drops one. So are its `params`. Every other setting takes the place of ours.

        It opens nothing of its own: its connections are counted with ours, and end when this client is closed.

        Raises:
            InvalidSetting: as `Client` does; also for `backend` and `cookies`, which the two share.
        """
        if EDITOR:
            every_setting(**settings)
        for name in settings.keys() & {"backend", "cookies"}:
            raise InvalidSetting(f"with_() takes no {name}=, as it shares ours; make another client for that")
        changes: dict[str, Any] = dict(settings)
        if "headers" in changes:
            changes["headers"] = self.settings.headers.merged(Headers(changes["headers"]))
        if "params" in changes:
            changes["params"] = merged_params(self.settings.params, changes["params"])
        changed = vars(self.settings.replace(**changes))
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._root = self._root or self
        other._own = {**self._own, **{name: changed[name] for name in settings}}
        other._merged = other._plan = other._settled = other._exact = other._timed = None
        other._keeps_backend = False  # ours may be closed
        if "auth" in settings:  # what ours has learnt is of no use to another
            other._memory = self._memory.with_auth(other._own["auth"])
        _clients.add(other)
        return other

    def unbounded(self, call: CallArguments | ExchangeArguments) -> Timeout:
        """The timeout of a stream or a download: there is no total, unless the call itself names one."""
        said = call.get("timeout", ...)
        if type(said) is Timeout:
            return said
        timeout, phases = self.settings.timeout, self._phases
        if phases is None or phases[0] is not timeout:
            phases = self._phases = timeout, timeout.replace(total=None)
        return phases[1] if said is ... else phases[1].changed(said)

    # --- Settings and backends --------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """What a call goes by unless it says otherwise: the client's own, on top of `configure`'s."""
        process = PROCESS.settings
        merged = self._merged
        if merged is None or merged[0] is not process:
            merged = self._merged = (process, process.replace(**self._own))
        return merged[1]

    @property
    def cookies(self) -> CookieJar:
        """The cookies that this client keeps; the module's functions keep none."""
        return self._memory.cookies()

    @property
    def calls_connected(self) -> int:
        """How many calls have a connection now: each until its response is read or closed."""
        return len(self._slots.held)

    @property
    def calls_waiting(self) -> int:
        """How many calls wait for a connection, because of `Limits.connections`."""
        return len(self._slots.queue)

    def _backend(self, named: BackendTypes | None) -> Any:
        if self._closed:
            raise InvalidSetting("this client is closed")
        if self._root is not None:
            return self._root._backend(named)
        if named is None:
            if self._native is not None:
                return self._native
            named = self._named or chosen_backend()[0]
        if not isinstance(named, str):
            return self._wrap(named)
        return self._backends.get(named) or self._open(named)

    def _open(self, name: str) -> Any:
        with self._lock:
            if name not in self._backends:
                self._backends[name] = self._load(name)
            return self._backends[name]

    def _load(self, name: str) -> Any:
        """A new backend of this name: one that blocks, for a client that does not say otherwise."""
        return load(name)()

    def _wrap(self, native: object) -> Any:
        """The backend of a native object, likewise."""
        return wrap(native)

    def __setattr__(self, name: str, value: object) -> None:
        # `session.verify = False` must not go unnoticed. But a test may replace a method.
        if name[:1] != "_" and isinstance(getattr(type(self), name, None), (property, type(None))):
            from ..model.names import ARGUMENT, CLIENT, answer, nearest

            meant = nearest(name, (*PARSERS, "cookies", "backend"))
            made = f"did you mean Client({meant}=…)?" if meant else f"they are {', '.join(PARSERS)}"
            hint = answer(CLIENT, name) or answer(ARGUMENT, name) or made
            raise AttributeError(f"a client does not change: its settings are given when it is made; {hint}")
        object.__setattr__(self, name, value)

    # --- Being copied -----------------------------------------------------------------------------

    def __repr__(self) -> str:
        named = self._native.name if self._native else self._named or chosen_backend()[0]
        return f"<{type(self).__name__} {named}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._native is not None:
            raise TypeError(
                f"a {type(self).__name__} around a native object cannot be pickled; name the backend instead"
            )
        return _revive, (type(self), self._named, self._memory.keeps_cookies, self._own)

    def _forget(self) -> None:
        # In the child of a fork: the sockets and locks are the parent's. Dropping them closes our copies.
        self._lock = threading.Lock()
        self._memory.lock = threading.Lock()
        if self._memory.auth is not None:
            self._memory.auth.forget_fetch(self._memory.lock)
        self._slots.reset()
        self._forget_plans()
        self._backends = {}


tell(BaseClient, "Client", _THEIRS)

# The arguments that `arguments.py` describes to type checkers: of every call, of one with a body, of one exchange.
CALL = frozenset(PARSERS) | {"cookies", "trailers", "backend"}
BODY = CALL | {"body", "json", "form", "files", "progress"}
EXCHANGE = CALL - {"base_url", "params", "cookies", "auth", "redirects", "retry", "decode"} | {"body"}
_MANY = CALL | {"method", "concurrency", "per_origin", "ordered", "window", "progress", "client"}
_TAKEN = {
    **dict.fromkeys(("get()", "head()", "options()", "delete()"), CALL),
    **dict.fromkeys(("request()", "post()", "put()", "patch()", "stream()", "open()"), BODY),
    "send()": CALL | {"progress"},
    "download()": CALL | {"resume", "digest", "progress"},
    "exchange()": EXCHANGE,
    "fetch_all()": _MANY | {"executor", "chunk", "sink"},
    "aio.fetch_all()": _MANY,
}


def check_arguments(call: str, given: Iterable[str]) -> None:
    """Raise `InvalidSetting` if there is an argument that this call does not take."""
    if not _TAKEN[call].issuperset(given):
        refuse_arguments(call, given)


def refuse_arguments(call: str, given: Iterable[str]) -> NoReturn:
    """Raise `InvalidSetting` for arguments that a call does not take; it says what was meant, or what it does take."""
    from ..model.names import unknown_argument

    taken = _TAKEN[call]
    unknown = next(name for name in given if name not in taken)
    raise InvalidSetting(unknown_argument(call, unknown, sorted(taken)))


def _revive(kind: type[BaseClient], backend: str | None, keeps_cookies: bool, own: dict[str, Any]) -> BaseClient:
    return kind(backend, cookies=keeps_cookies, **own)


def _cookie_header(cookies: Any) -> str | Literal[False] | None:
    if cookies is None or cookies is False:
        return cookies
    from ..policies.cookies import cookie_header

    return cookie_header(cookies)


def absolute(url: Any, base: URL | None, params: ParamTypes) -> URL:
    """The URL of a call: relative to the base, if there is one, and with its parameters appended."""
    try:
        found = URL(url) if base is None else base.join(url)
    except InvalidURL as error:
        if base is None:
            _refuse_relative(url, error)
        raise
    return found if params is None else found.with_params(params)


def merged_params(ours: ParamTypes, given: ParamTypes) -> ParamTypes:
    """The parameters of a client and those of a call, which replace the ones of the same name; None drops one."""
    if given is None or ours is None:
        return ours if given is None else given
    if isinstance(given, str) or isinstance(ours, str):
        return "&".join(each if isinstance(each, str) else form_urlencode(each) for each in (ours, given))
    pairs, others = _pairs(given), _pairs(ours)
    replaced = {name for name, _ in pairs}
    return [*(pair for pair in others if pair[0] not in replaced), *pairs]


def _without_secrets(params: ParamTypes) -> ParamTypes:
    if isinstance(params, str):
        return "&".join(pair for pair in params.split("&") if not is_secret(pair.partition("=")[0]))
    return params and [pair for pair in _pairs(params) if not is_secret(str(pair[0]))]


def _pairs(params: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return list(params.items() if isinstance(params, Mapping) else params)


def _refuse_relative(url: Any, error: InvalidURL) -> None:
    # What a client needs for a relative URL; for any other, the error stands as it is.
    if isinstance(url, str) and url[:1] in ("/", "?", ".") and url[:2] != "//":
        message = f'{error}; a relative URL needs a client with a base: Client(base_url="https://example.org")'
        raise InvalidURL(message) from None


_clients: WeakSet[BaseClient] = WeakSet()


def _forget_after_fork() -> None:
    for client in list(_clients):
        client._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
