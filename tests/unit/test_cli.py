"""The command's edge: what is said, where, and with which exit code. The engine behind it is a stand-in."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from bandersnatch import VERSION
from bandersnatch.cli import main
from bandersnatch.errors import GuardError, LockedError, UnreachableError
from bandersnatch.summary import Summary

ROOT = Path(__file__).resolve().parents[2]


class Options(NamedTuple):
    dry_run: bool = False
    force_check: bool = False
    allow_removals: bool = False


class Engine:
    """Stands in for sync.py and stats.py: remembers what it was asked, answers as told."""

    def __init__(self) -> None:
        self.answer: Callable[[], Any] = Summary
        self.options: Options | None = None
        self.dry_run: bool | None = None

    def mirror(self, config: object, options: Options, progress: object) -> Any:
        self.options = options
        return self.answer()

    def update_stats(self, config: object, *, dry_run: bool) -> Any:
        self.dry_run = dry_run
        return self.answer()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    for name, members in {
        "sync": {"mirror": engine.mirror, "Options": Options},
        "stats": {"update_stats": engine.update_stats},
    }.items():
        module = ModuleType(f"bandersnatch.{name}")
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, f"bandersnatch.{name}", module)
    return engine


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "bandersnatch.conf"
    path.write_text(f"[mirror]\ndirectory = {tmp_path}/mirror\nmaster = https://u:s3cret@index.example.org\n")
    path.chmod(0o600)
    return path


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Give back the signal handler and the log that the command takes over."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_run_without_change_prints_one_line(
    engine: Engine, conf: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    engine.answer = lambda: Summary(projects=3, serial=9)
    assert main(["-c", str(conf), "mirror"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "In sync with upstream: nothing changed (3 projects, serial 9, 0.0 s)."
    ]
    assert caplog.records == []
    assert engine.options == Options()


def test_the_options_reach_the_engine(engine: Engine, conf: Path) -> None:
    main(["-c", str(conf), "mirror", "--dry-run", "--force-check", "--allow-removals"])
    assert engine.options == Options(True, True, True)


def test_diff_names_what_changes(engine: Engine, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answer = lambda: Summary(added=("six",), removed=("old",))
    main(["-c", str(conf), "mirror"])
    assert "six" not in capsys.readouterr().out
    main(["-c", str(conf), "mirror", "--diff"])
    assert capsys.readouterr().out.splitlines()[1:] == ["  + six", "  - old"]


def test_failed_projects_are_error_lines_and_exit_code_3(
    engine: Engine, conf: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    engine.answer = lambda: Summary(failures=(("six", "no"), ("idna", "never")))
    assert main(["-c", str(conf), "mirror"]) == 3
    assert [record.message for record in caplog.records] == [
        "2 projects failed; the next run tries again:",
        "  six: no",
        "  idna: never",
    ]
    assert "six" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GuardError("too many\nremovals"), 4),
        (LockedError("held"), 5),
        (UnreachableError("nobody there"), 6),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_is_one_line_without_a_traceback(
    engine: Engine, conf: Path, caplog: pytest.LogCaptureFixture, error: BaseException, code: int
) -> None:
    def fail() -> None:
        raise error

    engine.answer = fail
    assert main(["-c", str(conf), "mirror"]) == code
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is None
    assert record.getMessage().isprintable()


def test_a_bug_has_a_traceback(engine: Engine, conf: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine.answer = lambda: 1 / 0
    assert main(["-c", str(conf), "mirror"]) == 1
    assert "ZeroDivisionError" in caplog.text
    assert f"a bug in bandersnatch {VERSION}" in caplog.text


def test_sigterm_ends_it_as_an_interrupt(engine: Engine, conf: Path) -> None:
    engine.answer = lambda: os.kill(os.getpid(), signal.SIGTERM)
    assert main(["-c", str(conf), "mirror"]) == 130


def test_without_a_config_file_a_default_is_written_once(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "new.conf"
    assert main(["-c", str(path), "mirror"]) == 1
    assert str(path) in caplog.text
    assert "directory = /srv/pypi" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()
    assert engine.options is None
    path.write_text("[mirror]\n")
    assert main(["-c", str(path), "mirror"]) == 2
    assert path.read_text() == "[mirror]\n"


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_dry_run_writes_no_config_either(engine: Engine, tmp_path: Path) -> None:
    assert main(["-c", str(tmp_path / "new.conf"), "mirror", "--dry-run"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_default_that_cannot_be_written_is_said(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["-c", str(tmp_path / "missing" / "new.conf"), "mirror"]) == 1
    assert "No such file or directory" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_dangling_link_is_not_written_through(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "link.conf"
    path.symlink_to(tmp_path / "elsewhere")
    assert main(["-c", str(path), "mirror"]) == 2
    assert not (tmp_path / "elsewhere").exists()


def test_check_config_says_ok_and_no_password(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", str(conf), "check-config"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"OK: {conf} mirrors https://index.example.org/simple/ to ")
    assert "s3cret" not in out


def test_check_config_warns_and_refuses(conf: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = conf.read_text()
    conf.write_text(text + "colour = blue\n")
    assert main(["-c", str(conf), "check-config"]) == 0
    assert "colour" in caplog.text
    conf.write_text(text + "workers = many\n")
    assert main(["-c", str(conf), "check-config"]) == 2
    assert "workers = many" in caplog.text


def test_update_stats(engine: Engine, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Done(NamedTuple):
        exit_code: int = 3

        def text(self) -> str:
            return "2 days written"

    engine.answer = Done
    assert main(["-c", str(conf), "update-stats", "--dry-run"]) == 3
    assert engine.dry_run is True
    assert capsys.readouterr().out == "2 days written\n"


@pytest.mark.parametrize(
    "arguments", [[], ["no-such-command"], ["mirror", "--no-such-option"], ["mirror", "--dry"]]
)
def test_wrong_arguments_are_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"bandersnatch {VERSION}\n"


# ---- as a process


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "module_utils"), **options.pop("env", {})}
    argv = [sys.executable, "-m", "bandersnatch", *arguments]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(argv, env=environment, text=True, check=False, timeout=60, **options)


def test_log_lines_are_plain_and_on_stderr(conf: Path) -> None:
    conf.write_text(conf.read_text() + "colour = blue\n")
    done = command("-c", str(conf), "check-config")
    assert done.returncode == 0
    assert done.stdout.startswith("OK: ")
    assert done.stderr == "WARNING [mirror] colour is not a key of ours and has no effect\n"


def test_a_reader_that_went_away_changes_nothing(conf: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = command("-c", str(conf), "check-config", stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_closed_streams_change_nothing(conf: Path) -> None:
    script = f'exec "{sys.executable}" -m bandersnatch -c "{conf}" check-config >&- 2>&-'
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "module_utils")}
    assert subprocess.run(["sh", "-c", script], env=environment, check=False).returncode == 0


def test_a_locale_without_utf_8_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "größe.conf"
    path.write_text("[mirror]\ndirectory = /srv/pypi\nmaster = https://index.example.org\n", "utf-8")
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    done = command("-c", str(path), "check-config", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("OK: ")


def test_the_operators_logging_config_takes_over(conf: Path, tmp_path: Path) -> None:
    log, ini = tmp_path / "run.log", tmp_path / "logging.ini"
    ini.write_text(
        "[loggers]\nkeys = root\n[handlers]\nkeys = file\n[formatters]\nkeys =\n"
        "[logger_root]\nlevel = INFO\nhandlers = file\n"
        f"[handler_file]\nclass = FileHandler\nargs = ({str(log)!r},)\n"
    )
    conf.write_text(conf.read_text() + f"log-config = {ini}\ncolour = blue\n")
    done = command("-c", str(conf), "check-config")
    assert (done.returncode, done.stderr) == (0, "")
    assert "colour" in log.read_text()


def test_a_logging_config_that_does_not_work_is_said(conf: Path, tmp_path: Path) -> None:
    ini = tmp_path / "logging.ini"
    ini.write_text("nonsense")
    conf.write_text(conf.read_text() + f"log-config = {ini}\n")
    done = command("-c", str(conf), "check-config")
    assert done.returncode == 2
    assert "log-config" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_command_begins_without_what_only_others_need(conf: Path) -> None:
    code = (
        "import sys; from bandersnatch.cli import main; main(sys.argv[1:]); "
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "module_utils")}
    argv = [sys.executable, "-S", "-c", code, "-c", str(conf), "check-config"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    unwanted = {
        "logging.config",
        "ssl",
        "subprocess",
        "dataclasses",
        "packaging",
        "difflib",
        "email",
        "asyncio",
    }
    assert unwanted & set(done.stderr.split()) == set()
