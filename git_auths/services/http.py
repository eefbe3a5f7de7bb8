"""One HTTP request to a service, bounded in every direction. All that this software sends to the network goes
through `request`, but for what git itself sends.

- TLS is always verified, against the system's certificates (`SSL_CERT_FILE` names others). Without TLS only this
  machine is asked, unless the caller says that the answer needs none (an RFC 3161 answer is signed).
- No redirect is followed, no proxy is used, no cookie kept, no compressed answer taken.
- An attempt ends after `timeout_seconds`, whether the other side is silent, or sends a byte a second.
- An error names the host and what happened: never a header, a query or a body, which may hold a token.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from socket import SHUT_RDWR, socket
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from git_auths import __version__
from git_auths.core.dsse import load_json
from git_auths.errors import Error

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse
    from urllib3.connection import HTTPConnection
    from urllib3.util import Retry, Url

MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_WAIT_SECONDS = 60  # of all pauses that a service asks for with Retry-After
MAX_URL_CHARS = 8192
CHUNK_BYTES = 64 * 1024
BACKOFF_SECONDS = 0.25
TRANSIENT = frozenset({429, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})  # RFC 9110, section 9.2.2
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_URL = re.compile(
    r"https?://[!#-;=?-\[\]_a-z~]+", re.ASCII | re.IGNORECASE
)  # printable, without space " < > \ ^ ` { | }
_LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}|\[::1\]", re.ASCII | re.IGNORECASE)
_HEADER = re.compile(r"[\t -~]*", re.ASCII)
_RETRY_AFTER_SECONDS = re.compile(r"\d{1,9}", re.ASCII)


class ServiceError(Error):
    """A service cannot be reached, or does not answer as it should. The message names its host."""


class Response(NamedTuple):
    """What a service answered, whatever its `status` (but no redirect); `headers` by their lower-case names.

    `host` is whom the message of an error names.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    host: str = "the service"


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] = NO_HEADERS,
    body: bytes | None = None,
    timeout_seconds: float = 10,
    max_bytes: int = MAX_ANSWER_BYTES,
    tries: int = 3,
    plain_http: bool = False,
    retry_post: bool = False,
) -> Response:
    """Ask `url`, and return the answer; ServiceError when there is none.

    Tried again, up to `tries` times in all, with growing pauses: when nothing was sent yet, and after a broken
    connection or a status of 429, 502, 503 or 504 where `method` may be repeated (a POST when `retry_post`).
    What is still such a status then is returned like any other. `plain_http` allows http:// to any host.
    """
    from urllib3.util import Retry

    target = _target(url, plain_http)
    fields = _fields(headers)
    allowed = IDEMPOTENT | {"POST"} if retry_post else IDEMPOTENT
    retry = Retry(tries + 1, allowed_methods=allowed, status_forcelist=TRANSIENT, backoff_factor=BACKOFF_SECONDS,
                  backoff_jitter=BACKOFF_SECONDS)  # fmt: skip
    retry = _failed_once_more(retry, method)  # urllib3 would make no pause before the second try
    waited = 0.0
    for attempt in range(1, tries + 1):
        try:
            response = _attempt(target, method, fields, body, timeout_seconds, max_bytes)
        except _Unanswered as error:
            if attempt == tries or not (error.may_pass and (error.unsent or retry.is_retry(method, 503))):
                raise ServiceError(str(error), error.hint) from None
            retry = _failed_once_more(retry, method)
            time.sleep(retry.get_backoff_time())
            continue
        if attempt == tries or not retry.is_retry(method, response.status):
            break
        retry = _failed_once_more(retry, method)
        pause = _asked_pause_seconds(response)
        if pause is not None and waited + pause > MAX_WAIT_SECONDS:
            raise _asked_to_wait(response, pause)
        waited += pause or 0
        time.sleep(max(pause or 0, retry.get_backoff_time()))
    if response.status in REDIRECTS:
        raise ServiceError(f"{response.host} redirects elsewhere ({response.status}), and no redirect is followed",
                           "give the address that it redirects to, if you trust it")  # fmt: skip
    return response


