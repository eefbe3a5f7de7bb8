"""One bounded HTTP request."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from git_auths.services import http
from git_auths.services.http import ServiceError, json_object, request

SECRET = "token-that-no-message-may-show"
OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Some: 1\r\nX-Some: 2\r\nContent-Length: 11\r\n\r\n{"ok":true}'
Script = Callable[[socket.socket, bytes], None]


def whole(head: bytes) -> bool:
    fields, end, body = head.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", fields)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


@contextmanager
def server(*scripts: Script, wrap: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """A port whose connections are served by one script each, and the last script for ever; the requests it got."""
    listener = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve(connection: socket.socket, script: Script) -> None:
        try:
            if wrap is not None:
                connection = wrap.wrap_socket(connection, server_side=True)
            with connection:
                head = b""
                while not whole(head) and (more := connection.recv(65536)):
                    head += more
                got.append(head)
                script(connection, head)
        except OSError:
            connection.close()

    def accept() -> None:
        count = 0
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            script = scripts[min(count, len(scripts) - 1)]
            count += 1
            threading.Thread(target=serve, args=(connection, script), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], got
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def saying(answer: bytes) -> Script:
    return lambda connection, _: connection.sendall(answer)


def status(code: int, *headers: str) -> Script:
    lines = "".join(f"{header}\r\n" for header in headers)
    return saying(f"HTTP/1.1 {code} X\r\n{lines}Content-Length: 0\r\n\r\n".encode())


def hangs(connection: socket.socket, _: bytes) -> None:
    connection.recv(1)


def drips(before: bytes) -> Script:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(before)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return script


def failure(port: int, method: str = "GET", **more: object) -> str:
    with pytest.raises(ServiceError) as caught:
        request(method, f"http://127.0.0.1:{port}/a?token={SECRET}", headers={"Authorization": SECRET}, **more)  # type: ignore[arg-type]
    shown = f"{caught.value.message} {caught.value.hint}"
    assert SECRET not in shown and f"127.0.0.1:{port}" in shown and "\n" not in shown
    assert caught.value.exit_code == 128
    assert caught.value.__context__ is None or caught.value.__suppress_context__, "what it came from could show more"
    return shown


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, which are not made."""
    pauses: list[float] = []
    clock = SimpleNamespace(sleep=pauses.append, time=time.time, gmtime=time.gmtime, strftime=time.strftime)
    monkeypatch.setattr(http, "time", clock)
    return pauses


def test_an_answer_comes_with_status_headers_and_body() -> None:
    with server(saying(OK)) as (port, got):
        response = request("GET", f"http://127.0.0.1:{port}/a/b?c=d", headers={"X-Own": "1"})
    assert (response.status, response.body, response.host) == (200, b'{"ok":true}', f"127.0.0.1:{port}")
    assert response.headers["content-type"] == "application/json" and response.headers["x-some"] == "1, 2"
    assert json_object(response) == {"ok": True}
    head = got[0].decode().lower()
    assert head.startswith("get /a/b?c=d http/1.1") and "x-own: 1" in head and "user-agent: git-auths/" in head


def test_a_body_is_sent_whole() -> None:
    with server(saying(OK)) as (port, got):
        request("POST", f"http://127.0.0.1:{port}/", body=b"\x00content")
    assert got[0].endswith(b"\r\n\r\n\x00content") and b"Content-Length: 8" in got[0]


def test_any_status_is_an_answer() -> None:
    with server(status(404)) as (port, _):
        response = request("GET", f"http://127.0.0.1:{port}/")
    assert response.status == 404
    assert http.refused(response, "look").message == f"127.0.0.1:{port} answered 404 Not Found"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/", "without TLS"),
        ("http://127.0.0.1.example.com/", "without TLS"),
        ("http://localhost.example.com/", "without TLS"),
        ("http://127.0.0.1@example.com/", "user name"),
        (f"https://user:{SECRET}@example.com/", "user name"),
        ("http://127.0.0.1\\@example.com/", "not a plain"),
        ("http://127.0.0.1/#x", "fragment"),
        ("http://127.0.0.1:99999/", "no host"),
        ("http:///x", "no host"),
        ("ftp://example.com/", "not a plain"),
        ("file:///etc/passwd", "not a plain"),
        ("https://exa mple.com/", "not a plain"),
        ("https://example.com/\r\nX: y", "not a plain"),
        ("https://ex\u00e4mple.com/", "not a plain"),
        ("https://example.com/" + "x" * 9000, "not a plain"),
        ("", "not a plain"),
    ],
)
def test_an_address_that_is_no_plain_https_is_refused(url: str, why: str) -> None:
    with pytest.raises(ServiceError, match=why) as caught:
        request("GET", url, tries=1)
    assert SECRET not in caught.value.message


