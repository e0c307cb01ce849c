"""Whether machines share the storage: a file that the driver writes has to be there for each of them, and to answer.

The recordings of this machine are looked for as well: a folder that is mounted on one machine alone is the commonest
mistake.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import final

from asr.errors import StorageError
from asr.files import write_atomically


@final
@dataclass(frozen=True, slots=True)
class Probe:
    """A file with a secret in the output folder, and the paths that a job reads.

    Attributes:
        folder: The output folder.
        token: The secret.
        working_folder: The folder that relative paths start from.
        reads: Files and folders that have to be there.
    """

    folder: Path
    token: str
    working_folder: str
    reads: tuple[str, ...] = ()

    @classmethod
    def place(cls, folder: Path, reads: tuple[str, ...]) -> "Probe":
        """Write the file.

        Args:
            folder: The output folder, which is made.
            reads: Paths that a job reads, those that are there.

        Returns:
            What tells other machines what to look for.
        """
        probe = cls(folder, token_hex(16), os.getcwd(), tuple(filter(os.path.exists, reads)))
        write_atomically(probe._path, probe.token)
        return probe

    def remove(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)

    def enter(self) -> None:
        """Go to the folder that relative paths start from, if this machine has it."""
        with suppress(OSError):
            os.chdir(self.working_folder)

    def require_shared(self) -> None:
        """Look for the file and the paths, from whichever machine this is.

        Raises:
            StorageError: If one is not there, which is named with the remedy.
        """
        hint = "every machine has to see the same files under the same paths"
        try:
            found = self._path.read_text(encoding="utf-8")
        except OSError as error:
            raise StorageError(f"the output folder {self.folder} is not shared ({error.strerror}); {hint}") from error
        if found != self.token:
            raise StorageError(f"the output folder {self.folder} is another one there; {hint}")
        for path in self.reads:
            if not os.path.exists(path):
                raise StorageError(f"{path} is not there; {hint}")

    def require_writable(self) -> None:
        """Write a file into the output folder.

        Raises:
            StorageError: If that fails.
        """
        try:
            path = self.folder / f".asr-probe-{token_hex(8)}"
            write_atomically(path, self.token)
            path.unlink()
        except OSError as error:
            raise StorageError(f"the output folder {self.folder} cannot be written to ({error.strerror})") from error

    @property
    def _path(self) -> Path:
        """The file; where the output folder is a relative path, workers have gone to the folder that it starts from."""
        return self.folder / f".asr-probe-{self.token[:16]}"
