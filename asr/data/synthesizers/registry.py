"""The synthesisers that there are, by name."""

from collections.abc import Mapping

from asr.data.synthesizers.base import Synthesizer
from asr.data.synthesizers.programs import Espeak, Festival, Flite

SYNTHESIZERS: Mapping[str, Synthesizer] = {"flite": Flite(), "festival": Festival(), "espeak-ng": Espeak()}
