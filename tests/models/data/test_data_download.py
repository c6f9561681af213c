"""Downloads, from a server on this machine."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.data.cifar import CIFAR10
from models.data.download import SOURCES, DownloadError, RemoteFile, download


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """An address, and the folder behind it."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", folder
    server.shutdown()
    server.server_close()
    thread.join()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def tar(contents: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def test_plain_files_are_fetched_once(site: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = site
    (folder / "a.gz").write_bytes(b"one")
    (folder / "b.gz").write_bytes(b"two")
    source = RemoteFile(address, {"a.gz": md5(b"one"), "b.gz": md5(b"two")}, "MNIST/raw")
    cache = tmp_path / "cache"
    assert download(source, cache) == cache
    assert (cache / "MNIST/raw/a.gz").read_bytes() == b"one"
    (folder / "a.gz").unlink()
    (folder / "b.gz").unlink()
    assert download(source, cache) == cache  # nothing left to fetch it from


def test_only_the_members_are_unpacked_and_none_is_left_half(site: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = site
    archive = tar({"set/one": b"1", "set/two": b"22", "set/readme.html": b"no", "../outside": b"no"})
    (folder / "set.tar.gz").write_bytes(archive)
    source = RemoteFile(address, {"set.tar.gz": md5(archive)}, "set", ("one", "two"))
    cache = tmp_path / "cache"
    download(source, cache)
    assert {path.name: path.read_bytes() for path in (cache / "set").iterdir()} == {"one": b"1", "two": b"22"}
    assert not (tmp_path / "outside").exists()
    (cache / "set/two").unlink()
    download(source, cache)
    assert (cache / "set/two").read_bytes() == b"22"
    (folder / "set.tar.gz").unlink()
    (cache / "set.tar.gz").unlink()
    download(source, cache)  # the unpacked files are enough


def test_a_wrong_checksum_is_refused(site: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = site
    (folder / "a.gz").write_bytes(b"something else")
    with pytest.raises(DownloadError, match=rf"could not download {address}a\.gz: .*{md5(b'one')}.*--data-dir"):
        download(RemoteFile(address, {"a.gz": md5(b"one")}, "raw"), tmp_path / "cache")
    assert list((tmp_path / "cache/raw").iterdir()) == []


def test_a_missing_file_names_its_address(site: tuple[str, Path], tmp_path: Path) -> None:
    address, _ = site
    with pytest.raises(DownloadError, match=rf"could not download {address}a\.gz: .*404.*--data-dir"):
        download(RemoteFile(address, {"a.gz": md5(b"one")}, "raw"), tmp_path / "cache")


def test_no_network_names_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as unheard:  # bound and not listening: the port refuses connections, and nobody else gets it
        unheard.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unheard.getsockname()[1]}/"
        with pytest.raises(DownloadError, match=rf"could not download {address}a\.gz: .*--data-dir"):
            download(RemoteFile(address, {"a.gz": md5(b"one")}, "raw"), tmp_path / "cache")


def test_the_sources_are_the_official_ones() -> None:
    assert SOURCES.keys() == {"mnist", "cifar10", "cifar100"}
    assert SOURCES["cifar10"].members == (*CIFAR10.train, CIFAR10.test)
    for source in SOURCES.values():
        assert source.base.startswith("https://")
        assert all(len(digest) == 32 for digest in source.md5.values())
