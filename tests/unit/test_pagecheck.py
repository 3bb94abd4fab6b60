"""pagecheck.py: hashes, URLs, and files in each other's way."""

from __future__ import annotations

import pytest
from pages import HASH_PLACE, LINK, PLACE, SHA, SHA2, body, entry, only, parse, problem

# Hashes


@pytest.mark.parametrize(
    ("algorithm", "digits"),
    [
        ("sha256", 64),
        ("sha384", 96),
        ("sha512", 128),
        ("sha3_256", 64),
        ("sha3_384", 96),
        ("sha3_512", 128),
        ("blake2b", 128),
    ],
)
def test_each_strong_hash_is_enough_in_its_own_length(algorithm: str, digits: int) -> None:
    digest = ("Ab" * 64)[:digits]
    file = only(hashes={"md5": "00" * 16, algorithm: digest})
    assert file.digest == f"{algorithm}:{digest.lower()}"
    assert file.hashes == {"md5": "00" * 16, algorithm: digest.lower()}
    for wrong in (digest[:-2], digest + "00", digest[:-1] + "g", ""):
        assert "no hash" in problem(entry(hashes={algorithm: wrong}))


@pytest.mark.parametrize(
    "hashes",
    [
        {},
        None,
        [],
        "sha256",
        {"md5": "00" * 16},
        {"md5": "0" * 32, "sha1": "0" * 40},
        {"sha256": None},
        {"x": SHA},
    ],
)
def test_a_file_without_a_strong_hash_is_left_out(hashes: object) -> None:
    sentence = problem(entry(hashes=hashes))
    assert sentence.startswith("foo-1.0.zip: no hash")


def test_the_hash_may_be_in_the_link_as_in_html() -> None:
    file = only(url=f"{LINK}#egg=foo&sha256={SHA.upper()}", hashes={})
    assert (file.url, file.hashes, file.digest) == (LINK, {"sha256": SHA}, f"sha256:{SHA}")
    assert only(url=f"{LINK}#sha256={SHA}", hashes=None).digest == f"sha256:{SHA}"
    assert only(url=f"{LINK}#sha256={SHA2}", hashes={"sha256": SHA}).digest == f"sha256:{SHA}"
    weak = only(url=f"{LINK}#sha256={SHA}", hashes={"md5": "00" * 16})
    assert weak.hashes == {"md5": "00" * 16, "sha256": SHA}
    assert "no hash" in problem(entry(url=f"{LINK}#md5={'00' * 16}", hashes={}))


def test_the_strongest_hash_is_linked_but_sha256_makes_the_path() -> None:
    hashes = {"sha256": SHA, "sha512": "ab" * 64}
    file = only(url="https://files.example.org/x/foo-1.0.zip", hashes=hashes)
    assert file.digest == f"sha512:{'ab' * 64}"
    assert file.path == f"{HASH_PLACE}/foo-1.0.zip"


def test_only_hashes_that_can_be_are_kept() -> None:
    hashes = {
        "sha256": SHA,
        "sha512": "ab",
        "md5": 5,
        "we ird": "00",
        "x" * 99: "00",
        "md99": "00",
        "sha1": "AB" * 20,
    }
    assert only(hashes=hashes).hashes == {"sha256": SHA, "sha1": "ab" * 20}


# URLs


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("foo-1.0.zip", "https://index.example.org/simple/foo/foo-1.0.zip"),
        ("./foo-1.0.zip", "https://index.example.org/simple/foo/foo-1.0.zip"),
        ("../../f/foo-1.0.zip#sha256=00", "https://index.example.org/f/foo-1.0.zip"),
        ("../.././f/foo-1.0.zip", "https://index.example.org/f/foo-1.0.zip"),
        ("../../../../f/foo-1.0.zip", "https://index.example.org/f/foo-1.0.zip"),
        ("/f/foo-1.0.zip", "https://index.example.org/f/foo-1.0.zip"),
        ("/a/../f/foo-1.0.zip", "https://index.example.org/f/foo-1.0.zip"),
        ("//files.example.org/foo-1.0.zip", "https://files.example.org/foo-1.0.zip"),
        ("http://files.example.org:8080/foo-1.0.zip", "http://files.example.org:8080/foo-1.0.zip"),
        ("HTTPS://Files.Example.ORG/foo-1.0.zip", "https://files.example.org/foo-1.0.zip"),
        (
            "https://files.example.org/foo-1.0.zip?a=b&c=d e#f",
            "https://files.example.org/foo-1.0.zip?a=b&c=d%20e",
        ),
        ("https://files.example.org/foo-1.0%2Blocal.zip", "https://files.example.org/foo-1.0%2Blocal.zip"),
        ("https://files.example.org/f ö/foo-1.0.zip", "https://files.example.org/f%20%C3%B6/foo-1.0.zip"),
        (" https://files.example.org/foo-1.0.zip ", "https://files.example.org/foo-1.0.zip"),
        ("https://bücher.example.org/foo-1.0.zip", "https://xn--bcher-kva.example.org/foo-1.0.zip"),
        ("http://[::1]:8080/foo-1.0.zip", "http://[::1]:8080/foo-1.0.zip"),
        ("https://me:pw@files.example.org/foo-1.0.zip", "https://me:pw@files.example.org/foo-1.0.zip"),
    ],
)
def test_links_become_absolute_and_encoded(link: str, url: str) -> None:
    assert only(url=link).url == url
    page = parse(body(entry("first.zip", url="https://files.example.org/x/first.zip"), entry(url=link)))
    assert page.files[1].url == url  # the same when something of it is known from an earlier link


