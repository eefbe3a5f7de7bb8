"""git-auths: a repository that can answer, offline, who was allowed to do this, and did they."""

__version__ = "0.1.0"
