"""Moving in: what is recognised, moved aside, handed over, refused; and that looking changes nothing."""

from __future__ import annotations

import fcntl
import os
import pickle
import pwd
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from bandersnatch.errors import ConfigError, LockedError, StorageError
from bandersnatch.migrate import ASIDE, Options, Plan, migrate
from harness import tree

PAGE = '<a href="../../packages/source/f/foo/foo-1.0.tar.gz#md5=0123">foo-1.0.tar.gz</a>'
CRON = "*/2 * * * * root bandersnatch -c {} mirror |& logger -t bandersnatch[mirror]\n"


class Old:
    """A host with a mirror of an old program."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.directory = base / "pypi"
        self.conf = base / "etc/bandersnatch.conf"
        self.crontabs = base / "etc/cron.d"
        self.options = Options(
            str(self.directory),
            str(self.conf),
            str(self.conf),
            "https://pip.example.org/simple/",
            crontabs=(str(self.crontabs), str(base / "etc/crontab"), str(base / "nowhere")),
        )
        self.put("web/simple/index.html", '<a href="foo/">foo</a>')
        self.put("web/simple/foo/index.html", PAGE)
        self.put("web/packages/source/f/foo/foo-1.0.tar.gz", "data")
        self.put("web/last-modified", "20150102T03:04:05\n")
        self.put("web/local-stats/days/2015-01-02.bz2", "")
        self.crontabs.mkdir(parents=True)

    def put(self, path: str, content: str | bytes) -> Path:
        """A file of the mirror directory."""
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def bandersnatch(self, config: str = "") -> Old:
        self.put("status", "1234567")
        self.put("generation", "5")
        self.put("todo", "1234570\nfoo 1234568\n")
        self.put(".lock", "")
        self.conf.write_text(f"[mirror]\ndirectory = {self.directory}\n{config}")
        return self

    def pep381client(self) -> Old:
        self.put("status", b"\x80\x02(ipep381client\nSynchronization\nq\x01.")
        with sqlite3.connect(self.directory / "files") as db:
            db.execute("CREATE TABLE files (path, etag)")
        db.close()
        self.put("web/serverkey", "key")
        self.put("web/serversig/foo", "signature")
        return self

    def look(self) -> Plan:
        return migrate(self.options, dry_run=True)

    def migrate(self) -> Plan:
        return migrate(self.options, dry_run=False)

    def seen(self) -> dict[str, tuple[object, ...]]:
        """Everything on the host, but for the lock, which a migration takes."""
        return {path: seen for path, seen in tree(self.base).items() if path != "pypi/.lock"}

    def aside(self) -> set[str]:
        """The files that were moved aside."""
        top = self.directory / ASIDE
        return {str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir()}


@pytest.fixture
def old(tmp_path: Path) -> Old:
    return Old(tmp_path)


def backup(path: Path) -> str:
    return str(path).lstrip("/")


def test_a_mirror_of_bandersnatch_is_taken_over(old: Old) -> None:
    old.bandersnatch("master = https://index.example.org\n")
    old.put("mirrored-files", "/srv/pypi/web/...\n")
    before = tree(old.directory / "web")
    plan = old.migrate()
    assert plan.program == "bandersnatch"
    assert tree(old.directory / "web") == before
    assert old.aside() == {"status", "generation", "todo", "mirrored-files", backup(old.conf)}
    assert (old.directory / ASIDE / "status").read_text() == "1234567"
    assert set(os.listdir(old.directory)) == {"web", ASIDE, ".lock"}
    assert "master = https://index.example.org" in old.conf.read_text()
    assert old.conf.stat().st_mode & 0o777 == 0o640


def test_a_mirror_of_pep381client_is_taken_over(old: Old) -> None:
    old.pep381client()
    plan = old.migrate()
    assert plan.program == "pep381client"
    assert old.aside() == {"status", "files", "web/serverkey", "web/serversig/foo"}
    assert not (old.directory / "web/serversig").exists()
    assert (old.directory / "web/simple/foo/index.html").read_text() == PAGE
    assert "master = https://pip.example.org/simple/" in old.conf.read_text()


def test_no_pickle_is_ever_loaded(old: Old, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    old.pep381client()
    old.put("status", pickle.dumps(["pep381client", Trap()]))
    assert old.migrate().program == "pep381client"
    assert not (tmp_path / "sprung").exists()


def test_looking_changes_nothing_and_foretells_what_is_done(old: Old) -> None:
    old.bandersnatch("json = maybe\n")
    old.put("web/simple/Foo.Bar/index.html", PAGE)
    (old.crontabs / "bandersnatch").write_text(CRON.format(old.conf))
    before = tree(old.base)
    foretold = old.look()
    assert tree(old.base) == before
    assert foretold.as_dict(old.options)["changed"] is True
    done = old.migrate()
    assert done == foretold
    steps = "\n".join(done.steps(old.options))
    for word in ("status", "todo", "cron.d/bandersnatch", str(old.conf), "1 page"):
        assert word in steps
    before = tree(old.base)
    for plan in (old.look(), old.migrate()):
        assert plan == Plan()
        assert plan.as_dict(old.options)["changed"] is False
    assert tree(old.base) == before


def test_the_old_state_of_this_engine_is_not_believed_after_another_ran(old: Old) -> None:
    old.bandersnatch()
    old.put("state", b"SQLite format 3\0 and so on")
    old.migrate()
    assert "state" in old.aside()


def test_a_mirror_of_this_engine_needs_no_migration(old: Old) -> None:
    old.put("state", b"SQLite format 3\0 and so on")
    assert old.look() == Plan()


def test_pages_go_under_the_normalised_name(old: Old) -> None:
    old.bandersnatch()
    for path in ("Zope.Interface", "zope-interface", "Py_Mongo", "Py.Mongo", "UPPER", "a"):
        old.put(f"web/simple/{path}/index.html", path)
    old.migrate()
    simple = old.directory / "web/simple"
    assert {path.name for path in simple.iterdir()} == {
        "a",
        "foo",
        "index.html",
        "py-mongo",
        "upper",
        "zope-interface",
    }
    assert (simple / "zope-interface/index.html").read_text() == "zope-interface"
    assert {"web/simple/Zope.Interface/index.html", "web/simple/Py_Mongo/index.html"} < old.aside()


def test_pages_of_hash_index_go_under_the_letter_of_the_normalised_name(old: Old) -> None:
    old.bandersnatch("hash-index = true\n")
    old.put("web/simple/Z/Zope.Interface/index.html", PAGE)
    old.put("web/simple/s/six/index.html", PAGE)
    old.migrate()
    assert (old.directory / "web/simple/z/zope-interface/index.html").exists()
    assert (old.directory / "web/simple/s/six/index.html").exists()


@pytest.mark.parametrize("json", [True, False])
def test_release_json_stays_only_where_it_is_kept_up_to_date(old: Old, json: bool) -> None:
    old.bandersnatch(f"json = {json}\n")
    old.put("web/json/foo", "{}")
    old.put("web/stats/2010-01.bz2", "")
    (old.directory / "web/pypi/foo").mkdir(parents=True)
    (old.directory / "web/pypi/foo/json").symlink_to("../../json/foo")
    old.migrate()
    assert (old.directory / "web/pypi/foo/json").exists() is json
    assert ("web/json/foo" in old.aside()) is not json
    assert "web/stats/2010-01.bz2" in old.aside()


def test_cron_jobs_are_taken_out_and_kept_aside(old: Old) -> None:
    old.bandersnatch()
    job, other = CRON.format(old.conf), "0 4 * * * root true\n"
    only = old.crontabs / "bandersnatch"
    only.write_text(f"LC_ALL=en_US.utf8\n{job}")
    mixed = old.crontabs / "nightly"
    mixed.write_text(other + job)
    mixed.chmod(0o600)
    table = old.base / "etc/crontab"
    table.write_text(job)
    (old.crontabs / "others").write_text(other)
    plan = old.migrate()
    assert [one.removed for one in plan.crontabs] == [[job.strip()]] * 3
    assert not only.exists()
    assert mixed.read_text() == other
    assert mixed.stat().st_mode & 0o777 == 0o600
    assert table.read_text() == ""
    assert {path.name for path in old.crontabs.iterdir()} == {"nightly", "others"}
    kept = old.directory / ASIDE / backup(mixed)
    assert kept.read_text() == other + job
    assert kept.stat().st_mode & 0o777 == 0o600
    assert backup(only) in old.aside()
    assert backup(old.crontabs / "others") not in old.aside()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda old: None,
        lambda old: old.put("status", "no serial"),
        lambda old: old.put("files", "no database"),
        lambda old: (old.directory / "status").symlink_to("/etc/passwd"),
        lambda old: os.mkfifo(old.directory / "status"),
        lambda old: (old.bandersnatch(), (old.directory / "web").rename(old.base / "web")),
    ],
)
def test_a_directory_of_neither_program_is_refused_and_left_alone(old: Old, spoil: object) -> None:
    assert callable(spoil)
    spoil(old)
    before = tree(old.base)
    for run in (old.look, old.migrate):
        with pytest.raises(ConfigError, match=f"{old.directory} is neither") as caught:
            run()
        assert "\n" not in str(caught.value)
    assert tree(old.base) == before


def test_a_running_bandersnatch_is_not_disturbed(old: Old) -> None:
    old.bandersnatch()
    before = tree(old.base)
    with (old.directory / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for run in (old.look, old.migrate):
            with pytest.raises(LockedError, match="bandersnatch is at work"):
                run()
    assert tree(old.base) == before
    assert old.migrate().program == "bandersnatch"


def test_a_running_pep381run_is_not_disturbed(old: Old) -> None:
    old.pep381client()
    program = old.base / "pep381run"
    program.write_text("print('ready', flush=True); input()")
    with subprocess.Popen(
        [sys.executable, program, "-q", f"{old.directory}/"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(LockedError, match=f"process {process.pid}"):
            old.look()
        process.communicate("\n")
    assert old.look().program == "pep381client"


@pytest.mark.parametrize("name", ["web", "web/simple", "web/packages"])
def test_a_link_in_place_of_a_directory_is_refused_before_anything_is_done(old: Old, name: str) -> None:
    old.bandersnatch()
    (old.directory / name).rename(old.base / "elsewhere")
    (old.directory / name).symlink_to(old.base / "elsewhere")
    before = old.seen()
    with pytest.raises(StorageError, match=f"{name} is a symbolic link"):
        old.migrate()
    assert old.seen() == before


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[plugins]\nenabled = project_requirements\n", "project_requirements"),
        ("[plugins]\nenabled = regex_project\n[filter_regex]\npackages =\n  (\n", "not a regular expression"),
        ("[blacklist]\npackages =\n  what is this\n", "what is this"),
    ],
)
def test_a_config_that_cannot_be_carried_over_changes_nothing(old: Old, config: str, words: str) -> None:
    old.bandersnatch(config)
    before = old.seen()
    for run in (old.look, old.migrate):
        with pytest.raises(ConfigError, match=words):
            run()
    assert old.seen() == before


def test_what_was_interrupted_is_taken_up_again(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it ends, the next time brings it to the same end."""
    old.bandersnatch("workers = 4\nverifiers = 3\n")
    (old.crontabs / "bandersnatch").write_text(CRON.format(old.conf))
    old.put("web/serversig/foo", "signature")
    rename, left = os.rename, 0

    def failing(source: str, target: str) -> None:
        nonlocal left
        if left == 0:
            raise OSError(28, "No space left on device", source)
        left -= 1
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    for allowed in range(12):
        left = allowed
        try:
            old.migrate()
        except StorageError as error:
            assert "No space left on device" in str(error)  # noqa: PT017
        else:
            break
    else:
        raise AssertionError("it never came to its end")
    assert allowed >= 1
    assert old.aside() >= {"status", "generation", "todo", "web/serversig/foo", backup(old.conf)}
    assert backup(old.crontabs / "bandersnatch") in old.aside()
    assert "workers = 4" in old.conf.read_text()
    assert old.look() == Plan()


