"""A time stamping authority on loopback: `openssl ts -reply` behind HTTP, with a P-256 root and leaf made for it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.realgit import run

EPOCH = datetime(2020, 1, 1, tzinfo=timezone.utc)
END = datetime(2040, 1, 1, tzinfo=timezone.utc)
PURPOSE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
# DER of the first signed attribute, contentType id-ct-TSTInfo (RFC 5652, section 11.1), and what precedes a digest.
_CONTENT_TYPE = bytes.fromhex("301a06092a864886f70d010903310d060b2a864886f70d0109100104")
_MESSAGE_DIGEST = bytes.fromhex("06092a864886f70d01090431220420")
COMMON_SIGNATURE_BYTES = 72  # of ECDSA over P-256 in DER, with the head of its OCTET STRING
_CONFIG = """\
[tsa]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.3.6.1.4.1.55555.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
"""


class Issued:
    """A certificate and its key. `by` None: self-signed."""

    def __init__(
        self,
        name: str,
        by: Issued | None = None,
        *,
        ca: bool = False,
        purpose: x509.ExtendedKeyUsage | None = None,
        critical: bool = True,
        not_before: datetime = EPOCH,
        not_after: datetime = END,
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(by.certificate.subject if by else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number() | 1 << 158)  # 20 bytes, always
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )
        if purpose is not None:
            builder = builder.add_extension(purpose, critical=critical)
        self.certificate = builder.sign(by.key if by else self.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


class Authority:
    """What answers requests, without a network: `reply` is a TimeStampResp of `openssl ts -reply`.

    `time_seconds` other than None is stamped instead of the clock's time (whatever the certificates' validity).
    `extra` certificates are embedded beside the leaf, in the order of DER or, with `sort_set` false, against it.
    """

    def __init__(self, folder: Path, root: Issued | None = None, leaf: Issued | None = None) -> None:
        self.folder = folder
        self.root = root or Issued("Loopback TSA root", ca=True)
        self.leaf = leaf or Issued("Loopback TSA", self.root, purpose=PURPOSE)
        self.time_seconds: int | None = None
        self.extra: Sequence[Issued] = ()
        self.sort_set = True
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))
        (folder / "leaf.pem").write_bytes(self.leaf.pem)
        key = self.leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "leaf.key").write_bytes(key)
        self._lock = threading.Lock()  # the serial number is a file

    @property
    def pem(self) -> bytes:
        """What a repository pins in `.auths/tsa/`."""
        return self.root.pem

    def request(self, signature: bytes, digest: str = "sha256", embed: bool = True) -> bytes:
        (self.folder / "signature").write_bytes(signature)
        run("openssl", "ts", "-query", "-data", self.folder / "signature", f"-{digest}", *(["-cert"] if embed else []),
            "-out", self.folder / "request")  # fmt: skip
        return (self.folder / "request").read_bytes()

    def stamp(self, signature: bytes, digest: str = "sha256", embed: bool = True) -> bytes:
        return self.reply(self.request(signature, digest, embed))

    def reply(self, request: bytes) -> bytes:
        with self._lock:
            return self._reply(request)

    def _reply(self, request: bytes) -> bytes:
        response = self._answer(request)
        # Somebody may sign it anew in as many bytes: a length that one signature in thousands has would take a minute.
        while _CONTENT_TYPE in response and _signature_bytes(response) < COMMON_SIGNATURE_BYTES:
            response = self._answer(request)
        return response if self.time_seconds is None else self._at(response, self.time_seconds)

    def _answer(self, request: bytes) -> bytes:
        (self.folder / "query").write_bytes(request)
        chain = []
        if self.extra:
            (self.folder / "chain.pem").write_bytes(b"".join(issued.pem for issued in self.extra))
            chain = ["-chain", self.folder / "chain.pem"]
        run("openssl", "ts", "-reply", "-config", self.folder / "tsa.cnf", "-section", "tsa", "-queryfile",
            self.folder / "query", "-signer", self.folder / "leaf.pem", "-inkey", self.folder / "leaf.key", *chain,
            "-out", self.folder / "reply")  # fmt: skip
        response = (self.folder / "reply").read_bytes()
        if self.extra:
            response = _arranged(response, [issued.der for issued in (self.leaf, *self.extra)], self.sort_set)
        return response

    def _at(self, response: bytes, seconds: int) -> bytes:
        """The response with another time in it: openssl has no option for it."""
        content = signed_content(response)
        stamped = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y%m%d%H%M%SZ").encode()
        at = content.index(b"\x18\x0f20") + 2
        return self.with_content(response, content[:at] + stamped + content[at + len(stamped) :])

    def with_content(self, response: bytes, content: bytes) -> bytes:
        """The response with another TSTInfo of the same length, signed anew."""
        digest = hashes.Hash(hashes.SHA256())
        digest.update(content)
        response = response.replace(signed_content(response), content)
        place = response.index(_MESSAGE_DIGEST) + len(_MESSAGE_DIGEST)
        return self.signed_anew(response[:place] + digest.finalize() + response[place + 32 :])

    def signed_anew(self, response: bytes) -> bytes:
        attributes = _signed_attributes(response)
        # RFC 5652, section 5.4: signed as a SET OF, though sent with the tag [0].
        message = b"\x31" + attributes[1:]
        old = response[_after_attributes(response, attributes) :]
        new = b""
        while len(new) != len(old):  # an ECDSA signature in DER has no fixed length, and all lengths around it stay
            new = old[:2] + self.leaf.key.sign(message, ec.ECDSA(hashes.SHA256()))
        return response[: -len(old)] + new


def _length(der: bytes, at: int) -> tuple[int, int]:
    """(where the content begins, how long it is) of the element at `at`."""
    first = der[at + 1]
    if first < 0x80:
        return at + 2, first
    count = first & 0x7F
    return at + 2 + count, int.from_bytes(der[at + 2 : at + 2 + count], "big")


def signed_content(response: bytes) -> bytes:
    """The TSTInfo, between the type of the content and the certificates."""
    at = response.index(bytes.fromhex("060b2a864886f70d0109100104")) + 13
    explicit, _ = _length(response, at)
    start, size = _length(response, explicit)
    return response[start : start + size]


def _signed_attributes(response: bytes) -> bytes:
    at = response.index(_CONTENT_TYPE)
    start = next(
        at - size for size in (2, 3, 4) if response[at - size] == 0xA0 and _length(response, at - size)[0] == at
    )
    return response[start : at + _length(response, start)[1]]


def _signature_bytes(response: bytes) -> int:
    return len(response) - _after_attributes(response, _signed_attributes(response))


def _after_attributes(response: bytes, attributes: bytes) -> int:
    """Where the signature's OCTET STRING begins: after the attributes and the signature algorithm."""
    at = response.index(attributes) + len(attributes)
    start, size = _length(response, at)
    return start + size


