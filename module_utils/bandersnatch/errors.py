"""One exception tree. Each class has its exit code; messages say what happened, to what, and what to do."""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILURE = 1  # no config file yet, or a bug
EXIT_SOME_FAILED = 3
EXIT_STALE = 8  # `bandersnatch status`: the last good sync is too long ago
EXIT_WRONG = 9  # `bandersnatch verify`: something that is served is missing or wrong
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


class BandersnatchError(Exception):
    """Anything that ends a run for a reason that its reader can act on."""

    exit_code = EXIT_FAILURE


class ConfigError(BandersnatchError):
    """The config file says something that cannot be: which key, what is wrong, what would be right."""

    exit_code = 2


class GuardError(BandersnatchError):
    """The run would remove too much, so it removed nothing."""

    exit_code = 4


class LockedError(BandersnatchError):
    """Another run holds the mirror directory: who, since when."""

    exit_code = 5


class UnreachableError(BandersnatchError):
    """The upstream does not answer, or not as an index does."""

    exit_code = 6


class StorageError(BandersnatchError):
    """The volume cannot take what the run needs: full, read-only, not ours, wrong kind."""

    exit_code = 7


class StoppedError(BandersnatchError):
    """The run was asked to end before it had anything to report."""

    exit_code = EXIT_INTERRUPTED


class ProjectError(BandersnatchError):
    """One project cannot be brought up to date. The run goes on with the others, and ends with 3."""

    exit_code = EXIT_SOME_FAILED


class ContentError(ProjectError):
    """What upstream sent is not what the standards allow, or not safe."""


class FetchError(ProjectError):
    """A request failed after its retries.

    `status` is the HTTP status of the last answer, 0 where there was none (refused, reset, timed out, TLS).
    `permanent` is true where asking again soon cannot help (404, 410, wrong hash, bad redirect).
    """

    def __init__(self, message: str, status: int = 0, permanent: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.permanent = permanent