@pytest.mark.parametrize(
    "link",
    [
        "file:///etc/passwd",
        "ftp://files.example.org/foo-1.0.zip",
        "javascript:alert(1)",
        "data:text/plain,x",
        "http:///foo-1.0.zip",
        "http://[::1/foo-1.0.zip",
        "http://[v1.x]/foo-1.0.zip",
        "https://files.example.org:99999/foo-1.0.zip",
        "https://files.example.org:port/foo-1.0.zip",
        "https://files example.org/foo-1.0.zip",
        'https://files".example.org/foo-1.0.zip',
        f"https://{'a' * 70}.example.org/foo-1.0.zip",
        "https://a..b/foo-1.0.zip",
        f"https://{'a.' * 150}example.org/foo-1.0.zip",
        "https://files.example.org/foo\n-1.0.zip",
        "https://files.example.org/foo\0-1.0.zip",
        "https://files.example.org/foo\ud800-1.0.zip",
    ],
)
def test_links_that_lead_nowhere_good_make_a_problem(link: str) -> None:
    for files in ([entry(url=link)], [entry(), entry("b.zip", url=link)]):
        sentence = problem(*files)
        assert "its URL" in sentence
        assert sentence.isprintable()


def test_a_percent_encoded_path_is_kept_decoded() -> None:
    filename = "föö-1.0+a b.zip"
    place = "https://files.example.org/p%61ckages/source/f/foo/f%C3%B6%C3%B6-1.0%2Ba%20b.zip"
    file = only(filename=filename, url=place)
    assert (file.url, file.path) == (place, f"packages/source/f/foo/{filename}")


def test_a_file_whose_url_ends_otherwise_lies_by_its_hash() -> None:
    assert only(url="https://files.example.org/download?id=5").path == f"{HASH_PLACE}/foo-1.0.zip"
    assert only(url=f"https://files.example.org/{PLACE}%2ffoo-1.0.zip").path == f"{PLACE}/foo-1.0.zip"


# Files in each other's way


@pytest.mark.parametrize("name", ["", "..", ".x", "-x", "a/b", "a\\b", "a\0", "a\ud800", "é" * 128])
def test_an_unsafe_file_name_is_a_problem(name: str) -> None:
    sentence = problem(entry(name, url=LINK))
    assert "its name" in sentence
    assert sentence.isprintable()


@pytest.mark.parametrize(
    "item",
    [
        None,
        5,
        "foo",
        [],
        {},
        {"filename": "foo.zip"},
        {"filename": 5, "url": LINK},
        entry(url=None),
        entry(**{"requires-python": 3}),
    ],
)
def test_an_entry_that_is_no_file_is_a_problem_and_the_others_stay(item: object) -> None:
    page = parse(body(item, entry("other.zip")))
    assert [file.filename for file in page.files] == ["other.zip"]
    assert len(page.problems) == 1


def test_a_file_listed_twice_is_kept_once() -> None:
    page = parse(body(entry(), entry(url="https://mirror.example.org/foo-1.0.zip")))
    assert [file.url for file in page.files] == [LINK]
    assert page.problems == ()


def test_a_file_listed_with_two_hashes_keeps_the_first() -> None:
    page = parse(body(entry(), entry(hashes={"sha256": SHA2})))
    assert [file.digest for file in page.files] == [f"sha256:{SHA}"]
    assert page.problems == ("foo-1.0.zip: it is listed twice with different hashes; the first is kept",)


def test_a_file_may_not_lie_where_the_metadata_of_another_does() -> None:
    wheel, squatter = entry("a.whl", **{"core-metadata": True}), entry("a.whl.metadata")
    page = parse(body(wheel, squatter))
    assert [file.filename for file in page.files] == ["a.whl"]
    assert page.problems == ("a.whl.metadata: it would lie where the metadata of a.whl lies",)
    page = parse(body(squatter, wheel))
    assert [file.filename for file in page.files] == ["a.whl.metadata"]
    assert page.problems == ("a.whl: its metadata would lie where the file a.whl.metadata lies",)


def test_a_file_called_metadata_is_fine_elsewhere() -> None:
    elsewhere = entry("a.whl.metadata", url="https://files.example.org/a.whl.metadata")
    assert len(parse(body(entry("a.whl", **{"core-metadata": True}), elsewhere)).files) == 2
    assert len(parse(body(entry("a.whl"), entry("a.whl.metadata"))).files) == 2


def test_a_name_too_long_for_its_metadata_is_served_without() -> None:
    page = parse(
        body(entry("a" * 250, **{"core-metadata": True}), entry("b" * 246, **{"core-metadata": True}))
    )
    assert [file.core_metadata for file in page.files] == [False, True]
    assert "longer than 255 bytes" in page.problems[0]


def test_problems_are_counted_when_there_are_many() -> None:
    page = parse(body(*[entry(f"{number}.zip", hashes={}) for number in range(150)]))
    assert len(page.problems) == 101
    assert page.problems[-1] == "and 50 more files are left out"


def test_lone_surrogates_become_replacement_characters() -> None:
    file = entry(
        yanked="a\ud800", **{"requires-python": "\udfff", "upload-time": "\ud800", "x": {"\ud800": 1}}
    )
    page = parse(
        body(file, versions=["1\ud800"], **{"project-status": {"status": "\ud800", "reason": "\udc00"}})
    )
    assert (page.versions, page.status, page.reason) == (("1\ufffd",), "\ufffd", "\ufffd")
    assert page.files[0].yanked == "a\ufffd"
    assert page.files[0].requires_python == page.files[0].upload_time == "\ufffd"
    assert "\ud83d\ude00" not in (parse(body(versions=["😀"])).versions or ())
    assert parse(body(versions=["😀"])).versions == ("😀",)
