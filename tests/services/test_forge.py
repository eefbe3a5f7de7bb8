"""git_auths.services.forge, forge_choice, forge_answers and forge_title"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from git_auths.core.opensshkey import ED25519, from_secret, generate
from git_auths.core.sshsig import fingerprint
from git_auths.errors import Error
from git_auths.services import forge, forge_title, http
from git_auths.services.forge_choice import Forge, choose, kind_of_remote, repository_of_remote
from git_auths.services.forge_title import Title
from tests.loopback import forges
from tests.loopback.forges import JOB_TOKEN, PATHS, SCOPES, TOKEN, Answer, html, json_answer

BLOB = from_secret(ED25519, bytes(range(32))).public_blob  # the same in each process: ids of tests hold it
LINE = forge.public_line(BLOB)
TITLE = forge_title.write(Title("owner/repo", "123", 1795284000, fingerprint(BLOB)))
KINDS = list(PATHS)
NOON = 1795262400  # 2026-11-21T12:00:00Z


@pytest.fixture(params=KINDS)
def any_server(request: pytest.FixtureRequest) -> Iterator[forges.Forge]:
    with forges.Forge(request.param) as server:
        yield server


@pytest.fixture
def server() -> Iterator[forges.Forge]:
    with forges.Forge("GitHub") as server:
        yield server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0.01)


def at(server: forges.Forge) -> Forge:
    return Forge(server.kind, server.url)


def other_line() -> str:
    return forge.public_line(generate(ED25519).public_blob)


def refusal(action: Callable[[], object]) -> Error:
    with pytest.raises(Error) as raised:
        action()
    said = f"{raised.value} {raised.value.message} {raised.value.hint} {raised.value!r}"
    assert TOKEN not in said and JOB_TOKEN not in said
    return raised.value


def listing(server: forges.Forge, token: str = TOKEN) -> Error:
    return refusal(lambda: forge.list_keys(at(server), token))


def adding(server: forges.Forge, blob: bytes = BLOB) -> Error:
    return refusal(lambda: forge.add_key(at(server), TOKEN, blob, TITLE))


# What is asked for


def test_a_key_is_added_found_and_deleted(any_server: forges.Forge) -> None:
    place = at(any_server)
    assert forge.list_keys(place, TOKEN) == []
    id = forge.add_key(place, TOKEN, BLOB, TITLE, NOON)
    (key,) = forge.list_keys(place, TOKEN)
    assert key == (id, TITLE, BLOB, True)
    assert forge.delete_key(place, TOKEN, id) is True
    assert any_server.keys == {}
    assert forge.delete_key(place, TOKEN, id) is False
    path = any_server.path
    assert any_server.said() == [("GET", path), ("POST", path), ("GET", path), *[("DELETE", f"{path}/{id}")] * 2]


@pytest.mark.parametrize(("kind", "header", "value"), [
    ("GitHub", "authorization", f"Bearer {TOKEN}"), ("GitLab", "private-token", TOKEN),
    ("Gitea", "authorization", f"token {TOKEN}"), ("Forgejo", "authorization", f"token {TOKEN}"),
])  # fmt: skip
def test_each_forge_gets_the_token_in_the_header_that_it_reads_and_nowhere_else(
    kind: str, header: str, value: str
) -> None:
    with forges.Forge(kind) as server:
        forge.add_key(at(server), TOKEN, BLOB, TITLE)
    (request,) = server.requests
    assert request.headers.pop(header) == value
    assert TOKEN not in str(request)


def test_gitlab_is_told_that_the_key_only_signs_and_until_when() -> None:
    with forges.Forge("GitLab") as server:
        forge.add_key(at(server), TOKEN, BLOB, TITLE, NOON)
        forge.add_key(at(server), TOKEN, generate(ED25519).public_blob, TITLE)
    assert server.requests[0].json == {
        "title": TITLE,
        "key": LINE,
        "usage_type": "signing",
        "expires_at": "2026-11-21T12:00:00Z",
    }
    assert "expires_at" not in server.requests[1].json


def test_github_is_told_title_and_key_only(server: forges.Forge) -> None:
    forge.add_key(at(server), TOKEN, BLOB, TITLE, NOON)
    assert server.requests[0].json == {"title": TITLE, "key": LINE}


def test_every_page_is_read(any_server: forges.Forge) -> None:
    any_server.pages = 2
    titles = {any_server.hold(f"key {number}", other_line()): f"key {number}" for number in range(5)}
    assert {key.id: key.title for key in forge.list_keys(at(any_server), TOKEN)} == titles
    assert len(any_server.requests) == 3


def test_pages_without_a_count_are_read_until_one_brings_nothing_new() -> None:
    with forges.Forge("Gitea") as server:
        id = server.hold("one", other_line())
        page = json_answer(200, list(server.keys.values()))
        server.next.extend([page, page])
        assert [key.id for key in forge.list_keys(at(server), TOKEN)] == [id]
    assert len(server.requests) == 2


def test_pages_without_end_are_not_read_for_ever(server: forges.Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forge, "MAX_PAGES", 3)
    server.next.extend(
        json_answer(200, [{"id": n, "title": "", "key": LINE}], Link=f'<https://x/?page={n}>; rel="next"')
        for n in range(2, 9)
    )
    assert "more than 3 pages" in listing(server).message


def test_the_token_does_not_follow_a_link_to_another_host(server: forges.Forge) -> None:
    with forges.Forge("GitHub") as stranger:
        server.next.append(
            json_answer(
                200,
                [{"id": 1, "title": "", "key": LINE}],
                Link=f'<{stranger.url}/user/ssh_signing_keys?page=2>; rel="next"',
            )
        )
        forge.list_keys(at(server), TOKEN)
        assert stranger.requests == []
    assert [request.target for request in server.requests] == [
        "/user/ssh_signing_keys?per_page=100",
        "/user/ssh_signing_keys?page=2",
    ]


def test_the_token_does_not_follow_a_redirect(any_server: forges.Forge) -> None:
    with forges.Forge(any_server.kind) as stranger:
        for status in (301, 302, 307, 308):
            any_server.next.append(Answer(status, headers={"Location": stranger.url + any_server.path}))
            assert "redirect" in listing(any_server).message
        assert stranger.requests == []


def test_a_key_that_only_logs_in_at_gitlab_does_not_sign() -> None:
    with forges.Forge("GitLab") as server:
        server.hold("laptop", LINE, usage_type="auth")
        server.hold("work", other_line(), usage_type="auth_and_signing")
        assert [key.signs for key in forge.list_keys(at(server), TOKEN)] == [False, True]


def test_what_is_no_key_in_a_list_is_passed_over(server: forges.Forge) -> None:
    server.next.append(json_answer(200, [None, {"id": "7", "title": "x", "key": LINE}, {"id": True, "key": LINE}, {"id": 8, "key": 3},
                                         {"id": 9, "title": None, "key": "no base64!"}]))  # fmt: skip
    assert forge.list_keys(at(server), TOKEN) == [(9, "", b"", True)]


# What goes wrong: each has words of its own


@pytest.mark.parametrize("token", ["tok-none", "tok-expired"])
def test_an_unknown_token_is_said_to_be_unknown(any_server: forges.Forge, token: str) -> None:
    error = refusal(lambda: forge.list_keys(at(any_server), token))
    assert "does not know the token (401)" in error.message and token not in error.message
    assert error.hint is not None and "set AUTHS_FORGE_TOKEN to a user's token" in error.hint


def test_a_missing_scope_is_named(any_server: forges.Forge) -> None:
    any_server.scopes[TOKEN] = {"repo"}
    assert f"lacks the scope {SCOPES[any_server.kind]}" in listing(any_server).message


def test_a_404_by_which_github_hides_a_missing_scope_is_no_key_that_is_gone(server: forges.Forge) -> None:
    id = server.hold(TITLE, LINE)
    server.scopes[TOKEN] = {"read:ssh_signing_key"}
    error = refusal(lambda: forge.delete_key(at(server), TOKEN, id))
    assert "lacks the scope admin:ssh_signing_key" in error.message and "it has read:ssh_signing_key" in error.message


def test_a_forge_that_says_the_token_back_does_not_get_it_shown(server: forges.Forge) -> None:
    asked_for = {"X_Accepted_OAuth_Scopes": "admin:ssh_signing_key"}
    server.next.append(json_answer(403, {"message": "x"}, X_OAuth_Scopes=f"repo, {TOKEN}", **asked_for))
    assert listing(server).message.endswith("it has repo, ***")
    server.next.append(json_answer(403, {"message": "x"}, X_OAuth_Scopes="s" * 195 + TOKEN, **asked_for))
    assert TOKEN[:5] not in listing(server).message  # not cut in two before it is looked for
    server.next.append(json_answer(403, {"message": f"no {TOKEN}"}))
    assert listing(server).message.endswith("no ***")
    server.hold(f"of {TOKEN}", LINE)
    assert [key.title for key in forge.list_keys(at(server), TOKEN)] == ["of ***"]


def test_a_fine_grained_token_without_the_permission_lacks_it(server: forges.Forge) -> None:
    server.next.append(json_answer(403, {"message": "Resource not accessible by personal access token"}))
    assert "lacks the scope" in listing(server).message


def test_a_jobs_own_token_is_told_apart(server: forges.Forge) -> None:
    error = listing(server, JOB_TOKEN)
    assert "lets no job's own token change a user's keys (403)" in error.message
    assert error.hint is not None and "a user's token" in error.hint


def test_a_jobs_own_token_is_told_apart_at_gitlab() -> None:
    with forges.Forge("GitLab") as server:
        assert "lets no job's own token" in refusal(lambda: forge.list_keys(at(server), "glcbt-64_abc")).message


@pytest.mark.parametrize("headers", [{"Retry_After": "3600"}, {"x_ratelimit_remaining": "0"}, {}])
def test_a_rate_limit_by_403_is_no_missing_scope(server: forges.Forge, headers: dict[str, str]) -> None:
    said = "You have exceeded a secondary rate limit." if not headers else "wait"
    scopes = {"X_Accepted_OAuth_Scopes": "admin:ssh_signing_key", "X_OAuth_Scopes": "repo"}
    server.next.append(json_answer(403, {"message": said}, **headers, **scopes))
    assert "limits how often it is asked (403)" in listing(server).message
    assert len(server.requests) == 1


def test_a_short_rate_limit_is_waited_for(server: forges.Forge) -> None:
    server.next.append(json_answer(403, {"message": "secondary rate limit"}, Retry_After="1"))
    started = time.monotonic()
    assert forge.list_keys(at(server), TOKEN) == []
    assert time.monotonic() - started >= 1


def test_a_rate_limit_that_stays_ends_in_words(server: forges.Forge) -> None:
    server.next.extend([json_answer(403, {"message": "slow down"}, Retry_After="0")] * 9)
    assert "limits how often" in listing(server).message
    assert len(server.requests) == forge.TRIES


def test_429_is_tried_again_and_then_said(any_server: forges.Forge) -> None:
    any_server.next.extend([json_answer(429, {"message": "Too Many Requests"}, Retry_After="0")] * 9)
    assert "limits how often it is asked (429)" in listing(any_server).message
    assert len(any_server.requests) == forge.TRIES


def test_429_with_a_wait_of_hours_is_not_waited_for(server: forges.Forge) -> None:
    server.next.append(json_answer(429, {}, Retry_After="36000"))
    started = time.monotonic()
    assert "wait" in listing(server).message
    assert time.monotonic() - started < 2


def test_a_failing_forge_is_tried_again(any_server: forges.Forge) -> None:
    any_server.next.extend([Answer(503), Answer(502)])
    assert forge.list_keys(at(any_server), TOKEN) == []
    any_server.next.extend([Answer(503)] * 9)
    assert f"{any_server.host} fails (503)" in listing(any_server).message


def test_a_failure_after_the_key_was_added_ends_in_key_in_use(server: forges.Forge) -> None:
    server.after_posting.append(Answer(502))
    with pytest.raises(forge.KeyInUse):
        forge.add_key(at(server), TOKEN, BLOB, TITLE)
    assert forge.find_key(forge.list_keys(at(server), TOKEN), BLOB) is not None


def test_a_key_of_another_account_is_in_use(any_server: forges.Forge) -> None:
    any_server.elsewhere.add(LINE)
    error = adding(any_server)
    assert isinstance(error, forge.KeyInUse) and "has this key already" in error.message


def test_a_key_that_the_forge_does_not_take_is_not_in_use(any_server: forges.Forge) -> None:
    error = adding(any_server, (7).to_bytes(4, "big") + b"ssh-foo")
    assert not isinstance(error, forge.KeyInUse)
    assert "does not take the key" in error.message and "key" in error.message.partition("): ")[2]


def test_an_api_that_is_not_there_is_said_with_its_url(any_server: forges.Forge) -> None:
    error = refusal(lambda: forge.list_keys(Forge(any_server.kind, any_server.url + "/wrong"), TOKEN))
    assert "has no API for this at" in error.message and any_server.url in error.message


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500, 503])
def test_a_web_page_is_never_repeated(server: forges.Forge, status: int) -> None:
    server.next.extend([html(status)] * 9)
    error = listing(server)
    assert "<" not in error.message and "Sign in" not in error.message


@pytest.mark.parametrize(("answer", "words"), [
    (html(200), "web page"), (Answer(200, b"[1"), "not JSON"), (json_answer(200, {"a": 1}), "no list"),
    (Answer(200, b"[" * 100_000), "not JSON"), (Answer(200, b" " * (4 * 1024 * 1024 + 1)), "bytes"),
])  # fmt: skip
def test_an_answer_that_is_no_list_of_keys_is_said_to_be_none(server: forges.Forge, answer: Answer, words: str) -> None:
    server.next.append(answer)
    assert words in listing(server).message


@pytest.mark.parametrize("id", [None, "12", 0, -1, True])
def test_an_answer_without_id_is_not_taken_for_a_key(server: forges.Forge, id: Any) -> None:
    server.next.append(json_answer(201, {"id": id}))
    assert "does not tell the id" in adding(server).message


def test_a_forge_that_repeats_the_token_is_not_repeated(server: forges.Forge) -> None:
    server.next.append(json_answer(403, {"message": f"who is {TOKEN}?"}))
    assert "who is ***?" in listing(server).message


def test_a_forge_that_does_not_answer_is_waited_for_as_long_as_said(
    server: forges.Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forge, "TIMEOUT_SECONDS", 0.1)
    server.next.extend([Answer(200, b"[]", delay_seconds=1)] * 3)
    assert "did not answer" in listing(server).message


def test_a_certificate_that_nobody_vouches_for_gets_no_token(tmp_path: Path) -> None:
    with forges.Forge("GitHub", forges.self_signed(tmp_path)) as server:
        assert "certificate" in listing(server).message
    assert server.requests == []


def test_a_forge_that_is_not_there_is_named() -> None:
    with forges.Forge("GitHub") as server:
        pass
    assert server.host in listing(server).message


@pytest.mark.parametrize("text", ["a b", "a\r\nX: y", "gehe\u00efm", "x" * 3000])
def test_what_cannot_be_a_token_is_refused_without_repeating_it(text: str) -> None:
    error = refusal(lambda: forge.read_token(text))
    assert text not in error.message and "cannot be a token" in error.message


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_no_token_is_said_to_be_none(text: str | None) -> None:
    assert refusal(lambda: forge.read_token(text)).message == "AUTHS_FORGE_TOKEN is not set"


def test_the_line_break_at_a_tokens_end_is_dropped() -> None:
    assert forge.read_token("tok\n") == "tok"


# Where the token goes


@pytest.mark.parametrize(("url", "kind"), [
    ("https://github.com/o/r.git", "GitHub"), ("git@github.com:o/r.git", "GitHub"), ("ssh://git@ssh.github.com:443/o/r", "GitHub"),
    ("https://acme.ghe.com/o/r", "GitHub"), ("https://github.acme.com/o/r", "GitHub"), ("git@gitlab.com:g/s/r.git", "GitLab"),
    ("https://gitlab.acme.com/g/r", "GitLab"), ("https://codeberg.org/o/r", "Forgejo"), ("https://forgejo.acme.com/o/r", "Forgejo"),
    ("https://gitea.com/o/r", "Gitea"), ("https://git.acme.com/o/r", None), ("/srv/github.com/r.git", None), ("../r", None),
    ("https://[bad/o/r", None), ("", None),
])  # fmt: skip
def test_a_remotes_host_tells_the_kind_of_forge(url: str, kind: str | None) -> None:
    assert kind_of_remote(url) == kind


@pytest.mark.parametrize(("url", "name"), [
    ("https://github.com/o/r.git", "o/r"), ("git@gitlab.com:g/s/r.git", "s/r"), ("/srv/git/r.git", "git/r"), ("", None),
])  # fmt: skip
def test_a_remotes_path_names_the_repository(url: str, name: str | None) -> None:
    assert repository_of_remote(url) == name


@pytest.mark.parametrize(("remote", "configured", "github", "gitlab", "chosen"), [
    ("https://github.com/o/r", None, "https://api.github.com", None, ("GitHub", "https://api.github.com")),
    ("https://github.com/o/r", None, "https://api.github.com/", "https://gitlab.com/api/v4", ("GitHub", "https://api.github.com")),
    ("https://gitlab.com/o/r", None, None, "https://gitlab.com/api/v4", ("GitLab", "https://gitlab.com/api/v4")),
    ("https://codeberg.org/o/r", None, "https://codeberg.org/api/v1", None, ("Forgejo", "https://codeberg.org/api/v1")),
    ("https://git.acme.com/o/r", None, "https://git.acme.com/api/v1", None, ("Gitea", "https://git.acme.com/api/v1")),
    (None, None, "https://ghe.acme.com/api/v3", None, ("GitHub", "https://ghe.acme.com/api/v3")),
    ("https://github.com/o/r", "https://api.github.com", None, None, ("GitHub", "https://api.github.com")),
    ("https://github.com/o/r", "https://gitlab.com/api/v4", "https://api.github.com", None, ("GitLab", "https://gitlab.com/api/v4")),
    ("https://gitlab.acme.com/o/r", "https://gitlab.acme.com", None, None, ("GitLab", "https://gitlab.acme.com/api/v4")),
    ("git@git.acme.com:o/r", "https://forgejo.acme.com", None, None, ("Forgejo", "https://forgejo.acme.com/api/v1")),
    ("https://github.acme.com/o/r", "https://github.acme.com", None, None, ("GitHub", "https://github.acme.com/api/v3")),
    ("https://github.com/o/r", "http://127.0.0.1:80", None, None, ("GitHub", "http://127.0.0.1:80")),
    ("https://github.com/o/r", "http://[::1]:80", None, None, ("GitHub", "http://[::1]:80")),
])  # fmt: skip
def test_the_destination_is_what_the_user_or_the_runner_says(
    remote: str | None, configured: str | None, github: str | None, gitlab: str | None, chosen: tuple[str, str]
) -> None:
    assert choose(remote, configured, github, gitlab) == chosen


@pytest.mark.parametrize(("remote", "github", "gitlab"), [
    ("https://github.com/o/r", None, None), ("https://github.com/o/r", None, "https://gitlab.com/api/v4"),
    ("https://gitlab.com/o/r", "https://api.github.com", None), (None, None, None), ("https://codeberg.org/o/r", None, None),
])  # fmt: skip
def test_a_remotes_url_never_is_the_destination(remote: str | None, github: str | None, gitlab: str | None) -> None:
    error = refusal(lambda: choose(remote, None, github, gitlab))
    assert error.hint is not None and error.hint.startswith("git config auths.forgeUrl https://")


def test_two_destinations_are_not_guessed_between() -> None:
    assert (
        "both set" in refusal(lambda: choose(None, None, "https://api.github.com", "https://gitlab.com/api/v4")).message
    )


def test_a_forge_of_no_known_kind_is_asked_nothing() -> None:
    assert (
        "which kind" in refusal(lambda: choose("https://git.acme.com/o/r", "https://git.acme.com", None, None)).message
    )


@pytest.mark.parametrize("url", [
    "http://api.github.com", "ftp://127.0.0.1", "https://", "https:///path", "https://user@api.github.com", "https://a:secret@api.github.com",
    "https://api.github.com?x", "https://api.github.com#x", "https://api.github.com\\@evil.example", "https://a b", "https://a\n.example",
    "api.github.com", "http://127.0.0.1.evil.example", "https://x:99999", "https://\u00e9.example", "http://[::ffff:8.8.8.8]",
])  # fmt: skip
def test_a_destination_that_is_not_plain_https_is_refused_and_not_repeated(url: str) -> None:
    for given in ((None, url, None, None), (None, None, url, None), (None, None, None, url)):
        error = refusal(lambda given=given: choose(*given))  # type: ignore[misc]
        assert "secret" not in error.message and url not in error.message


# Titles


@pytest.mark.parametrize(("title", "text"), [
    (Title("o/r", "123", 1795284000, fingerprint(BLOB)), "git-auths o/r run 123 until 2026-11-21T18:00Z "),
    (Title("o/r", "123", 1795284001, fingerprint(BLOB)), "git-auths o/r run 123 until 2026-11-21T18:01Z "),
    (Title(None, None, None, fingerprint(BLOB)), "git-auths "),
    (Title("o/r", None, 0, fingerprint(BLOB)), "git-auths o/r until 1970-01-01T00:00Z "),
])  # fmt: skip
def test_a_title_says_what_it_is_and_can_be_read_again(title: Title, text: str) -> None:
    written = forge_title.write(title)
    assert written == text + title.fingerprint
    until = None if title.expires_at is None else -(-title.expires_at // 60) * 60
    assert forge_title.read(written) == title._replace(expires_at=until)


@pytest.mark.parametrize("name", ["a b", "x until 2020-01-01T00:00Z", "run 7", "\u202e", "a\nb", "/" * 500, "n" * 5000])
def test_a_name_cannot_say_anything_else_in_a_title(name: str) -> None:
    written = forge_title.write(Title(name, name, NOON, fingerprint(BLOB)))
    read = forge_title.read(written)
    assert read is not None and (read.expires_at, read.fingerprint) == (NOON, fingerprint(BLOB))


@pytest.mark.parametrize("text", [
    "", "git-auths", "laptop", f"git-auths until soon {fingerprint(BLOB)}", f"git-auths until 2026-13-01T00:00Z {fingerprint(BLOB)}",
    f"my git-auths {fingerprint(BLOB)}", f"git-auths {fingerprint(BLOB)}\n", "git-auths SHA256:short", "git-auths " * 1000,
])  # fmt: skip
def test_a_title_of_somebody_elses_is_not_ours(text: str) -> None:
    assert forge_title.read(text) is None
