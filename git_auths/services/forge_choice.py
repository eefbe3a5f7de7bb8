"""Which forge a repository belongs to, and where its API is.

A remote's URL tells the kind of the forge, and nothing more: whoever can set it must not be able to have the token
sent to him. Where it goes is said by the runner (GITHUB_API_URL, CI_API_V4_URL) or by the user (auths.forgeUrl).
"""

from __future__ import annotations

from ipaddress import ip_address
from shlex import quote
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from git_auths.errors import Error

GITHUB, GITLAB, GITEA, FORGEJO = "GitHub", "GitLab", "Gitea", "Forgejo"
API_PATHS = {GITHUB: "/api/v3", GITLAB: "/api/v4", GITEA: "/api/v1", FORGEJO: "/api/v1"}  # below a host of one's own
HOSTED = {"github.com": GITHUB, "gitlab.com": GITLAB, "codeberg.org": FORGEJO, "gitea.com": GITEA}
NAMES_IN_HOSTS = {"github": GITHUB, "gitlab": GITLAB, "forgejo": FORGEJO, "gitea": GITEA}
MAX_URL_CHARACTERS = 2048

EXAMPLES = {
    GITHUB: "https://api.github.com",
    GITLAB: "https://gitlab.com/api/v4",
    GITEA: "https://gitea.com/api/v1",
    FORGEJO: "https://codeberg.org/api/v1",
}


class Forge(NamedTuple):
    """A forge of this kind, and the URL of its API, which ends in no slash."""

    kind: str
    url: str

    @property
    def name(self) -> str:
        """What people call it: github.com, or its host."""
        parts = urlsplit(self.url)
        return "github.com" if parts.hostname == "api.github.com" else parts.netloc

    @property
    def has_signing_keys(self) -> bool:
        """Whether its API tells keys that sign from keys that log in. Gitea's and Forgejo's adds only the latter, and
        shows a commit as verified only once its user has signed a challenge on the web page of his keys."""
        return self.kind in (GITHUB, GITLAB)


class NoDestination(Error):
    """Nobody has said where the token may go, or two have. Its hint is a command to type in a repository."""


def choose(remote_url: str | None, configured: str | None, github_api: str | None, gitlab_api: str | None) -> Forge:
    """The forge that `configured` (auths.forgeUrl) names, else the runner's that is of the remote's kind.

    Raises errors.Error: none is named, more than one could be meant, it is not https, its kind cannot be told.
    """
    of_remote = kind_of_remote(remote_url or "")
    if configured:
        return _configured(configured, of_remote)
    offered = [
        Forge(_known_as(_kind_of_api(parts) or kind, of_remote), _text(parts))
        for name, kind, url in (("GITHUB_API_URL", GITHUB, github_api), ("CI_API_V4_URL", GITLAB, gitlab_api))
        if url
        for parts in [_checked(name, url)]
    ]
    fitting = [forge for forge in offered if of_remote in (None, forge.kind)]
    if not fitting:
        raise NoDestination("nothing says where the forge's API is, and a remote's URL is not believed in that",
                            f"git config auths.forgeUrl {EXAMPLES[of_remote or GITHUB]}")  # fmt: skip
    if len(fitting) > 1:
        raise NoDestination("GITHUB_API_URL and CI_API_V4_URL are both set; the remote does not tell which is meant",
                            f"git config auths.forgeUrl {quote(fitting[0].url)}")  # fmt: skip
    return fitting[0]


def kind_of_remote(url: str) -> str | None:
    """The kind of forge that a remote's URL points to, as far as its host tells."""
    return _kind_of_host(_host_and_path(url)[0])


def repository_of_remote(url: str) -> str | None:
    """`owner/repo`, for people: the last two parts of a remote's path."""
    parts = [part for part in _host_and_path(url)[1].removesuffix(".git").split("/") if part]
    return "/".join(parts[-2:]) or None


def _configured(url: str, of_remote: str | None) -> Forge:
    parts = _checked("auths.forgeUrl", url)
    kind = _kind_of_api(parts)
    if kind is not None:
        return Forge(_known_as(kind, of_remote), _text(parts))
    kind = of_remote or _kind_of_host(parts.hostname or "")
    if kind is None:
        raise Error("auths.forgeUrl does not tell which kind of forge it names",
                    "end it in /api/v3 (GitHub Enterprise), /api/v4 (GitLab) or /api/v1 (Forgejo, Gitea)")  # fmt: skip
    # GitHub's own API, and what stands in for it on this machine, has no path.
    bare = parts.path.strip("/") == "" and not (kind == GITHUB and _is_loopback(parts))
    return Forge(kind, _text(parts) + (API_PATHS[kind] if bare else ""))


def _kind_of_api(parts: SplitResult) -> str | None:
    host, path = parts.hostname or "", parts.path.rstrip("/")
    if host == "api.github.com" or (host.startswith("api.") and host.endswith(".ghe.com")):
        return GITHUB
    return next((kind for kind, end in API_PATHS.items() if path.endswith(end)), None)


def _kind_of_host(host: str) -> str | None:
    for hosted, kind in HOSTED.items():
        if host == hosted or host.endswith("." + hosted):
            return kind
    if host.endswith(".ghe.com"):
        return GITHUB
    return next((kind for name, kind in NAMES_IN_HOSTS.items() if name in host), None)


def _known_as(kind: str, of_remote: str | None) -> str:
    """Gitea and Forgejo share an API: the remote knows which it is."""
    return FORGEJO if kind == GITEA and of_remote == FORGEJO else kind


def _host_and_path(url: str) -> tuple[str, str]:
    if "://" in url:
        try:
            parts = urlsplit(url)
            return (parts.hostname or "").lower(), parts.path
        except ValueError:
            return "", ""
    host, colon, path = url.partition(":")  # git-clone(1), the scp-like form: no slash before the first colon
    if colon and "/" not in host:
        return host.rpartition("@")[2].lower(), path
    return "", url


def _checked(name: str, url: str) -> SplitResult:
    """The parts of a URL that a token may go to. Raises errors.Error, which never repeats the URL: it may hold one."""
    reason = _fault(url)
    if reason is not None:
        raise Error(f"{name} {reason}", f"it is to be like {EXAMPLES[GITHUB]}")
    return urlsplit(url)


def _fault(url: str) -> str | None:
    if len(url) > MAX_URL_CHARACTERS or not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        return "is not a URL"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a URL"
    if not parts.hostname or port == 0:
        return "names no host"
    if parts.username is not None or parts.password is not None:
        return "holds a user or password; the token belongs into AUTHS_FORGE_TOKEN"
    if "?" in url or "#" in url:
        return "has a query or fragment"
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts)):
        return "is not https: the token would travel in the clear"
    return None


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _text(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
