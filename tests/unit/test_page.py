from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import html5lib
import pytest
from bandersnatch import page, status
from bandersnatch.history import Past, Record
from statuses import CONFIG, GOOD, NOW, after, days, made

HOSTILE = "<script>alert('x')</script><img src=x onerror=y>&\"'"
SUMMARY: dict[str, Any] = {
    "downloads": 15,
    "days": {
        "2026-11-27": {"downloads": 10, "complete": True},
        "2026-11-28": {"downloads": 5, "complete": False},
    },
    "recent": {
        "first": "2026-10-30",
        "last": "2026-11-28",
        "projects": {"numpy": 10, HOSTILE: 5},
        "pythons": {"3.12": 15},
        "installers": {"pip": 12, HOSTILE: 3},
        "systems": {},
    },
}
FAILED = GOOD._replace(
    exit_code=3,
    failed=12,
    added=11,
    names={"added": ("a", HOSTILE)},
    failures=(("b", HOSTILE),),
    error=HOSTILE,
)


def text_of(one: status.Status) -> str:
    return page.fill(page.frame(page.content(one)), one).decode()


def valid(text: str) -> Any:
    """Parse the HTML as the standard says; it has no error."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return parser.parse(text)


def said(text: str) -> str:
    """What a reader sees of it."""
    body = valid(text).find("body")
    return " ".join("".join(body.itertext()).split())


def full() -> status.Status:
    sizes = days(("2026-11-08", 1 << 30), ("2026-11-28", 21 << 30))
    return made(after(FAILED, GOOD, interval=120.0, days=sizes), downloads=SUMMARY)


@pytest.mark.parametrize(
    "one", [full(), made(Past()), made(after(Record(NOW - 5, NOW, exit_code=6, error="x")))]
)
def test_it_is_valid_html_without_script_or_anything_from_elsewhere(one: status.Status) -> None:
    text = text_of(one)
    tree = valid(text)
    assert "\x01" not in text, "something was not filled in"
    assert not [
        element for element in tree.iter() if element.tag in {"script", "img", "iframe", "object", "form"}
    ]
    for element in tree.iter():
        assert not [name for name in element.attrib if str(name).startswith("on")]
        for name in ("href", "src"):
            where = str(element.attrib.get(name, ""))
            assert "://" not in where or where.startswith("data:image/svg+xml"), where


def test_it_says_what_the_mirror_is_and_how_it_is_used() -> None:
    text = said(text_of(full()))
    assert "pip install --index-url https://pypi.example.net/simple/ requests" in text
    assert "uv pip install --default-index https://pypi.example.net/simple/ requests" in text
    assert "poetry source add --priority=primary mirror https://pypi.example.net/simple/" in text
    assert "pdm config pypi.url https://pypi.example.net/simple/" in text
    assert "trusted-host" not in text
    assert "A copy of https://index.example.org/simple/" in text


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("http://pypi.example.net/", "pypi.example.net"),
        ("http://pypi.example.net:8080/", "pypi.example.net:8080"),
        ("http://127.0.0.1:8080/", ""),
        ("http://localhost/", ""),
        ("https://pypi.example.net/", ""),
    ],
)
def test_plain_http_to_another_host_must_be_trusted(url: str, trusted: str) -> None:
    one = status.build(CONFIG._replace(public_url=url), after(GOOD), NOW)
    text = said(text_of(one))
    assert ("--trusted-host" in text) is bool(trusted)
    if trusted:
        assert f"--trusted-host {trusted} requests" in text


def test_it_says_how_fresh_and_how_big() -> None:
    text = said(text_of(full()))
    assert "It was last in step with it on 28 Nov 2026, 00:58 UTC" in text
    assert "Next one due01:00 UTC28 Nov 2026" in text
    assert "later than 29 Nov 2026, 00:58 UTC" in text
    assert "Full in 10 days at the present growth of 1.0 GiB a day" in text
    assert '<time datetime="2026-11-28T00:58:30Z">' in text_of(full())


def test_it_says_what_happened() -> None:
    text = said(text_of(full()))
    assert "11 projects added" in text
    assert f"added: a, {HOSTILE} and 9 more" in text
    assert f"b: {HOSTILE}" in text
    assert "and 11 more" in text


def test_a_run_that_failed_last_is_told_at_the_top() -> None:
    bad = Record(NOW - 60, NOW - 50, exit_code=6, error=HOSTILE, repeated=4, first_started=NOW - 999)
    text = said(text_of(made(after(GOOD, bad))))
    assert "The last run, on 28 Nov 2026, 00:59 UTC, did not get through: upstream did not answer" in text
    assert "5 times in a row since 28 Nov 2026, 00:43 UTC" in text
    assert "did not get through" not in said(text_of(full()))


def test_hostile_text_is_text() -> None:
    text = text_of(full())
    assert "<script" not in text
    assert "<img" not in text
    assert HOSTILE in said(text)


def test_before_the_first_run_and_without_statistics_it_says_so() -> None:
    empty = said(text_of(made(Past())))
    assert "Its first synchronisation has not come to a good end yet" in empty
    assert "No downloads have been counted yet" in empty
    off = status.build(CONFIG._replace(access_log_pattern=None), after(GOOD), NOW)
    assert "Downloads are not counted on this mirror" in said(text_of(off))
    assert "<svg" not in text_of(off)


def test_each_plot_has_a_name_and_a_table() -> None:
    tree = valid(text_of(full()))
    figures = list(tree.iter("figure"))
    assert len(figures) == 5
    for figure in figures:
        (drawing,) = [
            svg for svg in figure.iter() if str(svg.tag).endswith("svg") and svg.get("role") == "img"
        ]
        assert len(drawing.get("aria-label")) > 20
        assert len(list(figure.iter("tr"))) >= 2


def test_the_frame_is_the_same_after_a_run_without_change() -> None:
    one = full()
    later = GOOD._replace(started=NOW + 60, ended=NOW + 61)
    past = one.past._replace(last=later, good=later, size=one.past.size._replace(free=1))
    two = one._replace(now=NOW + 61, past=past)
    assert page.key(page.content(one)) == page.key(page.content(two))
    frame = page.frame(page.content(one))
    assert "01:01" in page.fill(frame, two).decode()
    assert page.fill(frame, two).decode() == text_of(two)
    grown = two._replace(past=past._replace(size=past.size._replace(files=999)))
    assert page.key(page.content(grown)) != page.key(page.content(one))


def test_it_is_known_as_ours_by_its_head() -> None:
    assert page.GENERATOR.encode() in page.fill(page.frame(page.content(full())), full())[:1000]


def test_no_password_is_in_it() -> None:
    assert "secret" not in text_of(full())


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r'<a href="([^"]*)"', text_of(full()))
    assert links == ["simple/", "status.json", "metrics", "healthz", "local-stats/days/"]
    assert not [link for link in links if Path(link).is_absolute()], "the mirror may lie below a path"