def _arranged(response: bytes, certificates: list[bytes], ascending: bool) -> bytes:
    """The embedded certificates in the order of DER (X.690, section 11.6), or against it; openssl does neither."""
    present = sorted((der for der in certificates if der in response), key=response.index)
    assert len(present) > 1
    return response.replace(b"".join(present), b"".join(sorted(present, reverse=not ascending)))


class LoopbackTsa:
    """`with LoopbackTsa(folder) as tsa:` serves `tsa.url`; `tsa.authority` is what stamps.

    `behaviour` is one of good, html, silent, large, unavailable, refused, another-imprint, another-nonce,
    no-certificate. What `authority` says of time and embedded certificates applies as well.
    """

    def __init__(self, folder: Path, authority: Authority | None = None, behaviour: str = "good") -> None:
        self.authority = authority or Authority(folder)
        self.behaviour = behaviour
        self.requests = 0
        self._released = threading.Event()

    @property
    def pem(self) -> bytes:
        return self.authority.pem

    def __enter__(self) -> LoopbackTsa:
        tsa = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                tsa._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/tsa"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        request = handler.rfile.read(int(handler.headers["Content-Length"]))
        assert handler.headers["Content-Type"] == "application/timestamp-query"
        if self.behaviour == "silent":
            self._released.wait(60)
            return
        status, kind, body = 200, "application/timestamp-reply", b""
        if self.behaviour == "html":
            kind, body = "text/html", b"\n<!doctype html><title>Log in</title>"
        elif self.behaviour == "large":
            body = bytes(70 * 1024)
        elif self.behaviour == "unavailable":
            status = 503
        else:
            body = self._response(request)
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _response(self, request: bytes) -> bytes:
        if self.behaviour == "refused":
            request = request.replace(bytes.fromhex("0609608648016503040201"), bytes.fromhex("0609608648016503040204"))
        elif self.behaviour == "another-imprint":
            request = self.authority.request(b"another signature")
        elif self.behaviour == "another-nonce":
            at = request.rindex(b"\x01\x01\xff") - 1
            request = request[: at - 1] + bytes([request[at - 1] ^ 1]) + request[at:]
        elif self.behaviour == "no-certificate":
            # RFC 3161, section 2.4.1: certReq is the last field, and left out when false.
            request = bytes([0x30, request[1] - 3]) + request[2:-3]
        return self.authority.reply(request)