def test_nothing_that_was_set_aside_is_overwritten(old: Old) -> None:
    old.bandersnatch()
    old.put(f"{ASIDE}/status", "an older one")
    old.migrate()
    assert (old.directory / ASIDE / "status").read_text() == "an older one"
    assert (old.directory / ASIDE / "status.1").read_text() == "1234567"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_mirror_is_handed_to_its_new_user(old: Old) -> None:
    old.bandersnatch()
    outside = old.base / "outside"
    outside.write_text("not ours")
    (old.directory / "web/link").symlink_to(outside)
    nobody = pwd.getpwnam("nobody")
    old.options = old.options._replace(owner="nobody")
    assert old.look().hand_over
    old.migrate()
    everything = [old.directory, *(p for p in old.directory.rglob("*") if ASIDE not in p.parts)]
    assert {path.lstat().st_uid for path in everything} == {nobody.pw_uid}
    assert outside.stat().st_uid == 0
    assert old.conf.stat().st_gid == nobody.pw_gid
    assert old.conf.stat().st_uid == 0


def test_looking_needs_nothing_that_provisioning_brings(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    old.bandersnatch("[plugins]\nenabled = latest_release\n[latest_release]\nkeep = 2\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert old.look().program == "bandersnatch"
    with pytest.raises(ConfigError, match="python3-packaging"):
        old.migrate()


def test_a_user_that_is_not_there_yet_is_no_error_when_looking(old: Old) -> None:
    old.bandersnatch()
    old.options = old.options._replace(owner="no-such-user")
    assert old.look().hand_over
    before = tree(old.base)
    with pytest.raises(ConfigError, match="no-such-user"):
        old.migrate()
    assert tree(old.base) == before
