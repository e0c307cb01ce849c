"""The files of results: a folder with a file for each recording and format, and a summary of what became of each.

`ResultFiles` names and writes them, and tells each outcome to whoever keeps the account of it before the files take
their names; `ResultFolder` keeps that account in `summary.jsonl`.
"""

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, final

from asr.batch.inputs import STDIN, Input
from asr.batch.summary import SUMMARY_FILE, Outcome, Summary
from asr.errors import ASRError
from asr.files import read_identities, refuse_input, replace_atomically, undisturbed
from asr.remote import is_url
from asr.transcript import Transcript
from asr.writers import WRITERS, WriterOptions

if TYPE_CHECKING:
    from asr.recognition.results import Result

# Of one file alone, while others can be written.
_ERRORS_OF_NAMES = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY}


class Results(Protocol):
    """Takes the transcripts of recordings, one after the other."""

    def write(self, item: Input, transcript: Transcript, damage: ASRError | None = None) -> Outcome:
        """Write the transcript of a recording, and return what became of it.

        Args:
            item: The recording.
            transcript: What was said.
            damage: Why that ends before the recording does; `None` if it does not.
        """


@final
@dataclass(frozen=True, slots=True)
class ResultFiles:
    """The files of recordings in a folder, each whole or not there.

    Attributes:
        folder: Made when it is needed.
        formats: Keys of `WRITERS`, which are also the extensions of the files.
        options: How to write; each recording is named by its stem.
    """

    folder: Path
    formats: tuple[str, ...]
    options: WriterOptions = field(default_factory=WriterOptions)

    def paths(self, item: Input) -> tuple[Path, ...]:
        """Name the files of a recording, one for each format."""
        return tuple(self.folder / f"{item.stem}.{format_name}" for format_name in self.formats)

    def hold(self, item: Input) -> bool:
        """Tell whether every file of a recording exists."""
        return all(map(os.path.isfile, self.paths(item)))

    def write(
        self,
        item: Input,
        transcript: Transcript,
        record: Callable[[Outcome], None],
        *,
        contents: Mapping[str, str] | None = None,
        damage: ASRError | None = None,
    ) -> Outcome:
        """Write the files of a recording.

        Args:
            item: The recording.
            transcript: What was said.
            record: Takes the outcome, before the files take their names.
            contents: Contents by format, for those that are not written as `WRITERS` does.
            damage: Why the transcript ends before the recording does; `None` if it does not.

        Returns:
            The outcome.

        Raises:
            ASRError: If the name of a file is one that the folder cannot take.
            OSError: If nothing can be written there, as on a full disk.
        """
        given = contents or {}
        paths = self.paths(item)
        written = [given.get(name) or render(name, item, transcript, self.options) for name in self.formats]
        outcome = Outcome.of_transcript(item.name, transcript, paths, damage)
        try:
            with undisturbed(), ExitStack() as stack:  # or the account may name files that are not there
                for path, content in zip(paths, written, strict=True):
                    partial = stack.enter_context(replace_atomically(path))
                    partial.write_bytes(content.encode(errors="backslashreplace"))
                record(outcome)
        except OSError as error:
            if error.errno not in _ERRORS_OF_NAMES:
                raise
            raise ASRError(f"{item.name}: the result cannot be written: {error}") from error
        except ValueError as error:  # the name cannot be one of a file
            raise ASRError(f"{item.name}: the result cannot be written: {error}") from error
        return outcome