def test_without_tls_another_host_is_asked_only_when_the_caller_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_: asked.append(host) or [])
    with pytest.raises(ServiceError, match=r"timestamp\.example"):
        request("GET", "http://timestamp.example/", tries=1, plain_http=True)
    assert asked == ["timestamp.example"]


@pytest.mark.parametrize("value", [f"{SECRET}\n", f"{SECRET}\r\nX: y", f"{SECRET}\u00e9", f"{SECRET}\x00"])
def test_a_header_that_would_break_the_request_is_refused_unseen(value: str) -> None:
    with pytest.raises(ServiceError, match="header Authorization") as caught:
        request("GET", "http://127.0.0.1:1/", headers={"Authorization": value})
    assert SECRET not in str(caught.value)


# --- what goes wrong


def test_a_port_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "refuses connections" in failure(port)


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ServiceError, match=r"nowhere\.invalid.*DNS"):
        request("GET", "https://nowhere.invalid/", tries=1)


@pytest.mark.parametrize(
    "script",
    [hangs, drips(b""), drips(b"HTTP/1.1 200 OK\r\nX: "), drips(b"HTTP/1.1 200 OK\r\n\r\n"),
     drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
     drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n")],
)  # fmt: skip
def test_silence_and_dripping_end_in_time(script: Script) -> None:
    with server(script) as (port, got):
        start = time.monotonic()
        assert "did not answer within 0.2 seconds" in failure(port, timeout_seconds=0.2, tries=1)
        assert time.monotonic() - start < 1.5
        assert len(got) == 1
    assert all(not thread.is_alive() or _ends(thread) for thread in threading.enumerate() if "http" in thread.name)


def _ends(thread: threading.Thread) -> bool:
    thread.join(2)
    return not thread.is_alive()


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort"],
)  # fmt: skip
def test_a_connection_that_breaks_off_is_no_answer(answer: bytes) -> None:
    with server(saying(answer)) as (port, got):
        assert "broke the connection off" in failure(port)
        assert len(got) == 3


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001,
     b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n"],
)  # fmt: skip
def test_an_answer_above_the_bound_is_refused(answer: bytes) -> None:
    with server(saying(answer)) as (port, got):
        assert "more than 1000 bytes" in failure(port, max_bytes=1000)
        assert len(got) == 1, "it would be as long the next time"


