"""Utterances become batches: waveforms padded with zeros, targets padded with the blank.

The dataset reads with `load_audio`, as recognition does, so training gets the samples that the recogniser will get.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from asr.acoustic.model import pad_waveforms
from asr.audio import AudioExcerpt, AudioSource, load_audio
from asr.data.augmentation import Compose
from asr.data.changes import Change
from asr.data.device_changes import BatchChanges, apply_changes, collect_changes, is_for_device
from asr.data.manifest import Utterance
from asr.data.sampler import Draw
from asr.errors import ASRError, AudioError, ManifestError
from asr.tokenizer import BLANK, CharTokenizer


class Example(NamedTuple):
    """One utterance, ready for a batch.

    Attributes:
        waveform: Shape `(num_samples,)`.
        tokens: Shape `(num_tokens,)`.
        utterance: Where both come from.
        phones: Shape `(num_phones,)`; none where phones are not trained on.
        changes: Of the waveform, that are made on the device.
    """

    waveform: Tensor
    tokens: Tensor
    utterance: Utterance
    phones: Tensor = torch.empty(0, dtype=torch.int64)
    changes: tuple[Change, ...] = ()


class Batch(NamedTuple):
    """Several utterances, padded to one length.

    Attributes:
        waveforms: Shape `(batch, num_samples)`.
        waveform_lengths: Samples in each waveform, shape `(batch,)`.
        targets: Tokens, shape `(batch, num_tokens)`.
        target_lengths: Tokens in each target, shape `(batch,)`.
        texts: The references.
        utterance_ids: The names of the utterances.
        phones: Those of each utterance, shape `(batch, num_phones)`; `num_phones` is 0 where they are not trained on.
        phone_lengths: Phones in each utterance, shape `(batch,)`.
        num_samples: Samples in all, without the padding and after all changes; known without asking the device.
        changes: Of the waveforms, that are made on the device; `None` for none.
    """

    waveforms: Tensor
    waveform_lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    texts: tuple[str, ...]
    utterance_ids: tuple[str, ...]
    phones: Tensor
    phone_lengths: Tensor
    num_samples: int
    changes: BatchChanges | None = None


class Readable(Protocol):
    """Where a dataset finds its utterances."""

    def read(self, indices: Sequence[int]) -> Sequence[tuple[Utterance, AudioSource]]:
        """Return utterances with what their recordings are read from."""


class SpeechDataset(Dataset[Example]):
    """Utterances by index."""

    def __init__(
        self,
        source: Readable,
        tokenizer: CharTokenizer,
        sample_rate: int,
        *,
        augment: Compose | None = None,
        on_device: bool = False,
        waveforms: Mapping[Any, Tensor] | None = None,
        encode_phones: Callable[[str], list[int]] | None = None,
    ) -> None:
        """Keep what is needed to make examples.

        Args:
            source: What to serve.
            tokenizer: Turns texts into targets.
            sample_rate: Samples per second of the waveforms served.
            augment: Random changes of the waveforms.
            on_device: Whether to leave those changes that the device can make to it.
            waveforms: The decoded recordings, where they are kept in memory, by `Utterance.source`; each shape
                `(num_samples,)`.
            encode_phones: Turns texts into phones, where those are trained on.
        """
        self.source = source
        self.tokenizer = tokenizer
        self.sample_rate = sample_rate
        self.augment = augment
        self.on_device = on_device
        self.waveforms = waveforms
        self.encode_phones = encode_phones

    def __getitem__(self, draw: Draw) -> Example:
        """Make one example.

        Args:
            draw: Which utterance, and the seed of its random changes.

        Returns:
            The example.
        """
        return self._make(draw, *self.source.read([draw.index])[0])

    def __getitems__(self, draws: Sequence[Draw]) -> list[Example] | ASRError:
        """Make the examples of a batch, as loaders ask for them.

        Args:
            draws: Which utterances.

        Returns:
            The examples; or why one cannot be made, for what a worker process raises would lose its message.
        """
        try:
            read = self.source.read([draw.index for draw in draws])
            return [self._make(draw, *each) for draw, each in zip(draws, read, strict=True)]
        except AudioError as error:
            return ManifestError(f"{error}; remove it from the training data, or repair the recording")
        except ASRError as error:
            return error

    def _make(self, draw: Draw, utterance: Utterance, source: AudioSource) -> Example:
        """Read, change and encode an utterance."""
        if self.waveforms is None:
            waveform = torch.from_numpy(load_audio(source, self.sample_rate))
        else:
            waveform = self.waveforms[source]
        changes: Sequence[Change] = ()
        if self.augment is not None:
            changes = self.augment.draw(self.sample_rate, torch.Generator().manual_seed(draw.seed))
        left = list[Change]()
        for change in changes:
            if self.on_device and is_for_device(change):
                left.append(change)
            else:
                waveform = change.apply(waveform, self.sample_rate)
        phones = self.encode_phones(utterance.text) if self.encode_phones else []
        return Example(
            waveform,
            torch.tensor(self.tokenizer.encode(utterance.text), dtype=torch.int64),
            utterance,
            torch.tensor(phones, dtype=torch.int64),
            tuple(left),
        )


def read_waveforms(utterances: Sequence[Utterance], sample_rate: int) -> dict[Path | AudioExcerpt, Tensor]:
    """Decode recordings into memory.

    Args:
        utterances: What to read; a recording that several share is read once.
        sample_rate: Samples per second of the waveforms.

    Returns:
        A waveform of shape `(num_samples,)` for each recording, or part of one, by `Utterance.source`.

    Raises:
        ManifestError: If recordings cannot be read; their number is named, and what is wrong with the first few.
    """
    waveforms: dict[Path | AudioExcerpt, Tensor] = {}
    errors: list[str] = []

    def read(source: Path | AudioExcerpt) -> None:
        try:
            waveforms[source] = torch.from_numpy(load_audio(source, sample_rate))
        except AudioError as error:
            errors.append(str(error))

    # Decoders release the interpreter lock, so threads use every core without copying between processes.
    with ThreadPoolExecutor() as pool:
        list(pool.map(read, {utterance.source: None for utterance in utterances}))
    if errors:
        listing = "; ".join(sorted(errors)[:5])
        raise ManifestError(f"{len(errors)} recordings cannot be read: {listing}; remove their lines or repair them")
    return waveforms


def collate_or_fail(examples: Sequence[Example] | ASRError) -> Batch | ASRError:
    """Pad examples into a batch, and pass an error on to the process that trains."""
    return examples if isinstance(examples, ASRError) else collate(examples)


def collate(examples: Sequence[Example]) -> Batch:
    """Pad examples into a batch.

    Args:
        examples: At least one.

    Returns:
        The batch, in the order of the examples.
    """
    waveforms, waveform_lengths = pad_waveforms([example.waveform for example in examples])
    changes = None
    if any(example.changes for example in examples):
        changes = collect_changes([example.changes for example in examples], waveform_lengths.tolist())
    return Batch(
        waveforms=waveforms,
        waveform_lengths=waveform_lengths,
        targets=pad_sequence([example.tokens for example in examples], batch_first=True, padding_value=BLANK),
        target_lengths=torch.tensor([len(example.tokens) for example in examples]),
        texts=tuple(example.utterance.text for example in examples),
        utterance_ids=tuple(example.utterance.utterance_id for example in examples),
        phones=pad_sequence([example.phones for example in examples], batch_first=True, padding_value=BLANK),
        phone_lengths=torch.tensor([len(example.phones) for example in examples]),
        num_samples=int((waveform_lengths if changes is None else changes.lengths).sum()),
        changes=changes,
    )


def make_changes(batch: Batch) -> Batch:
    """Make the changes that were left to the device.

    Args:
        batch: As the loader made it, on the device.

    Returns:
        The batch to train on.
    """
    if batch.changes is None:
        return batch
    waveforms = apply_changes(batch.waveforms, batch.changes)
    return batch._replace(waveforms=waveforms, waveform_lengths=batch.changes.lengths, changes=None)