@final
class ResultFolder:
    """A folder with the files of recordings, and `summary.jsonl`."""

    def __init__(
        self, folder: Path, formats: Sequence[str], options: WriterOptions, *, overwrite: bool = False
    ) -> None:
        """Keep where and what to write.

        Args:
            folder: Made when it is needed.
            formats: Keys of `WRITERS`, which are also the extensions of the files; one named twice counts once.
            options: How to write; each recording is named by its stem.
            overwrite: Whether files that this package did not write may be replaced.

        Raises:
            ASRError: If a foreign `summary.jsonl` stands there.
        """
        self.summary = Summary(folder, overwrite=overwrite)
        self.files = ResultFiles(folder, tuple(dict.fromkeys(formats)), options)
        self._overwrite = overwrite

    def find_finished(self, items: Sequence[Input]) -> dict[Input, Outcome]:
        """List the recordings whose files all exist, with the outcome `skipped`.

        Args:
            items: The recordings.

        Returns:
            Those, without any for which a file holds the result of another recording that is still there.
        """
        finished = [item for item in items if self.files.hold(item) and not self._is_taken(item)]
        return {item: self.summary.describe_skipped(item.name, self.files.paths(item)) for item in finished}

    def require_writable(self, items: Sequence[Input], reads: Sequence[Path | str | None]) -> None:
        """Refuse, before the work, to destroy what this package did not write for the same recordings.

        Args:
            items: The recordings whose files will be written.
            reads: The files that the verb reads beside them, and folders whose files it reads.

        Raises:
            ASRError: If a file to write is one that is read, or holds anything else; the first one is named.
            PermissionError: If nothing can be written there.
        """
        place = next(each for each in (self.files.folder, *self.files.folder.absolute().parents) if each.exists())
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
        inputs = read_identities([*reads, *(item.path for item in items)])
        refuse_input(self.files.folder / SUMMARY_FILE, inputs)
        refused = [
            refusal
            for item in items
            for path in self.files.paths(item)
            if (refusal := self._refusal(item, path, inputs))
        ]
        if refused:
            more = f" (and {len(refused) - 1} more files)" if len(refused) > 1 else ""
            raise ASRError(f"{refused[0]}{more}; name another --output-dir, or give --overwrite")

    def _refusal(self, item: Input, path: Path, inputs: frozenset[tuple[int, int]]) -> str | None:
        """Say why a file may not be replaced."""
        refuse_input(path, inputs)
        if self._overwrite or not os.path.isfile(path):
            return None
        owner = self.summary.find_owner(path)
        if owner is None:
            return f"{path}: exists, and asr did not write it"
        if not _is_same(owner, item.name):
            return (
                f"{path}: holds the result of another recording, {'from standard input' if owner == STDIN else owner}"
            )
        return None

    def _is_taken(self, item: Input) -> bool:
        """Tell whether a file of a recording holds the result of another; one that is gone may have been moved."""
        owners = (self.summary.find_owner(path) for path in self.files.paths(item))
        return any(
            owner is not None
            and not _is_same(owner, item.name)
            and (owner == STDIN or is_url(owner) or os.path.exists(owner))
            for owner in owners
        )

    def write(
        self,
        item: Input,
        transcript: Transcript,
        damage: ASRError | None = None,
        *,
        contents: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Write the files of a recording, as `ResultFiles.write` does; its outcome is also in the summary."""
        return self.files.write(item, transcript, self.summary.add, contents=contents, damage=damage)


def settle(results: Results, item: Input, result: "Result") -> Outcome:
    """Write what was recognised.

    Args:
        results: Where it goes.
        item: The recording.
        result: What the recogniser made of it.

    Returns:
        What became of the recording; `failed` also where its name makes a file that cannot be written.
    """
    if result.transcript is None:
        return Outcome.of_error(item.name, result.error)
    try:
        return results.write(item, result.transcript, result.error)
    except ASRError as error:
        return Outcome(item.name, "failed", error=str(error))


def _is_same(first: str, second: str) -> bool:
    """Tell whether two names are those of one recording; what standard input gives is another each time."""
    if STDIN in (first, second):
        return False
    if first == second or os.path.realpath(first) == os.path.realpath(second):
        return True
    with suppress(OSError, ValueError):
        return os.path.samefile(first, second)
    return False


def render(format_name: str, item: Input, transcript: Transcript, options: WriterOptions) -> str:
    """Lay out the transcript of a recording.

    Args:
        format_name: A key of `WRITERS`.
        item: The recording; its stem names it inside the formats that have a name.
        transcript: What was said.
        options: How to write.

    Returns:
        The content of a file.
    """
    return WRITERS[format_name](transcript, replace(options, name=item.stem.as_posix()))
