"""Files behind a URL, such as `s3://bucket/talk.wav`, through fsspec: which there are, how long they are, their bytes.

What the scheme needs beside fsspec (s3fs for `s3`, gcsfs for `gs`, aiohttp for `https`) is loaded when a URL asks for
it; credentials are those that these packages find.
"""

import logging
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from asr.errors import ASRError, AudioError, MissingExtraError, RemoteError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters or more: one is a drive of Windows
_MAGIC = re.compile(r"[*?\[]")
_WEB = ("http://", "https://")
# Statuses of a web server.
_GONE = (404, 410)
_REFUSED = (401, 403, 407)

logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it writes a traceback beside each error that it raises


def is_url(path: object) -> bool:
    """Tell whether something is a URL and no path."""
    return isinstance(path, str) and _SCHEME.match(path) is not None


def has_magic(url: str) -> bool:
    """Tell whether a URL is a pattern; the query of a web address is none."""
    return not url.startswith(_WEB) and _MAGIC.search(url) is not None


def url_path(url: str) -> str:
    """Return the path in a URL, the name of the bucket or host in front: `bucket/calls/talk.wav`."""
    if not url.startswith(_WEB):
        return url.partition("://")[2].strip("/")  # a key of a bucket may hold any character
    parts = urlsplit(url)
    return f"{parts.netloc}{unquote(parts.path)}".strip("/")


def list_files(url: str) -> list[str]:
    """List the files of a folder with its subfolders, or those that a pattern stands for.

    Args:
        url: A folder, a pattern such as `s3://calls/**/*.wav`, or a file.

    Returns:
        The URLs of the files, sorted; the URL itself where it is no folder.

    Raises:
        RemoteError: If the place cannot be reached.
        AudioError: If the scheme is not known, or there is no such bucket.
        MissingExtraError: If the scheme needs a package that is not installed.
    """
    if not url_path(url):
        raise AudioError(f"{url}: names no bucket or host; give a URL such as s3://bucket/calls")
    with _translated(url):
        system, path = _resolve(url)
        if has_magic(url):
            found = [name for name, info in system.glob(path, detail=True).items() if info["type"] == "file"]
        elif system.isdir(path):
            found = system.find(path)
        elif "/" in path.strip("/") or system.exists(path):
            return [url]
        else:
            raise AudioError(f"{url}: there is no bucket of this name; check the name and the credentials")
        return sorted(map(system.unstrip_protocol, found))


def measure_size(url: str) -> int:
    """Return how many bytes a file holds.

    Args:
        url: The file.

    Returns:
        Bytes; 0 where the server does not tell.

    Raises:
        ASRError: As for `open_url`.
    """
    with _translated(url):
        system, path = _resolve(url)
        return int(system.size(path) or 0)


@contextmanager
def open_url(url: str) -> Generator[IO[bytes]]:
    """Open a file for reading, from its start to its end.

    Args:
        url: The file.

    Yields:
        The file; what goes wrong while it is read is raised as here.

    Raises:
        RemoteError: If the place cannot be reached, or the connection breaks.
        AudioError: If there is no such file, or the scheme is not known.
        MissingExtraError: If the scheme needs a package that is not installed.
    """
    with _translated(url):
        system, path = _resolve(url)
        with system.open(path, "rb") as stream:
            yield stream


def read_ranges(ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
    """Read parts of files of one place, all requests at once.

    Args:
        ranges: The URL of each file, the first byte to read, and the one after the last; at least one.

    Returns:
        The bytes of each part, fewer where its file is shorter, more where the server knows whole files only.

    Raises:
        ASRError: As for `open_url`.
    """
    urls, firsts, ends = map(list, zip(*ranges, strict=True))
    with _translated(ranges[0][0]):
        system, _ = _resolve(ranges[0][0])
        return list(map(bytes, system.cat_ranges(urls, firsts, ends, on_error="raise")))


def _resolve(url: str) -> tuple[Any, str]:  # file systems of fsspec, which have no common type
    """Return the file system of a URL and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f'{url}: URLs need fsspec, which is not installed; run: pip install "asr[cluster]"'
        ) from error
    system, path = url_to_fs(url)
    return system, path


@contextmanager
def _translated(url: str) -> Generator[None]:
    """Turn what the packages behind fsspec raise, each its own errors, into those of this package."""
    try:
        yield
    except ASRError:
        raise
    except ImportError as error:
        raise MissingExtraError(f"{url}: {error}; install that package beside asr") from error
    except FileNotFoundError as error:
        # fsspec says so of every web address that it cannot open, whatever the reason was.
        status = getattr(error.__cause__, "status", None)
        if url.startswith(_WEB) and status not in _GONE and error.__cause__:
            remedy = "its server asks for credentials" if status in _REFUSED else "check the address"
            raise RemoteError(f"{url}: cannot be read: {error.__cause__}; {remedy}") from error
        raise AudioError(f"{url}: cannot be opened: No such file; give the URL of a recording") from error
    except ValueError as error:
        raise AudioError(f"{url}: cannot be opened: {error}; give a URL such as s3://bucket/talk.wav") from error
    except Exception as error:  # among them those of botocore and aiohttp, which have no common base
        raise RemoteError(
            f"{url}: cannot be read: {error}; check the address, the network and the credentials"
        ) from error
