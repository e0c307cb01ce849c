"""The synthesisers that there are, by name."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from asr.data.synthesizers.base import Synthesizer
from asr.data.synthesizers.kokoro import Kokoro
from asr.data.synthesizers.piper import Piper
from asr.data.synthesizers.programs import Espeak, Festival, Flite
from asr.errors import MissingExtraError

SYNTHESIZERS: Mapping[str, Synthesizer] = {"flite": Flite(), "festival": Festival(), "espeak-ng": Espeak()}
NETWORKS: Mapping[str, Callable[[Path], Synthesizer]] = {"kokoro": Kokoro, "piper": Piper}


def open_synthesizers(names: Sequence[str] | None, files: Mapping[str, Path | None]) -> dict[str, Synthesizer]:
    """Open synthesisers.

    Args:
        names: Keys of `SYNTHESIZERS` and `NETWORKS`; if not given, the networks that there are files for, which sound
            natural, and without any all programs.
        files: The files of networks, by their names.

    Returns:
        The synthesisers, by name.

    Raises:
        MissingExtraError: If a network is named without its files.
    """
    given = {name: NETWORKS[name](path) for name, path in files.items() if path is not None}
    if names is None:
        return given or dict(SYNTHESIZERS)
    for name in names:
        if name in NETWORKS and name not in given:
            raise MissingExtraError(f"{name} needs files of your own; name them by --{name}")
    known = {**SYNTHESIZERS, **given}
    return {name: known[name] for name in names}