def json_object(response: Response) -> dict[str, object]:
    """The JSON object that is the answer's body; ServiceError when it is anything else."""
    value = json_value(response)
    if not isinstance(value, dict):
        raise ServiceError(f"{response.host} answered with JSON that is not an object (HTTP {response.status})")
    return value


def json_value(response: Response) -> object:
    """The JSON that is the answer's body, by the strict rules of `load_json`; ServiceError when it is none."""
    if response.body.lstrip()[:1] == b"<":
        raise ServiceError(f"{response.host} answered with a web page instead of JSON (HTTP {response.status})",
                           "is this the address of the service itself, with no login page before it?")  # fmt: skip
    try:
        return load_json(response.body)
    except ValueError as error:
        raise ServiceError(
            f"{response.host} answered with what is not JSON (HTTP {response.status}): {error}"
        ) from None


def refused(response: Response, hint: str | None = None) -> ServiceError:
    """The error for an answer whose status is not the one that was hoped for."""
    return ServiceError(f"{response.host} answered {status_words(response.status)}", hint)


def status_words(status: int) -> str:
    """`503 Service Unavailable`."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


class _Unanswered(Exception):
    """An attempt got no answer. `unsent`: the service has not seen the request; `may_pass`: another try may do."""

    def __init__(self, message: str, hint: str | None = None, *, unsent: bool = False, may_pass: bool = True) -> None:
        super().__init__(message)
        self.hint = hint
        self.unsent = unsent
        self.may_pass = may_pass


def _target(url: str, plain_http: bool) -> Url:
    """`url` in its parts. It may come from a repository or another service, so only plain ones pass."""
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    if len(url) > MAX_URL_CHARS or not _URL.fullmatch(url):
        raise ServiceError("an address of a service is not a plain http:// or https:// URL", "check where you set it")
    try:
        target = parse_url(url)
    except LocationParseError:
        target = None
    if target is None or not target.host or target.auth is not None or target.fragment is not None:
        raise ServiceError("an address of a service has no host, or a user name or fragment", "check where you set it")
    if target.scheme != "https" and not plain_http and not _LOOPBACK.fullmatch(target.host):
        raise ServiceError(f"{_host(target)} would be asked without TLS", "use its https:// address")
    return target


def _host(target: Url) -> str:
    return f"{target.host}:{target.port}" if target.port else str(target.host)


def _fields(headers: Mapping[str, str]) -> dict[str, str]:
    """The header fields to send. Checked here because the error of http.client would show the value."""
    fields = {"User-Agent": f"git-auths/{__version__}", **headers}
    for name, value in fields.items():
        if not _HEADER.fullmatch(value):
            raise ServiceError(f"the header {name} would hold a line break, or what is not ASCII",
                               "does a token in the environment end with a line break?")  # fmt: skip
    return fields


def _attempt(
    target: Url, method: str, fields: Mapping[str, str], body: bytes | None, timeout_seconds: float, max_bytes: int
) -> Response:
    """One request in a thread of its own: neither looking up a name nor reading headers has an end by itself."""
    connection = _connection(target, timeout_seconds)
    line = _Line()
    done: list[Response | Exception] = []

    def exchange() -> None:
        try:
            done.append(_exchange(connection, line, target, method, fields, body, max_bytes))
        except Exception as error:
            done.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=exchange, name="git-auths-http", daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    outcome = done[0] if done else TimeoutError()
    line.hang_up()
    if isinstance(outcome, Response):
        return outcome
    if isinstance(outcome, TimeoutError):
        raise _Unanswered(f"{_host(target)} did not answer within {timeout_seconds:g} seconds")
    raise _explained(outcome, _host(target))


class _Line:
    """The socket of an attempt. After `hang_up` nothing more is sent on it, and whoever reads from it gets its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket | None = None
        self._is_over = False

    def open(self, connected: socket) -> None:
        with self._lock:
            self._socket = connected
        if self._is_over:
            self.hang_up()

    def hang_up(self) -> None:
        with self._lock:
            self._is_over = True
            if self._socket is not None:
                with suppress(OSError):  # the other side was first
                    self._socket.shutdown(SHUT_RDWR)


