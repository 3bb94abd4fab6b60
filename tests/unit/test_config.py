"""The config file: what each key means, and what is said of one that cannot be."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from bandersnatch.config import Config, load
from bandersnatch.config_keys import KEYS, SECTIONS, default_text
from bandersnatch.config_values import Size, size
from bandersnatch.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
HEAD = "[mirror]\ndirectory = /srv/pypi\nmaster = https://index.example.org\n"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "bandersnatch.conf"


def read(conf: Path, more: str = "", head: str = HEAD) -> Config:
    conf.write_text(head + more, encoding="utf-8")
    return load(conf)


def refusal(conf: Path, more: str = "", head: str = HEAD) -> str:
    """The message about a config file, checked for what all of them must be."""
    with pytest.raises(ConfigError) as caught:
        read(conf, more, head)
    message = str(caught.value)
    assert message.startswith(f"{conf}: ")
    assert message.isprintable()
    assert caught.value.exit_code == 2
    return message.removeprefix(f"{conf}: ")


def test_what_is_not_set_has_its_default(conf: Path) -> None:
    config = read(conf)
    expected = Config(directory=Path("/srv/pypi"), master="https://index.example.org/simple/")
    assert config._replace(contact="", public_url="") == expected
    assert config.public_url == f"http://{config.contact.partition('@')[2]}/"
    assert config.web == Path("/srv/pypi/web")


def test_the_defaults_of_the_table_are_those_of_the_code(conf: Path) -> None:
    lines = [f"{key.name} = {key.default}" for key in KEYS if key.section == "mirror" and key.default]
    written = read(conf, "\n".join(lines) + "\n")
    assert written._replace(warnings=()) == read(conf)


def test_each_key_of_the_mirror_is_a_field_or_is_said_to_do_nothing() -> None:
    without_effect = {"digest_name", "keep_index_versions", "storage_backend", "cleanup", "verifiers"}
    fields = {key.field for key in KEYS if key.section == "mirror"}
    assert fields - without_effect <= set(Config._fields)


def test_dashes_underscores_and_case_of_keys_are_the_same(conf: Path) -> None:
    assert read(conf, "hash_index = yes").hash_index
    assert read(conf, "HASH-Index = On").hash_index
    assert read(conf, "root-uri = https://files.example.org").root_uri == "https://files.example.org/"


def test_an_empty_value_is_none(conf: Path) -> None:
    config = read(conf, "workers =\nproxy =\nhash-index =\nlog-config =\n")
    assert config == read(conf)


def test_values_are_taken_as_they_stand(conf: Path) -> None:
    config = read(
        conf, "proxy = http://me:100%25$HOME%(x)s@proxy.example.org:3128\ncontact = a@example.org; me"
    )
    assert config.proxy == "http://me:100%25$HOME%(x)s@proxy.example.org:3128/"
    assert config.contact == "a@example.org; me"


@pytest.mark.parametrize("name", ["hash-index", "json", "core-metadata", "allow-non-https"])
@pytest.mark.parametrize(("text", "value"), [("TRUE", True), ("0", False), ("Off", False), ("yes", True)])
def test_truth_values(conf: Path, name: str, text: str, value: bool) -> None:
    assert getattr(read(conf, f"{name} = {text}"), name.replace("-", "_")) is value


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://index.example.org", "https://index.example.org/simple/"),
        ("https://index.example.org/", "https://index.example.org/simple/"),
        ("https://index.example.org/simple", "https://index.example.org/simple/"),
        ("https://index.example.org/simple//", "https://index.example.org/simple/"),
        ("HTTPS://index.example.org/root/pypi/+simple/", "https://index.example.org/root/pypi/+simple/"),
        ("https://index.example.org/notsimple/", "https://index.example.org/notsimple/simple/"),
        ("https://me:p%40ss@index.example.org:8443/x", "https://me:p%40ss@index.example.org:8443/x/simple/"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/simple/"),
        ("http://[::1]:8080/", "http://[::1]:8080/simple/"),
        ("http://localhost", "http://localhost/simple/"),
    ],
)
def test_master_is_the_index_or_the_url_above(conf: Path, text: str, url: str) -> None:
    assert read(conf, head=f"[mirror]\ndirectory = /srv/pypi\nmaster = {text}\n").master == url


@pytest.mark.parametrize(
    "text",
    [
        "index.example.org",
        "ftp://index.example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///simple/",
        "https://index.example.org/?x=1",
        "https://index.example.org/#x",
        "https://index.example.org/simple/ https://other.example.org/",
        "https://index.example.org:99999/",
        "https://[::1/",
        "https://ü.example.org/",
    ],
)
def test_a_master_that_is_no_base_url_is_refused(conf: Path, text: str) -> None:
    message = refusal(conf, head=f"[mirror]\ndirectory = /srv/pypi\nmaster = {text}\n")
    assert message.startswith("[mirror] master ")


@pytest.mark.parametrize("key", ["master", "proxy", "root_uri", "download-mirror"])
def test_no_password_is_ever_in_a_message(conf: Path, key: str) -> None:
    head = "[mirror]\ndirectory = /srv/pypi\n" + ("" if key == "master" else HEAD.splitlines()[2] + "\n")
    for url in ("https://me:s3cret@index.example.org/?", "me:s3cret@index.example.org:x", "s3cret s3cret"):
        assert "s3cret" not in refusal(conf, head=f"{head}{key} = {url}\n")


@pytest.mark.parametrize("key", ["master", "download-mirror"])
def test_plain_http_needs_leave(conf: Path, key: str) -> None:
    head = (
        f"[mirror]\ndirectory = /srv/pypi\nmaster = https://index.example.org\n{key} = http://a.example.org\n"
    )
    head = head if key != "master" else head.replace("master = https://index.example.org\n", "")
    assert "allow-non-https" in refusal(conf, head=head)
    assert read(conf, "allow-non-https = true\n", head)


def test_the_index_of_pip_is_the_default_master(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://proxy.example.org/pypi")
    assert read(conf, head="[mirror]\ndirectory = /srv/pypi\n").master == "https://proxy.example.org/pypi/"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Size(0, 0)),
        ("1048576", Size(1048576, 0)),
        ("5 GiB", Size(5 * 2**30, 0)),
        ("5GiB", Size(5 * 2**30, 0)),
        ("1.5 tib", Size(3 * 2**39, 0)),
        ("500 MB", Size(500_000_000, 0)),
        ("2k", Size(2000, 0)),
        ("12 B", Size(12, 0)),
        ("5 %", Size(0, 5)),
        ("0.5%", Size(0, 0.5)),
    ],
)
def test_sizes(text: str, value: Size) -> None:
    assert size().read(text) == value


@pytest.mark.parametrize(
    "text", ["-1", "GiB", "5 XB", "5 GiB more", "100 %", "inf", "nan", "1e3", "٣", "5 i"]
)
def test_what_is_no_size(conf: Path, text: str) -> None:
    assert refusal(conf, f"min-free = {text}").startswith(f"[mirror] min-free = {text} ")


def test_the_floor_is_bytes_or_a_share_of_the_volume(conf: Path) -> None:
    assert read(conf, "min-free = 1 GiB").floor(10**15) == 2**30
    assert read(conf, "min-free = 5 %").floor(1000) == 50
    assert read(conf).floor(1000) == 0


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("workers", ["0", "65", "-1", "3.5", "many", "1_0", "٣"]),
        ("timeout", ["0", "-1", "nan", "inf", "1h"]),
        ("global-timeout", ["0", "1e9"]),
        ("hash-index", ["perhaps", "2"]),
        ("simple-format", ["YAML"]),
        ("compare-method", ["size"]),
        ("max-removals", ["-1", "1%"]),
        ("max-removals-percent", ["101", "-1"]),
        ("recheck-days", ["0", "-1"]),
        ("contact", ["ä@example.org"]),
        ("log-config", ["logging.ini", "/a/../b"]),
        ("diff-file", ["changes"]),
        ("digest_name", ["md5"]),
        ("keep_index_versions", ["3"]),
        ("storage-backend", ["s3"]),
        ("proxy", ["socks5://proxy.example.org", "https://proxy.example.org", "http://", "nonsense", "a:b"]),
    ],
)
def test_a_value_that_cannot_be_is_named(conf: Path, key: str, values: list[str]) -> None:
    for value in values:
        message = refusal(conf, f"{key} = {value}")
        assert message.startswith(f"[mirror] {key}")


def test_a_proxy_needs_no_scheme(conf: Path) -> None:
    assert read(conf, "proxy = proxy.example.org:3128").proxy == "http://proxy.example.org:3128/"


def test_refusals_say_why(conf: Path) -> None:
    assert "would link files that are gone" in refusal(conf, "keep_index_versions = 1")
    assert "can be forged" in refusal(conf, "digest_name = md5")


@pytest.mark.parametrize("directory", ["srv/pypi", "~/pypi", "/", "/srv/../etc"])
def test_a_directory_that_cannot_be(conf: Path, directory: str) -> None:
    message = refusal(conf, head=f"[mirror]\nmaster = https://index.example.org\ndirectory = {directory}\n")
    assert message.startswith("[mirror] directory")


@pytest.mark.parametrize(
    "head", ["", "[mirror]\n", "[mirror]\ndirectory =\n", "[Mirror]\ndirectory = /srv/x\n"]
)
def test_a_missing_directory(conf: Path, head: str) -> None:
    assert refusal(conf, head=head).startswith("[mirror] directory is not set")


def test_a_directory_that_does_not_exist_is_fine(conf: Path, tmp_path: Path) -> None:
    head = f"[mirror]\ndirectory = {tmp_path}/new\nmaster = https://index.example.org\n"
    assert read(conf, head=head).directory == tmp_path / "new"


def test_a_log_config_must_be_there(conf: Path, tmp_path: Path) -> None:
    assert "log-config" in refusal(conf, f"log-config = {tmp_path}/missing")
    (tmp_path / "log.ini").touch()
    assert read(conf, f"log-config = {tmp_path}/log.ini").log_config == tmp_path / "log.ini"


def test_the_diff_file_may_name_the_directory_as_bandersnatch_does(conf: Path) -> None:
    config = read(conf, "diff-file = {{mirror_directory}}/changes")
    assert config.diff_file == Path("/srv/pypi/changes")


def test_statistics(conf: Path) -> None:
    more = "[statistics]\naccess-log-pattern = /var/log/nginx/access.log*\n"
    assert read(conf, more).access_log_pattern == "/var/log/nginx/access.log*"
    assert not read(conf, more).fold_user_agents
    assert read(conf, more + "fold-user-agents = yes\n").fold_user_agents
    assert "absolute" in refusal(conf, "[statistics]\naccess-log-pattern = access.log*\n")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("directory = /srv\n", "line 1"),
        ("[mirror]\nworkers = 1\nworkers = 2\n", "line 3: [mirror] workers stands there twice: keep one"),
        ("[mirror]\nhash-index = 1\nhash_index = 0\n", "line 3: [mirror] hash-index"),
        ("[mirror]\n[mirror]\n", "line 2: [mirror]"),
        ("[mirror]\nworkers\n", "line 2"),
        ("[mirror\n", "line 1"),
    ],
)
def test_a_file_that_cannot_be_parsed_names_the_line(conf: Path, text: str, named: str) -> None:
    assert refusal(conf, head=text).startswith(named)


def test_no_line_of_the_file_is_quoted_where_it_cannot_be_parsed(conf: Path) -> None:
    assert "s3cret" not in refusal(conf, head="proxy = http://me:s3cret@proxy.example.org\n")
    assert "s3cret" not in refusal(conf, head="[mirror]\nhttp://me:s3cret@proxy.example.org\n")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[mirror]\n# caf\xe9\n", "line 2 is not UTF-8"),
        ("[mirror]\n".encode("utf-16"), "not UTF-8"),
        (b"\xef\xbb\xbf[mirror]\n", "byte order mark"),
    ],
)
def test_a_file_in_another_encoding(conf: Path, raw: bytes, said: str) -> None:
    conf.write_bytes(raw)
    with pytest.raises(ConfigError, match=said):
        load(conf)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.conf: does not exist"):
        load(tmp_path / "missing.conf")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory; name a file"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"), [("whitelist", "allowlist"), ("blacklist", "blocklist"), ("denylist", "blocklist")]
)
def test_a_list_under_its_old_name_does_not_silently_mirror_everything(
    conf: Path, old: str, new: str
) -> None:
    with pytest.raises(ConfigError, match=rf"\[{old}\] is called \[{new}\] now: rename it"):
        read(conf, f"[{old}]\npackages = six\n")


def test_unknown_keys_and_sections_are_warned_of(conf: Path) -> None:
    config = read(conf, "worker = 2\nzzz = 1\n[allow_list]\npackages = six\n[DEFAULT]\nworkers = 9\n")
    assert config.workers == 3
    assert config.warnings == (
        "[mirror] worker is not a key of ours and has no effect; did you mean workers?",
        "[mirror] zzz is not a key of ours and has no effect",
        "[allow_list] is not a section of ours and has no effect; did you mean [allowlist]?",
        "[DEFAULT] is not a section of ours and has no effect",
    )


@pytest.mark.parametrize(
    "more",
    [
        "cleanup = true",
        "verifiers = 3",
        "download-mirror-no-fallback = true",
        "diff-append-epoch = true",
    ],
)
def test_what_has_no_effect_is_warned_of(conf: Path, more: str) -> None:
    (warning,) = read(conf, more).warnings
    assert more.partition(" ")[0] in warning


def test_a_password_that_everybody_can_read_is_warned_of(conf: Path) -> None:
    conf.touch(0o644)
    (warning,) = read(conf, "proxy = http://me:s3cret@proxy.example.org").warnings
    assert "chmod" in warning
    assert "s3cret" not in warning
    conf.chmod(0o640)
    assert load(conf).warnings == ()


def test_the_page_fingerprint_follows_what_pages_are_made_of(conf: Path) -> None:
    base = read(conf).page_fingerprint
    assert read(conf).page_fingerprint == base
    changes = (
        "hash-index = true",
        "json = true",
        "core-metadata = false",
        "root_uri = https://files.example.org",
        "simple-format = HTML",
        "[plugins]\nenabled = prerelease_release",
    )
    prints = {read(conf, change).page_fingerprint for change in changes}
    assert base not in prints
    assert len(prints) == len(changes)


@pytest.mark.parametrize(
    "more",
    ["workers = 9", "timeout = 5", "[plugins]\nenabled = allowlist_project\n[allowlist]\npackages = six"],
)
def test_the_page_fingerprint_leaves_other_things_alone(conf: Path, more: str) -> None:
    assert read(conf, more).page_fingerprint == read(conf).page_fingerprint


def test_the_default_file_is_right_and_has_every_key(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example.org/simple/")
    config = read(conf, head=default_text())
    assert config.warnings == ()
    assert config._replace(contact="", public_url="") == Config(
        Path("/srv/pypi"), "https://index.example.org/simple/"
    )
    for key in KEYS:
        if not key.ignored and key.name != "directory":
            assert f"\n; {key.name} = {key.default}".rstrip() + "\n" in default_text()
    assert all(f"\n[{section}]\n" in default_text() for section in SECTIONS)


def test_the_default_file_with_every_comment_taken_off_is_right(conf: Path) -> None:
    """So that nobody has to guess what a key's line looks like."""
    lines = [line.removeprefix("; ") for line in default_text().splitlines()]
    lines = [HEAD.splitlines()[2] if line.startswith("master =") else line for line in lines]
    assert read(conf, head="\n".join(lines))._replace(warnings=()) == read(conf)


def test_the_page_in_the_docs_is_that_of_the_table() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "config-docs"))["page"]()
    assert (ROOT / "docs" / "config.md").read_text("utf-8") == page, "run scripts/config-docs"
