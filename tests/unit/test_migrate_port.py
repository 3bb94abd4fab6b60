"""Old config files: what is carried over, what is not, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from bandersnatch.config import load
from bandersnatch.errors import ConfigError
from bandersnatch.port import Ported, port, variables

HERE = "/srv/pypi"


def ported(text: str, master: str = "https://pip.example.org/simple/") -> Ported:
    return port(f"[mirror]\ndirectory = {HERE}\n{text}", HERE, master)


def dropped(text: str) -> str:
    (sentence,) = ported(text).dropped
    return sentence


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        port(text, HERE)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_keys_of_version_1_and_8_are_carried_over() -> None:
    old = """
master = https://index.example.org
timeout = 15
global-timeout = 18000
workers = 5
hash-index = true
stop-on-error = false
delete-packages = false
json = true
release-files = true
root_uri = https://files.example.org
simple-format = ALL
compare-method = stat
download-mirror = https://near.example.org/
proxy = http://proxy.example.org:3128
diff-file = {{mirror_directory}}/mirrored-files
[statistics]
access-log-pattern = /var/log/nginx/*index.example.org*access*
[plugins]
enabled =
    allowlist_project
    latest_release
[allowlist]
packages =
    six
    requests >= 2.31
[latest_release]
keep = 3
"""
    new = ported(old)
    assert new.dropped == ()
    assert new.json is True
    for line in old.splitlines():
        assert line in new.text.splitlines(), line


def test_the_new_text_is_what_the_engine_reads(tmp_path: Path) -> None:
    conf = tmp_path / "bandersnatch.conf"
    conf.write_text(
        ported(
            "master = https://index.example.org\nworkers: 7\n[blacklist]\nplugins = all\npackages =\n six\n"
        ).text
    )
    config = load(conf)
    assert config.master == "https://index.example.org/simple/"
    assert config.workers == 7
    assert config.filters.allow_project("attrs")
    assert not config.filters.allow_project("six")
    assert config.warnings == ()


def test_it_is_read_as_the_old_program_did() -> None:
    """Later keys win, %% is %, %(name)s is another key, old lists of Python 2 had colons."""
    new = ported(
        "base = example.org\nworkers = 2\nworkers = 4\ntimeout: 20\n"
        "master = https://index.%(base)s/\nproxy = http://u:p%%40@proxy.example.org/\n"
    )
    assert new.values["mirror"] == {
        "directory": HERE,
        "workers": "4",
        "timeout": "20",
        "master": "https://index.example.org/",
        "proxy": "http://u:p%40@proxy.example.org/",
    }
    assert new.dropped == ("[mirror] base: there is no such key here",)


def test_a_wrong_interpolation_is_taken_as_it_stands() -> None:
    assert (
        ported("proxy = http://u:100%@proxy.example.org/\n")
        .values["mirror"]["proxy"]
        .startswith("http://u:100%@")
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("workers = 500", "[mirror] workers = 500: it is not a whole number from 1 to 64"),
        ("digest_name = md5", "[mirror] digest_name = md5: it can only be sha256: pages carry the hashes"),
        ("keep_index_versions = 3", "[mirror] keep_index_versions = 3: it can only be 0: an old page"),
        ("storage-backend = swift", "[mirror] storage-backend = swift: it can only be filesystem"),
        ("verifiers = 3", "[mirror] verifiers = 3: a full check uses as many processes"),
        ("cleanup = true", "[mirror] cleanup = true: pages under names that are not normalised"),
        ("api-method = xmlrpc", "[mirror] api_method: there is no such key here"),
        ("log-config = /nowhere/log.conf", "[mirror] log-config = /nowhere/log.conf: there is no such file"),
        ("[swift]\nhost = x", "[swift]: there is no such section here"),
        ("[plugins]\nenabled = my_filter", "[plugins] enabled, my_filter: there is no such filter here"),
        (
            "[plugins]\nenabled =\n  size_project_metadata",
            "[plugins] enabled, size_project_metadata: it reads",
        ),
        ("[size_project_metadata]\nmax_package_size = 1G", "[size_project_metadata]: it reads the JSON"),
    ],
)
def test_what_cannot_be_carried_over_is_left_out_and_the_comment_says_why(line: str, why: str) -> None:
    sentence = dropped(line)
    assert sentence.startswith(why)
    assert f"#   {sentence}" in ported(line).text.splitlines()


def test_settings_with_one_value_only_need_no_line() -> None:
    new = ported("digest_name = sha256\nkeep_index_versions = 0\nstorage-backend = filesystem\nroot_uri =\n")
    assert (new.dropped, new.values["mirror"]) == ((), {"directory": HERE})


@pytest.mark.parametrize(
    "master", ["https://index.example.org", "http://127.0.0.1:8080", "http://localhost/simple/"]
)
def test_a_master_that_makes_sense_is_kept(master: str) -> None:
    assert f"master = {master}" in ported(f"master = {master}").text.splitlines()


def test_plain_http_is_kept_only_where_it_was_allowed() -> None:
    new = ported("master = http://index.example.org")
    assert "master = https://pip.example.org/simple/" in new.text.splitlines()
    assert "plain http" in new.dropped[0]
    assert "index.example.org" not in new.text  # it may hold a password
    allowed = ported("master = http://index.example.org\nallow-non-https = yes")
    assert (allowed.dropped, allowed.values["mirror"]["master"]) == ((), "http://index.example.org")


@pytest.mark.parametrize("older", ["whitelist", "allowlist", "blacklist", "denylist", "blocklist"])
def test_lists_of_all_times_still_work(older: str) -> None:
    now = {"whitelist": "allowlist", "blacklist": "blocklist", "denylist": "blocklist"}.get(older, older)
    new = ported(f"[plugins]\nenabled = {older}_project\n[{older}]\npackages =\n  six\n")
    assert new.values["plugins"] == {"enabled": f"{now}_project"}
    assert new.values[now] == {"packages": "six"}


def test_a_list_that_worked_without_being_enabled_is_enabled() -> None:
    """bandersnatch 2 and 3: without `[blacklist] plugins` all filters worked."""
    new = ported("[whitelist]\npackages =\n  six\n[blacklist]\npackages =\n  attrs == 1.0\n")
    assert new.values["plugins"]["enabled"].split() == [
        "allowlist_project",
        "blocklist_project",
        "blocklist_release",
    ]


def test_nothing_is_widened_to_all_projects_in_silence() -> None:
    message = refused("[plugins]\nenabled = project_requirements\n[allowlist]\nrequirements_path = /r\n")
    assert "project_requirements" in message
    assert "[allowlist] packages" in message


def test_the_config_of_another_mirror_is_refused() -> None:
    message = refused("[mirror]\ndirectory = /data/pypi\n")
    assert "/data/pypi" in message
    assert HERE in message


def test_an_unreadable_config_is_refused_without_quoting_it() -> None:
    message = refused("master = https://user:secret@index.example.org\n[mirror]\n")
    assert "line 1" in message
    assert "secret" not in message


def test_a_mirror_without_a_config_gets_one() -> None:
    new = port(None, HERE, "https://pip.example.org/simple/")
    assert new.text.splitlines()[-3:] == [
        "[mirror]",
        f"directory = {HERE}",
        "master = https://pip.example.org/simple/",
    ]


def test_variables_say_the_same_but_for_passwords() -> None:
    new = ported(
        "master = https://index.example.org\nworkers = 4\ntimeout = 2.5\njson = true\n"
        "proxy = http://user:secret@proxy.example.org:3128\n"
        "[statistics]\naccess-log-pattern = /var/log/a*\n"
        "[plugins]\nenabled =\n  allowlist_project\n  latest_release\n"
        "[allowlist]\npackages =\n  six\n  attrs\n[latest_release]\nkeep = 2\n"
    )
    assert variables(new.values) == (
        {
            "bandersnatch_directory": HERE,
            "bandersnatch_volume_kind": "mount",
            "bandersnatch_config_master": "https://index.example.org",
            "bandersnatch_config_workers": 4,
            "bandersnatch_config_timeout": "2.5",
            "bandersnatch_config_json": True,
            "bandersnatch_config_access_log_pattern": "/var/log/a*",
            "bandersnatch_config_plugins": ["allowlist_project", "latest_release"],
            "bandersnatch_config_filters": {
                "allowlist": {"packages": ["six", "attrs"]},
                "latest_release": {"keep": "2"},
            },
        },
        ["bandersnatch_config_proxy"],
    )
    assert "proxy = http://user:secret@proxy.example.org:3128" in new.text


def test_an_index_that_the_old_config_did_not_name_is_no_variable() -> None:
    assert "bandersnatch_config_master" not in variables(ported("").values)[0]


def test_porting_twice_changes_nothing() -> None:
    once = ported("workers = 4\n[plugins]\nenabled = all\n[whitelist]\npackages =\n  six\n  attrs\n").text
    assert port(once, HERE).text == once