def _connection(target: Url, timeout_seconds: float) -> HTTPConnection:
    from urllib3.connection import HTTPConnection, HTTPSConnection

    host = str(target.host).strip("[]")
    if target.scheme != "https":
        return HTTPConnection(host, target.port, timeout=timeout_seconds)
    import ssl

    return HTTPSConnection(host, target.port, timeout=timeout_seconds, ssl_context=ssl.create_default_context())


def _exchange(
    connection: HTTPConnection,
    line: _Line,
    target: Url,
    method: str,
    fields: Mapping[str, str],
    body: bytes | None,
    max_bytes: int,
) -> Response:
    host = _host(target)
    try:
        connection.connect()
    except TimeoutError:
        raise
    except Exception as error:
        raise _unconnected(error, host) from None
    line.open(connection.sock)
    connection.request(
        method, target.request_uri, body=body, headers=fields, preload_content=False, decode_content=False
    )
    with closing(connection.getresponse()) as answer:
        content = b"" if method == "HEAD" else _content(answer, max_bytes, host)
        headers = {name.lower(): answer.headers[name] for name in answer.headers}
        return Response(answer.status, MappingProxyType(headers), content, host)


def _content(answer: BaseHTTPResponse, max_bytes: int, host: str) -> bytes:
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise _Unanswered(f"{host} answered in a compressed form that it was not asked for", may_pass=False)
    too_long = _Unanswered(f"{host} answered with more than {max_bytes} bytes", may_pass=False)
    length = answer.headers.get("content-length", "0")
    if length.isdecimal() and (len(length) > 18 or int(length) > max_bytes):
        raise too_long
    content = bytearray()
    while chunk := answer.read(CHUNK_BYTES):
        content += chunk
        if len(content) > max_bytes:
            raise too_long
    return bytes(content)


def _unconnected(error: Exception, host: str) -> Exception:
    """What to say of an `error` that came before anything was sent."""
    import ssl

    from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, SSLError

    cause = error.args[0] if isinstance(error, SSLError) and error.args else error
    if isinstance(error, NameResolutionError):
        return _Unanswered(f"the name {host} cannot be looked up (DNS)", "is the name right, and is there a network?",
                           unsent=True)  # fmt: skip
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _Unanswered(f"the certificate of {host} is not good: {cause.verify_message}",
                           "SSL_CERT_FILE names a file of certificates to trust instead of the system's",
                           may_pass=False)  # fmt: skip
    if isinstance(cause, ssl.SSLError):
        return _Unanswered(f"no TLS connection to {host}: {cause.reason or 'the handshake failed'}", may_pass=False)
    if isinstance(error.__cause__, ConnectionRefusedError):
        return _Unanswered(f"{host} refuses connections", unsent=True)
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return _Unanswered(f"{host} did not answer: connecting took too long", unsent=True)
    return _Unanswered(f"{host} cannot be reached", unsent=True)


def _explained(error: Exception, host: str) -> Exception:
    """What to say of an `error` of an attempt; a mistake of our own stays what it is."""
    import http.client

    from urllib3.exceptions import HTTPError, ReadTimeoutError

    if isinstance(error, _Unanswered):
        return error
    if isinstance(error, ReadTimeoutError):
        return _Unanswered(f"{host} did not answer in time")
    if isinstance(error, (HTTPError, http.client.HTTPException, OSError)):
        return _Unanswered(f"{host} broke the connection off, or answered what is not HTTP")
    return error


def _failed_once_more(retry: Retry, method: str) -> Retry:
    return retry.increment(method, "", error=ConnectionError())  # of the error it keeps nothing that we show


def _asked_pause_seconds(response: Response) -> float | None:
    """What Retry-After says (RFC 9110, section 10.2.3: seconds or a date); None where it says nothing sensible."""
    text = response.headers.get("retry-after", "").strip()
    if _RETRY_AFTER_SECONDS.fullmatch(text):
        return float(text)
    from email.utils import mktime_tz, parsedate_tz

    parts = parsedate_tz(text[:64])
    try:
        return None if parts is None else max(0.0, mktime_tz(parts) - time.time())
    except (ValueError, OverflowError):
        return None


def _asked_to_wait(response: Response, pause_seconds: float) -> ServiceError:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(time.time() + pause_seconds, 253402300799)))
    return ServiceError(f"{response.host} asks to wait until {when} ({status_words(response.status)})",
                        "try again then")  # fmt: skip
