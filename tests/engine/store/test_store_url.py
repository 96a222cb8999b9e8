"""URLs without their secrets, and data in a file system of fsspec's own."""

from pathlib import Path

import pytest

from treadle.domain.location import Location
from treadle.domain.spec import DataSource
from treadle.errors import InputError
from treadle.store import open_store
from treadle.store.remote import Remote
from treadle.store.url import file_name, shown, without_secrets

WHERE = Location("p.yaml", 1, 1)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://example.org/a.csv", "https://example.org/a.csv"),
        ("https://ada:pw@example.org:81/a.csv", "https://example.org:81/a.csv"),
        ("https://e.org/a?token=x1&part=2", "https://e.org/a?token=…&part=2"),
        ("https://b.s3.amazonaws.com/k?X-Amz-Signature=ab&X-Amz-Credential=c", None),
        ("https://h/a?sv=2020&sig=abc&se=9", "https://h/a?sv=…&sig=…&se=…"),
        ("filecache::https://ada:pw@e.org/a", "filecache::https://e.org/a"),
        ("s3://city/zones.csv", "s3://city/zones.csv"),
    ],
)
def test_a_url_as_it_is_shown(url: str, text: str | None) -> None:
    assert shown(url) == (text or "https://b.s3.amazonaws.com/k?X-Amz-Signature=…&X-Amz-Credential=…")


def test_messages_of_libraries_lose_the_secrets() -> None:
    url = "https://ada:geheim@e.org/a?key=verborgen"
    told = f"cannot connect to {url}: user ada, password geheim, https://bob:other@proxy/ said verborgen"
    clean = without_secrets(told, url)
    assert not {"geheim", "verborgen", "other"} & set(clean.replace("@", " ").replace(":", " ").split())
    assert "e.org/a" in clean


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://e.org/data/zones.csv?x=/../y", "zones.csv"),
        ("https://e.org/", "data"),
        ("https://e.org/a/..", "data"),
        ("s3://b/k%20x y.csv", "k_20x_y.csv"),
        ("filecache::s3://b/z.parquet", "z.parquet"),
        ("https://e.org/.hidden", "hidden"),
    ],
)
def test_a_safe_name_with_the_suffix(url: str, name: str) -> None:
    assert file_name(url) == name


def test_memory(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    system.pipe("/city/zones.csv", b"a\n")
    store = open_store(tmp_path)
    remote = Remote(store.folder, store.objects, store.memo, store.files)
    source = DataSource("zones", "url", "memory://city/zones.csv", WHERE)
    first = remote.data(source)
    again = remote.fetch(source, first)
    assert again.digest == first.digest
    assert Path(again.paths[0]).read_bytes() == b"a\n"
    assert not store.files.changed(again)
    system.pipe("/city/zones.csv", b"b\n")
    assert remote.data(source).digest != first.digest
    system.pipe("/city/zones.csv", b"a\n")
    assert remote.data(source).digest == first.digest
    system.rm("/city/zones.csv")
    with pytest.raises(InputError, match="there is nothing at memory://city"):
        remote.data(source)
