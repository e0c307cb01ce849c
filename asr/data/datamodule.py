"""The data of a training run: manifests and shards in, batches out, for Lightning.

A fresh loader is built for each epoch from `(seed, epoch)`; the position in the epoch is part of each checkpoint, so
a run that was killed goes on with the batch it would have had next.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch import Tensor

from asr.audio import AudioSource
from asr.data.augmentation import AugmentConfig, Compose, build_augment
from asr.data.batch_config import BatchConfig
from asr.data.buffering import CHUNKS_PER_BUFFER, NUM_LANES, Buffering
from asr.data.dataset import Readable, SpeechDataset, read_waveforms
from asr.data.feasibility import check_texts
from asr.data.loader import CheckedLoader, ResumableLoader
from asr.data.manifest import Utterance
from asr.data.sampler import DurationBatchSampler, Shard
from asr.data.sources import ManifestSource, hash_source, open_source, read_utterances
from asr.data.training_set import TrainingSet
from asr.errors import ManifestError
from asr.tokenizer import CharTokenizer
from asr.units import Seconds

_log = logging.getLogger(__name__)
_MAX_WORKERS = 1024
_MAX_WEIGHT = 10_000.0  # draws of an utterance in an epoch


class SpeechDataModule(LightningDataModule):
    """Manifests for training, validation and testing, and shards for training.

    Args:
        train: What to train on, one or several: manifests, and folders of shards (asr shard) by path or URL.
        validation: Manifest or manifests to choose the best model by.
        test: Manifest or manifests for `python -m asr.train test`.
        sampling_weights: How often each utterance of each manifest or folder of `train` is drawn in an epoch, on
            average; 1 by default.
        sampling_weight_decay: Factor in [0, 1] on each of these weights after every epoch; 0.8 halves one in about
            three epochs, 1 (the default) keeps it.
        alphabet: The characters that texts may hold; collected from the training texts if not given.
        normalize: Spell all texts as recognition does (lower case, no punctuation, composed characters); what was
            changed is counted in the log.
        batches: How utterances are put together.
        augment: Random changes of the training waveforms.
        max_duration: Seconds; longer training utterances are left out, and counted in the log.
        skip_infeasible: Leave out training utterances with fewer frames than CTC needs, instead of refusing them.
        cache: Keep all decoded audio of manifests in memory; an hour takes 230 MB at 16 kHz.
        num_workers: Processes that load and augment; 0 loads in the training process. 1, 2, 4 or 8 suit shards.
        sample_rate: Samples per second of the waveforms served; set by the model.
        seed: Decides the order, the composition of batches and the random changes of the training utterances.
        train_weights: Deprecated spelling of `sampling_weights`; goes with the next release.
        train_weight_decays: Deprecated spelling of `sampling_weight_decay`; goes with the next release.

    Raises:
        ManifestError: If a setting is given in both spellings.
    """

    def __init__(
        self,
        train: str | list[str],
        validation: str | list[str],
        test: str | list[str] | None = None,
        sampling_weights: list[float] | None = None,
        sampling_weight_decay: list[float] | None = None,
        alphabet: str | None = None,
        normalize: bool = True,
        batches: BatchConfig = BatchConfig(),
        augment: AugmentConfig = AugmentConfig(),
        max_duration: Seconds = 30.0,
        skip_infeasible: bool = False,
        cache: bool = False,
        num_workers: int = 2,
        sample_rate: int = 16_000,
        seed: int = 0,
        train_weights: list[float] | None = None,
        train_weight_decays: list[float] | None = None,
    ) -> None:
        """Keep the settings; nothing is read before `setup`."""
        super().__init__()
        if not max_duration > 0:
            raise ValueError(f"max_duration {max_duration} is not a positive number of seconds")
        if not 0 <= num_workers <= _MAX_WORKERS:
            raise ValueError(f"num_workers {num_workers} is not in [0, {_MAX_WORKERS}]")
        weights = _take_renamed("sampling_weights", sampling_weights, "train_weights", train_weights)
        decay = _take_renamed(
            "sampling_weight_decay", sampling_weight_decay, "train_weight_decays", train_weight_decays
        )
        self.names = {"train": _as_list(train), "validation": _as_list(validation), "test": _as_list(test)}
        self.sampling_weights = weights or [1.0] * len(self.names["train"])
        self.sampling_weight_decay = decay or [1.0] * len(self.names["train"])
        self.alphabet = alphabet
        self.normalize = normalize
        self.batches, self.augment = batches, augment
        self.max_duration = max_duration
        self.skip_infeasible = skip_infeasible
        self.cache = cache
        self.num_workers = num_workers
        self.sample_rate = sample_rate
        self.seed = seed
        self.tokenizer: CharTokenizer | None = None
        self.encode_phones: Callable[[str], list[int]] | None = None
        self._train: TrainingSet | None = None
        self._evaluated: dict[str, list[Utterance]] = {}  # by the names of their parts
        self._waveforms: dict[Any, Tensor] = {}  # by `Utterance.source`

    def setup(self, stage: str) -> None:
        """Read the manifests and check their texts against the alphabet.

        Args:
            stage: What Lightning is about to do; `fit`, `validate` or `test`.

        Raises:
            ManifestError: If a manifest or shards cannot be used.
        """
        if self._train is None:
            self._check_weights()
            self._train = self._open_train()
            alphabet = tuple(self.alphabet or sorted(self._train.characters()))
            self.tokenizer = CharTokenizer(alphabet)
            self._train.check_alphabet(self.tokenizer)
        if stage == "fit":
            self._read("validation")  # what is wrong with it stops the run now, and not after an epoch
        if self.cache and stage == "fit" and not self._waveforms:
            manifests = [source for source in self._train.sources if isinstance(source, ManifestSource)]
            if len(manifests) < len(self._train.sources):
                raise ManifestError(
                    "cache keeps all audio in memory, which shards are not for; give --data.cache false"
                )
            utterances = [utterance for source in manifests for utterance in source.utterances]
            self._waveforms = read_waveforms(utterances + self._read("validation"), self.sample_rate)

    def require_frames(self, num_frames: Callable[[int], int]) -> None:
        """Refuse, or leave out, training utterances with fewer frames than their texts need.

        Args:
            num_frames: The model's rule from samples to frames.
        """
        self.training_set.require_frames(
            num_frames, self.sample_rate, speed=self.augment.max_speed, skip_infeasible=self.skip_infeasible
        )

    @property
    def train_texts(self) -> tuple[str, ...]:
        """The texts of the training manifests, and of a sample of the shards, once `setup` has read them."""
        return tuple(self.training_set.texts())

    def num_batches(self, num_epochs: int) -> int:
        """Count the batches that this process will train on.

        Args:
            num_epochs: Epochs in the run.

        Returns:
            The batches of all epochs. Where no weight decays, those after the warm-up count as the first of them, give
            or take a batch.
        """
        decaying = any(decay < 1 for decay in self.sampling_weight_decay)
        num_laid_out = num_epochs if decaying else min(num_epochs, self.batches.warmup_epochs + 1)
        counts = [len(self._sampler(epoch)[1]) for epoch in range(num_laid_out)]
        return sum(counts) + (num_epochs - num_laid_out) * sum(counts[-1:])

    def train_dataloader(self) -> ResumableLoader:
        """Build the loader of the current epoch."""
        epoch = self.trainer.current_epoch if self.trainer else 0
        numbers, sampler = self._sampler(epoch)
        _log.info("epoch %d: %d batches, %.1f %% padding", epoch, len(sampler), 100 * sampler.padding_fraction)
        dataset = self._dataset(_Selected(self.training_set, numbers), build_augment(self.augment))
        return ResumableLoader(dataset, sampler, epoch, self.num_workers)

    def val_dataloader(self) -> CheckedLoader:
        """Build the loader of the validation utterances."""
        return self._evaluation_loader("validation")

    def test_dataloader(self) -> CheckedLoader:
        """Build the loader of the test utterances."""
        return self._evaluation_loader("test")

    def summary(self) -> dict[str, Any]:
        """Describe the training data for a model card.

        Returns:
            Plain JSON data: the manifests with the hashes of their contents, utterances, and hours per corpus.
        """
        train = self.training_set
        return {
            "manifests": {
                Path(name).name: hash_source(name) for part in ("train", "validation") for name in self.names[part]
            },
            "train_utterances": len(train),
            "train_hours": {corpus: round(value, 3) for corpus, value in sorted(train.hours().items())},
        }

    def _check_weights(self) -> None:
        """Refuse weights that do not fit."""
        for name in ("sampling_weights", "sampling_weight_decay"):
            values = getattr(self, name)
            if len(values) != len(self.names["train"]):
                raise ManifestError(
                    f"{name} holds {len(values)} numbers for {len(self.names['train'])} training manifests; give one "
                    "for each"
                )
        if not all(0 <= weight <= _MAX_WEIGHT for weight in self.sampling_weights):
            raise ManifestError(
                f"sampling_weights is {self.sampling_weights}; expected numbers in [0, {_MAX_WEIGHT:g}]"
            )
        if not all(0 <= decay <= 1 for decay in self.sampling_weight_decay):
            raise ManifestError(f"sampling_weight_decay is {self.sampling_weight_decay}; expected factors in [0, 1]")

    def _open_train(self) -> TrainingSet:
        """Open what to train on."""
        # A loading process keeps the buffers of its lanes, and one that it opens next.
        max_chunks = CHUNKS_PER_BUFFER * (1 + -(-NUM_LANES // max(1, self.num_workers)))
        sources = [
            open_source(
                name,
                normalize=self.normalize,
                chunk_duration=self.batches.buffer_duration / CHUNKS_PER_BUFFER,
                max_chunks=max_chunks,
            )
            for name in self.names["train"]
        ]
        return TrainingSet(sources, self.max_duration)

    def _read(self, part: str) -> list[Utterance]:
        """Read the utterances to validate or test on, once."""
        if part in self._evaluated:
            return self._evaluated[part]
        paths = self.names[part]
        if not paths:
            raise ManifestError(f"no {part} manifest was given; name one with --data.{part} MANIFEST")
        utterances = [each for path in paths for each in read_utterances(Path(path), normalize=self.normalize)]
        check_texts(utterances, self._require_tokenizer())
        self._evaluated[part] = utterances
        return utterances

    def _evaluation_loader(self, part: str) -> CheckedLoader:
        """Serve one part in the order of duration, every utterance once."""
        utterances = self._read(part)
        durations = [utterance.duration for utterance in utterances]
        bound = max([self.batches.max_batch_duration, *durations])
        sampler = DurationBatchSampler(durations, bound, shard=self._shard(even=False))
        return CheckedLoader(self._dataset(ManifestSource(utterances)), sampler, self.num_workers)

    def _sampler(self, epoch: int) -> tuple[NDArray[np.integer], DurationBatchSampler]:
        """Lay out the batches of an epoch, over the utterances short enough for it, whose numbers it returns too."""
        warming_up = epoch < self.batches.warmup_epochs
        longest = self.batches.warmup_max_duration if warming_up else self.max_duration
        train = self.training_set
        durations = train.durations[train.kept]
        numbers, durations = train.kept[durations <= longest], durations[durations <= longest]
        if not len(numbers):
            raise ManifestError(
                f"epoch {epoch}: no training utterance of at most {longest} s; raise warmup_max_duration"
            )
        bound = self.batches.warmup_batch_duration if warming_up else self.batches.max_batch_duration
        train.refuse_longer(numbers, bound)
        settings = zip(self.sampling_weights, self.sampling_weight_decay, strict=True)
        decayed = [weight * decay**epoch for weight, decay in settings]
        sampler = DurationBatchSampler(
            durations,
            bound,
            # A large prime apart, so that no two pairs of seed and epoch give one number.
            seed=self.seed * 1_000_003 + epoch,
            weights=None if set(decayed) == {1.0} else np.array(decayed, np.float32)[train.owners(numbers)],
            shard=self._shard(even=True),
            buffering=self._buffering(numbers),
        )
        if not len(sampler):
            raise ManifestError(
                f"epoch {epoch}: the weights {decayed} draw no utterance; raise sampling_weights or "
                "sampling_weight_decay"
            )
        return numbers, sampler

    def _buffering(self, numbers: NDArray[np.integer]) -> Buffering | None:
        """Put utterances into buffers where there are shards among them."""
        train = self.training_set
        if all(isinstance(source, ManifestSource) for source in train.sources):
            return None
        return Buffering(train.chunks()[numbers], self.batches.buffer_duration)

    def _dataset(self, source: Readable, augment: Compose | None = None) -> SpeechDataset:
        """Serve utterances, from memory where they are cached."""
        return SpeechDataset(
            source,
            self._require_tokenizer(),
            self.sample_rate,
            augment=augment,
            on_device=self.augment.on_device,
            waveforms=self._waveforms or None,
            encode_phones=self.encode_phones if augment else None,
        )

    def _shard(self, *, even: bool) -> Shard:
        """Return the shard of this process."""
        if self.trainer is None:
            return Shard()
        return Shard(self.trainer.global_rank, self.trainer.world_size, even)

    @property
    def training_set(self) -> TrainingSet:
        """What to train on, which `setup` opens."""
        if self._train is None:
            raise ManifestError("the manifests are not read yet; call setup('fit') first")
        return self._train

    def _require_tokenizer(self) -> CharTokenizer:
        """Return the tokenizer, which `setup` makes."""
        if self.tokenizer is None:
            raise ManifestError("the manifests are not read yet; call setup('fit') first")
        return self.tokenizer


@dataclass(frozen=True)
class _Selected:
    """Those utterances of a training set that an epoch is laid out over, by their places among these."""

    train: TrainingSet
    numbers: NDArray[np.integer]

    def read(self, indices: Sequence[int]) -> Sequence[tuple[Utterance, AudioSource]]:
        """Return utterances with what their recordings are read from."""
        return self.train.read(self.numbers[indices].tolist())


def _as_list(names: str | list[str] | None) -> list[str]:
    """Take one name, several or none."""
    return [names] if isinstance(names, str) else list(names or [])


def _take_renamed(
    name: str, value: list[float] | None, old_name: str, old_value: list[float] | None
) -> list[float] | None:
    """Return what a setting was given in its new or its deprecated spelling."""
    if old_value is None:
        return value
    if value is not None:
        raise ManifestError(f"{name} and {old_name}, its deprecated spelling, are both given; give {name} alone")
    _log.warning("%s is deprecated and goes with the next release; write %s", old_name, name)
    return old_value
