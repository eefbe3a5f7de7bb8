"""git auths ci"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from git_auths import guard, main
from git_auths.core import oidc
from git_auths.services import http
from git_auths.store.secrets import Secrets
from tests.loopback.issuer import Issuer, jwk_of, rsa_key
from tests.loopback.rekor import Log
from tests.loopback.tsa import Authority
from tests.people import Person, Project

Said = tuple[int, str, str]
Ci = Callable[..., Said]


@pytest.fixture
def ci(ada: Person, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ci:
    """The command as Ada runs it: exit code, stdout, stderr."""
    monkeypatch.setitem(main.COMMANDS, "ci", "git_auths.commands.ci")
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0.001)
    monkeypatch.chdir(ada.at)
    for name, value in ada.environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str | Path, code: int = 0) -> Said:
        capsys.readouterr()
        done = guard.run(lambda: main.run_command("ci", [str(one) for one in arguments], Secrets()))
        said = capsys.readouterr()
        assert done == code, said.err
        return done, said.out, said.err

    return run


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


def file_of(ada: Person, issuer: Issuer) -> Path:
    return ada.at / ".auths/oidc" / f"{issuer.url[7:].replace(':', '-')}.json"


def staged(ada: Person) -> list[str]:
    return ada.git("diff", "--cached", "--name-only").stdout.split()


# --- issuers


def test_the_keys_of_an_issuer_are_pinned_staged_and_shown(ada: Person, ci: Ci, issuer: Issuer) -> None:
    _, out, err = ci("pin-issuer", issuer.url)
    path = file_of(ada, issuer)
    assert oidc.issuer_from_json(path.read_bytes()) == issuer.pin()
    assert staged(ada) == [str(path.relative_to(ada.at))]
    assert [line.split() for line in out.splitlines()] == [
        ["added", key.kid, {"rsa": "RS256", "ec": "ES256"}[key.kid], oidc.thumbprint(key)] for key in issuer.pin().keys
    ]
    assert "git commit" in err
    ada.git("commit", "--quiet", "-m", "Pin the issuer")
    assert ada.ask("verify")["ok"]


def test_a_pin_is_a_change_that_needs_the_admin_right(project: Project, issuer: Issuer) -> None:
    bob = project.with_bob("commit").bob
    path = bob.at / ".auths/oidc/mine.json"
    path.parent.mkdir()
    path.write_bytes(issuer.pin_file())
    bob.git("add", path)
    refused = bob.git("commit", "--quiet", "--no-verify", "-m", "Pin what I like", code=128)
    assert "policy-change-unauthorized" in refused.stderr


@pytest.mark.parametrize("what", ["issuer", "tsa"])
def test_nothing_is_said_to_be_added_that_could_not_be_written(
    ada: Person, ci: Ci, issuer: Issuer, what: str, tmp_path: Path
) -> None:
    (ada.at / ".auths" / {"issuer": "oidc"}.get(what, what)).symlink_to(ada.home)
    pem = tmp_path / "root.pem"
    pem.write_bytes(Authority(tmp_path / "authority").pem)
    _, out, err = ci("pin-issuer", issuer.url, code=128) if what == "issuer" else ci("pin-tsa", pem, code=128)
    assert out == "" and "symbolic link" in err


def test_keys_are_added_and_none_goes_away(ada: Person, ci: Ci, issuer: Issuer) -> None:
    ci("pin-issuer", issuer.url)
    before = issuer.pin().keys
    issuer.jwks = {"keys": [jwk_of(ec.generate_private_key(ec.SECP256R1()), "next")]}
    _, out, err = ci("pin-issuer", issuer.url)
    assert out.startswith("added next ES256 ") and out.count("\n") == 1
    assert "no longer publishes the key rsa" in err
    pinned = oidc.issuer_from_json(file_of(ada, issuer).read_bytes())
    assert pinned.keys == (*before, *issuer.pin().keys)


def test_a_not_after_that_somebody_wrote_stays(ada: Person, ci: Ci, issuer: Issuer) -> None:
    ci("pin-issuer", issuer.url)
    path = file_of(ada, issuer)
    value = json.loads(path.read_bytes())
    value["jwks"]["keys"][0]["not_after"] = "2027-01-01T00:00:00Z"
    path.write_text(json.dumps(value))
    issuer.jwks["keys"].append(jwk_of(ec.generate_private_key(ec.SECP256R1()), "next"))
    ci("pin-issuer", issuer.url)
    assert [key.not_after for key in oidc.issuer_from_json(path.read_bytes()).keys] == [1798761600, None, None]
    assert " until 2027-01-01T00:00:00Z" in ci("pins")[1]


def test_pinning_twice_changes_nothing(ada: Person, ci: Ci, issuer: Issuer) -> None:
    ci("pin-issuer", issuer.url)
    content = file_of(ada, issuer).read_bytes()
    _, out, err = ci("pin-issuer", issuer.url)
    assert (out, file_of(ada, issuer).read_bytes()) == ("", content)
    assert "pinned already" in err


def test_a_name_that_now_stands_for_another_key_is_refused(ada: Person, ci: Ci, issuer: Issuer) -> None:
    ci("pin-issuer", issuer.url)
    content = file_of(ada, issuer).read_bytes()
    issuer.jwks["keys"][0] = jwk_of(rsa_key(2048, 1), "rsa")
    _, out, err = ci("pin-issuer", issuer.url, code=1)
    assert "another key by the name rsa" in err and out == ""
    assert file_of(ada, issuer).read_bytes() == content


def test_a_pin_file_that_is_broken_or_of_another_issuer_is_left_alone(ada: Person, ci: Ci, issuer: Issuer) -> None:
    path = file_of(ada, issuer)
    path.parent.mkdir()
    path.write_text("{}")
    assert "exactly issuer and jwks" in ci("pin-issuer", issuer.url, code=128)[2]
    path.write_bytes(oidc.issuer_json(Issuer("https://ci.example.com").pin()))
    assert "another issuer" in ci("pin-issuer", issuer.url, code=128)[2]
    assert issuer.requests == [] and staged(ada) == []


@pytest.mark.parametrize(
    ("url", "code", "why"),
    [
        ("http://ci.example.com", 128, "without TLS"),
        ("https://", 129, "not the address of an issuer"),
        ("ci.example.com", 129, "not the address of an issuer"),
        ("../../x", 129, "not the address of an issuer"),
    ],
)
def test_an_address_that_is_no_issuers_is_refused(ada: Person, ci: Ci, url: str, code: int, why: str) -> None:
    assert why in ci("pin-issuer", url, code=code)[2]
    assert staged(ada) == []


def test_an_issuer_that_calls_itself_otherwise_is_refused(ada: Person, ci: Ci, issuer: Issuer) -> None:
    assert "calls itself" in ci("pin-issuer", issuer.url + "/", code=128)[2]
    assert staged(ada) == []


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://token.actions.githubusercontent.com", "token.actions.githubusercontent.com"),
        ("https://oidc.circleci.com/org/9f-1", "oidc.circleci.com-org-9f-1"),
        ("http://127.0.0.1:8080", "127.0.0.1-8080"),
        ("https://EXAMPLE.com/", "example.com"),
        ("https://../..", None),
        ("https://a/" + "x" * 200, None),
    ],
)
def test_a_file_is_named_after_its_issuer(url: str, name: str | None) -> None:
    from git_auths.commands.ci import file_name
    from git_auths.errors import UsageError

    if name is None:
        with pytest.raises(UsageError):
            file_name(url)
    else:
        assert file_name(url) == name


# --- authorities and logs


def test_an_authority_is_pinned_by_its_root(ada: Person, ci: Ci, tmp_path: Path) -> None:
    file = tmp_path / "our tsa.pem"
    file.write_bytes(Authority(tmp_path / "tsa").pem)
    _, out, _ = ci("pin-tsa", file)
    assert (ada.at / ".auths/tsa/our-tsa.pem").read_bytes() == file.read_bytes()
    assert out.startswith("added authority our-tsa root SHA-256 ")
    assert staged(ada) == [".auths/tsa/our-tsa.pem"]
    assert "pinned already" in ci("pin-tsa", file)[2]
    file.write_bytes(Authority(tmp_path / "other").pem)
    assert "is another" in ci("pin-tsa", file, code=1)[2]
    ci("pin-tsa", file, "--name", "second")
    assert staged(ada) == [".auths/tsa/our-tsa.pem", ".auths/tsa/second.pem"]


@pytest.mark.parametrize("name", ["../evil", ".hidden", "a/b", "", "a\nb"])
def test_a_name_that_is_no_file_name_is_refused(ada: Person, ci: Ci, tmp_path: Path, name: str) -> None:
    file = tmp_path / "tsa.pem"
    file.write_bytes(b"x")
    assert "cannot be the name" in ci("pin-tsa", file, "--name", name, code=129)[2]


def test_what_is_no_certificate_is_refused(ada: Person, ci: Ci, tmp_path: Path) -> None:
    file = tmp_path / "tsa.pem"
    file.write_text("-----BEGIN PRIVATE KEY-----\n")
    assert "no authority to pin" in ci("pin-tsa", file, code=1)[2]
    assert "cannot read" in ci("pin-tsa", tmp_path / "nowhere.pem", code=128)[2]
    file.write_bytes(b"x" * (256 * 1024 + 1))
    assert "larger" in ci("pin-tsa", file, code=128)[2]
    assert staged(ada) == []


def trusted_root(*logs: Log) -> dict[str, Any]:
    return {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log.instance() for log in logs]}  # fmt: skip


def test_a_log_is_pinned_from_a_file_of_its_own(ada: Person, ci: Ci, tmp_path: Path) -> None:
    log, file = Log("log.example"), tmp_path / "log.json"
    file.write_text(json.dumps(log.instance()))
    _, out, _ = ci("pin-log", file)
    name = f".auths/rekor/log.example-{log.log_id.hex()[:8]}.json"
    assert json.loads((ada.at / name).read_bytes()) == log.instance()
    assert out.startswith(f"added log log.example id {log.log_id.hex()}") and staged(ada) == [name]
    assert "pinned already" in ci("pin-log", file)[2]


def test_a_log_is_pinned_out_of_a_trusted_root_by_its_host(ada: Person, ci: Ci, tmp_path: Path) -> None:
    logs, file = (Log("one.example"), Log("two.example")), tmp_path / "trusted_root.json"
    file.write_text(json.dumps(trusted_root(*logs)))
    ci("pin-log", "--from-trusted-root", file, "--name", "two.example")
    assert staged(ada) == [f".auths/rekor/two.example-{logs[1].log_id.hex()[:8]}.json"]
    _, _, err = ci("pin-log", "--from-trusted-root", file, "--name", "three.example", code=1)
    assert "one.example, two.example" in err


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"a":1,"a":2}', "<html>"])
def test_what_is_no_log_is_refused(ada: Person, ci: Ci, tmp_path: Path, text: str) -> None:
    file = tmp_path / "log.json"
    file.write_text(text)
    assert "no log to pin" in ci("pin-log", file, code=1)[2]
    assert "no log to pin" in ci("pin-log", "--from-trusted-root", file, "--name", "x", code=1)[2]
    assert staged(ada) == []


@pytest.mark.parametrize("arguments", [[], ["a", "--name", "x"], ["a", "--from-trusted-root", "b", "--name", "x"],
                                       ["--from-trusted-root", "b"]])  # fmt: skip
def test_a_log_comes_from_one_place(ci: Ci, arguments: list[str]) -> None:
    ci("pin-log", *arguments, code=129)


# --- the list


def test_the_list_names_every_pin_and_what_cannot_be_read(ada: Person, ci: Ci, issuer: Issuer, tmp_path: Path) -> None:
    log = Log("log.example")
    (tmp_path / "tsa.pem").write_bytes(Authority(tmp_path / "tsa").pem)
    (tmp_path / "log.json").write_text(json.dumps(log.instance()))
    ci("pin-issuer", issuer.url)
    ci("pin-tsa", tmp_path / "tsa.pem")
    ci("pin-log", tmp_path / "log.json")
    (ada.at / ".auths/oidc/broken.json").write_text("{}")
    _, out, err = ci("pins")
    assert [line.split()[0] for line in out.splitlines()] == ["issuer", "issuer", "authority", "log"]
    assert "warning: .auths/oidc/broken.json" in err
    found = json.loads(ci("pins", "--json")[1])
    assert [key["kid"] for key in found["issuers"][0]["keys"]] == ["rsa", "ec"]
    assert found["issuers"][0]["issuer"] == issuer.url and found["authorities"][0]["name"] == "tsa"
    assert found["logs"][0]["log_id"] == log.log_id.hex() and len(found["unreadable"]) == 1


def test_nothing_pinned_is_an_empty_list(ci: Ci) -> None:
    assert ci("pins") == (0, "", "")


def test_a_repository_without_a_policy_pins_nothing(
    ci: Ci, tmp_path: Path, newcomer: Person, monkeypatch: pytest.MonkeyPatch, issuer: Issuer
) -> None:
    newcomer.git("init", "--quiet", tmp_path / "bare")
    monkeypatch.chdir(tmp_path / "bare")
    assert "git auths policy init" in ci("pin-issuer", issuer.url, code=128)[2]
