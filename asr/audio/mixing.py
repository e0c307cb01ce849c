"""Channels to one: the mean of all, or one of them; or a loud one, where the mean would cancel what is said."""

import math
from collections.abc import Iterator
from typing import final

import numpy as np

from asr.audio.recording import Waveform
from asr.errors import AudioError, DamagedAudioError

# Of the power that the mean has where channels have nothing in common: below it, they are opposites, nearly.
_CANCELLATION = 0.1
MAX_PEAK = 1e10  # more than integers of 32 bits that were stored as floating point
_LOUD = 0.25  # of the power of the loudest channel


@final
class Mixer:
    """Mixes the blocks of a recording.

    Attributes:
        num_samples: Samples of each channel so far.
        num_cancelled: Those of blocks whose channels cancel each other.
    """

    def __init__(self, name: str, channel: int | None) -> None:
        """Say what error messages call the recording, and which channel to take, from 0; `None` for the mean."""
        self.num_samples = 0
        self.num_cancelled = 0
        self._name = name
        self._channel = channel

    def mix(self, block: Waveform) -> Waveform:
        """Make one channel of a block.

        Args:
            block: Shape `(num_samples, num_channels)`.

        Returns:
            Shape `(num_samples,)`; it may share the memory of the block.

        Raises:
            AudioError: If the channel is not there, or a sample is not finite or far above full scale.
        """
        num_channels = block.shape[1]
        self.num_samples += len(block)
        if self._channel is None:  # column by column, for a mean over the short axis takes ten times as long
            mono = np.asarray(sum(block.T) / np.float32(num_channels))
        elif self._channel in range(num_channels):
            mono = block[:, self._channel].copy()
        else:
            raise AudioError(
                f"{self._name}: there is no channel {self._channel}, for it has {num_channels}; channels count from 0"
            )
        peak = float(np.abs(mono).max(initial=0.0))  # NaN where one is
        if not math.isfinite(peak):
            raise AudioError(f"{self._name}: holds NaN or infinite samples; expected finite ones, write the file again")
        if peak > MAX_PEAK:  # powers of them would overflow
            raise AudioError(f"{self._name}: holds samples of {peak:.3g}, and full scale is 1; write the file again")
        if self._channel is not None or num_channels == 1:
            return mono
        powers = [float(np.dot(column, column)) for column in block.T]
        if float(np.dot(mono, mono)) >= _CANCELLATION * sum(powers) / num_channels**2:
            return mono
        self.num_cancelled += len(block)
        loud = next(index for index, power in enumerate(powers) if power >= _LOUD * max(powers))  # mostly the same one
        return block[:, loud].copy()


def regroup(blocks: Iterator[Waveform], num_samples: int) -> Iterator[Waveform]:
    """Join the blocks of a waveform, each `(num_samples,)`, and cut them anew into blocks of one length.

    Args:
        blocks: In order.
        num_samples: Of each; the last is shorter.

    Yields:
        The blocks, none empty.

    Raises:
        DamagedAudioError: If the blocks end in it, once all that came before has been given.
    """
    held: list[Waveform] = []
    num_held = 0
    damage: DamagedAudioError | None = None
    try:
        for block in blocks:
            held.append(block)
            num_held += len(block)
            if num_held >= num_samples:
                joined = np.concatenate(held)
                num_whole = num_held // num_samples * num_samples
                yield from (joined[start : start + num_samples] for start in range(0, num_whole, num_samples))
                held, num_held = [joined[num_whole:]], num_held - num_whole
    except DamagedAudioError as error:
        damage = error
    if num_held:
        yield np.concatenate(held)
    if damage:
        raise damage
