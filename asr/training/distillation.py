"""Knowledge distillation: the network learns from what other networks say of each frame, besides from the texts.

A text says which characters were spoken; a teacher also says where, and what else they sound like. Several teachers are
better than each of them, and the network that learns from them keeps a part of that at its own cost. The teachers hear
what the network hears, without the masks of SpecAugment.

Source: Hinton et al. (2015), arXiv 1503.02531.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.acoustic.config import ModelConfig
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.acoustic.runtime import AcousticRuntime, open_runtime
from asr.acoustic.torch_runtime import TorchRuntime
from asr.bundle import Bundle, load_bundle
from asr.errors import ASRError, TrainingError
from asr.tokenizer import CharTokenizer
from asr.training.initial import find_bundle

_MAX_WEIGHT = 1000.0  # beyond it the text counts nothing


@dataclass(frozen=True)
class DistillationConfig:
    """What to learn from besides the texts.

    Attributes:
        teachers: A bundle or several, `english` for that of the package; they need the alphabet of the run, and its
            phones if it trains any. Their log-probabilities are averaged. None for learning from texts alone.
        weight: How much the teachers count where the text counts one; 0 to 1000.
    """

    teachers: str | tuple[str, ...] = ()
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.weight <= _MAX_WEIGHT:
            raise ValueError(f"distillation.weight is {self.weight}; expected a number from 0 to {_MAX_WEIGHT:g}")

    @property
    def names(self) -> tuple[str, ...]:
        """The bundles, in a tuple even if there is one."""
        return (self.teachers,) if isinstance(self.teachers, str) else self.teachers


class Targets(NamedTuple):
    """What the teachers say of a batch.

    Attributes:
        characters: Natural log-probabilities, shape `(frames, batch, vocabulary)`.
        phones: Those of phones, shape `(frames, batch, num_phone_tokens)`; `None` if there are none to learn.
        weight: How much they count where the text counts one.
    """

    characters: Tensor
    phones: Tensor | None
    weight: float


class Teachers:
    """Trained networks that are asked what they say of a batch."""

    def __init__(self, runtimes: Sequence[AcousticRuntime], weight: float, *, phones: bool) -> None:
        """Keep what runs the networks.

        Args:
            runtimes: One for each network.
            weight: How much they count where the text counts one.
            phones: Whether to ask for phones too.
        """
        self._runtimes = runtimes
        self._weight = weight
        self._phones = phones

    def ask(self, waveforms: Tensor, waveform_lengths: Tensor) -> Targets:
        """Average what the networks say of a batch.

        Args:
            waveforms: Shape `(batch, num_samples)`.
            waveform_lengths: Samples in each waveform, shape `(batch,)`.

        Returns:
            The mean of the log-probabilities of the networks, normalised; on the device of the waveforms.
        """
        arrays = [
            array[:length] for array, length in zip(waveforms.cpu().numpy(), waveform_lengths.tolist(), strict=True)
        ]
        # For each utterance, what each network says of it.
        said = list(zip(*(runtime.run(arrays) for runtime in self._runtimes), strict=True))
        characters = pad_sequence([_average([each.log_probs for each in of_one]) for of_one in said])
        phones = None
        if self._phones:
            phones = pad_sequence([_average([each.phone_log_probs for each in of_one]) for of_one in said])
            phones = phones.to(waveforms.device)
        return Targets(characters.to(waveforms.device), phones, self._weight)


def open_teachers(
    config: DistillationConfig,
    tokenizer: CharTokenizer,
    pronunciations: PronunciationDictionary | None,
    network: ModelConfig,
    device: torch.device,
) -> Teachers | None:
    """Open the networks to learn from.

    Args:
        config: What is asked for.
        tokenizer: The alphabet of the run.
        pronunciations: The phones of the run; `None` if it trains none.
        network: The settings of the network that learns.
        device: Where it is trained. Teachers run there too; on a CPU they do so on ONNX Runtime, in int8 where the
            processor is faster at it.

    Returns:
        The networks; `None` if none are asked for.

    Raises:
        TrainingError: If one cannot be read, or has another alphabet, other phones or other frames.
    """
    if not config.names:
        return None
    try:
        bundles = [load_bundle(find_bundle(name)) for name in config.names]
    except ASRError as error:
        raise TrainingError(f"--model.distillation.teachers: {error}") from error
    for name, bundle in zip(config.names, bundles, strict=True):
        _require_alike(name, bundle, tokenizer, pronunciations, network)
    runtimes: list[AcousticRuntime] = [
        open_runtime(bundle.network, "cpu", "auto") if device.type == "cpu" else TorchRuntime(bundle.network, device)
        for bundle in bundles
    ]
    return Teachers(runtimes, config.weight, phones=pronunciations is not None)


def _require_alike(
    name: str,
    bundle: Bundle,
    tokenizer: CharTokenizer,
    pronunciations: PronunciationDictionary | None,
    network: ModelConfig,
) -> None:
    """Refuse a teacher whose frames or tokens are not those of the run."""
    place = f"--model.distillation.teachers: {name}"
    if bundle.tokenizer != tokenizer:
        raise TrainingError(
            f"{place} has the alphabet {''.join(bundle.tokenizer.characters)!r} and the run "
            f"{''.join(tokenizer.characters)!r}; set --data.alphabet to that of the teacher, or leave it out"
        )
    frames, own = _describe_frames(bundle.config), _describe_frames(network)
    if frames != own:
        raise TrainingError(f"{place} takes {frames} and the run {own}; train with the same, or leave it out")
    if pronunciations is None:
        return
    if bundle.network.phones is None or bundle.pronunciations is None:
        raise TrainingError(f"{place} knows no phones and the run trains them; leave the phones or it out")
    if bundle.pronunciations.phones != pronunciations.phones:
        raise TrainingError(f"{place} knows other phones than the run; take its dictionary, or leave it out")


def _describe_frames(network: ModelConfig) -> str:
    """Say what decides how many frames a recording has."""
    return f"{network.sample_rate} Hz in frames of {network.frame_shift:g} s from {network.features.n_fft} samples each"


def _average(matrices: Sequence[NDArray[np.float32] | None]) -> Tensor:
    """Average log-probabilities of shape `(frames, tokens)`, and normalise each frame."""
    mean = np.mean([matrix for matrix in matrices if matrix is not None], axis=0)
    return torch.log_softmax(torch.from_numpy(mean), dim=-1)