def test_an_endless_answer_is_left_when_the_bound_is_reached() -> None:
    def endless(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with server(endless) as (port, _):
        assert "more than 4194304 bytes" in failure(port)


def test_a_compressed_answer_is_refused() -> None:
    with server(saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx")) as (port, _):
        assert "compressed" in failure(port)


def test_no_redirect_is_followed() -> None:
    with server(saying(OK)) as (other, seen), server(status(302, f"Location: http://127.0.0.1:{other}/")) as (port, _):
        assert "redirects" in failure(port)
        assert seen == []


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(saying(OK)) as (proxy, seen), server(saying(OK)) as (port, _):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        assert request("GET", f"http://127.0.0.1:{port}/").status == 200
        assert seen == []


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)  # fmt: skip
    return folder


def context(certificate: Path) -> ssl.SSLContext:
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return own


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    with server(saying(OK), wrap=context(certificate)) as (port, got):
        with pytest.raises(ServiceError, match=f"certificate of localhost:{port} is not good: self") as caught:
            request("GET", f"https://localhost:{port}/?{SECRET}", headers={"Authorization": SECRET})
        assert caught.value.hint is not None and "SSL_CERT_FILE" in caught.value.hint
        assert got == []


def test_ssl_cert_file_names_whom_to_trust(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    with server(saying(OK), wrap=context(certificate)) as (port, _):
        assert request("GET", f"https://localhost:{port}/").status == 200
        with pytest.raises(ServiceError, match="certificate of 127"):
            request("GET", f"https://127.0.0.1:{port}/")


def test_a_server_without_tls_behind_https_is_said() -> None:
    def plain(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection = listener.accept()[0]
        connection.recv(100)
        plain(connection, b"")
        connection.close()

    threading.Thread(target=answer, daemon=True).start()
    with pytest.raises(ServiceError, match="no TLS connection to 127"):
        request("GET", f"https://127.0.0.1:{listener.getsockname()[1]}/", tries=1)
    listener.close()


# --- trying again


@pytest.mark.parametrize("first", [status(503), status(502), status(504), status(429), saying(b"")])
def test_a_get_is_tried_again_after_a_passing_failure(first: Script, short_pauses: list[float]) -> None:
    with server(first, first, saying(OK)) as (port, got):
        assert request("GET", f"http://127.0.0.1:{port}/").status == 200
    assert len(got) == 3
    assert len(short_pauses) == 2 and 0.5 <= short_pauses[0] < 0.8 and 1 <= short_pauses[1] < 1.3


def test_the_pauses_are_not_the_same_for_all(short_pauses: list[float]) -> None:
    with server(status(503)) as (port, _):
        for _ in range(3):
            request("GET", f"http://127.0.0.1:{port}/", tries=2)
    assert len(set(short_pauses)) == 3


def test_the_last_failure_is_the_answer() -> None:
    with server(status(503)) as (port, got):
        assert request("GET", f"http://127.0.0.1:{port}/", tries=2).status == 503
    assert len(got) == 2


@pytest.mark.parametrize("code", [200, 400, 401, 403, 404, 409, 422, 500])
def test_another_status_is_not_tried_again(code: int) -> None:
    with server(status(code)) as (port, got):
        assert request("GET", f"http://127.0.0.1:{port}/").status == code
    assert len(got) == 1


@pytest.mark.parametrize("first", [status(503), status(429, "Retry-After: 1"), saying(b"")])
def test_a_post_is_tried_again_only_when_the_caller_says_that_it_may_be(first: Script) -> None:
    with server(first, saying(OK)) as (port, got):
        try:
            assert request("POST", f"http://127.0.0.1:{port}/", body=b"x").status in (503, 429)
        except ServiceError as error:
            assert "broke" in error.message  # noqa: PT017
        assert len(got) == 1
    with server(first, saying(OK)) as (port, got):
        assert request("POST", f"http://127.0.0.1:{port}/", body=b"x", retry_post=True).status == 200
        assert len(got) == 2


def test_a_post_that_was_never_sent_is_tried_again(short_pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    failure(port, "POST", body=b"x")
    assert len(short_pauses) == 2


def test_retry_after_is_honoured(short_pauses: list[float]) -> None:
    with server(status(429, "Retry-After: 7"), saying(OK)) as (port, _):
        assert request("GET", f"http://127.0.0.1:{port}/").status == 200
    assert short_pauses == [7]


def test_retry_after_may_be_a_date(short_pauses: list[float]) -> None:
    when = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 20))
    with server(status(503, f"Retry-After: {when}"), saying(OK)) as (port, _):
        assert request("GET", f"http://127.0.0.1:{port}/").status == 200
    assert 15 < short_pauses[0] <= 20


@pytest.mark.parametrize("text", ["3600", "999999999", "61", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_service_that_asks_for_more_than_a_minute_is_left_with_the_time(text: str, short_pauses: list[float]) -> None:
    with server(status(429, f"Retry-After: {text}")) as (port, got):
        message = failure(port)
    assert "asks to wait until 20" in message or "until 9999" in message or "until 2057" in message
    assert "429 Too Many Requests" in message
    assert len(got) == 1 and short_pauses == []


def test_the_minute_is_for_all_pauses_together(short_pauses: list[float]) -> None:
    with server(status(429, "Retry-After: 35")) as (port, got):
        assert "asks to wait" in failure(port)
    assert short_pauses == [35] and len(got) == 2


@pytest.mark.parametrize("text", ["soon", "-1", "", "9" * 5000, "Mon, 99 Xxx"])
def test_a_retry_after_without_sense_is_none(text: str, short_pauses: list[float]) -> None:
    with server(status(429, f"Retry-After: {text}"), saying(OK)) as (port, _):
        assert request("GET", f"http://127.0.0.1:{port}/").status == 200
    assert short_pauses[0] < 1


# --- JSON


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<!DOCTYPE html><html>log in</html>", "a web page instead of JSON"),
        (b"\n  <html>", "a web page instead of JSON"),
        (b"", "not JSON"),
        (b"secret words", "not JSON"),
        (b"[1]", "not an object"),
        (b'{"a":1,"a":2}', "twice"),
        (b"[" * 100, "nested"),
        (b"\xff", "UTF-8"),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(ServiceError, match=why) as caught:
        json_object(http.Response(200, {}, body, "api.example.com"))
    assert "api.example.com" in caught.value.message and "HTTP 200" in caught.value.message
    assert "secret" not in caught.value.message and "log in" not in caught.value.message
