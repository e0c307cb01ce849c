"""The data of a training run: manifests in, batches out, for Lightning.

A fresh loader is built for each epoch from `(seed, epoch)`; the position in the epoch is part of each checkpoint, so
a run that was killed goes on with the batch it would have had next.
"""

import hashlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule
from torch import Tensor

from asr.audio import AudioExcerpt
from asr.data.augmentation import AugmentConfig, build_augment
from asr.data.dataset import Augment, SpeechDataset, read_waveforms
from asr.data.feasibility import check_texts, find_infeasible, refuse_infeasible, refuse_missing
from asr.data.loader import CheckedLoader, ResumableLoader
from asr.data.manifest import Utterance, read_manifest
from asr.data.normalization import normalize_utterances
from asr.data.sampler import DurationBatchSampler, Shard
from asr.errors import ManifestError
from asr.tokenizer import CharTokenizer
from asr.units import Seconds

_log = logging.getLogger(__name__)
_MAX_WORKERS = 1024
_MAX_WEIGHT = 10_000.0  # draws of an utterance in an epoch


@dataclass(frozen=True)
class BatchConfig:
    """How utterances are put together.

    Attributes:
        max_batch_duration: Padded seconds of audio in a batch at most.
        warmup_epochs: First epochs with small batches of short utterances, which help CTC to leave the blanks.
        warmup_batch_duration: Padded seconds of audio in a batch during those epochs.
        warmup_max_duration: Seconds of the longest utterance during those epochs.
    """

    max_batch_duration: Seconds = 96.0
    warmup_epochs: int = 0
    warmup_batch_duration: Seconds = 48.0
    warmup_max_duration: Seconds = 10.0

    def __post_init__(self) -> None:
        """Check each range."""
        if self.warmup_epochs < 0:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} is negative")
        if not 0 < self.warmup_max_duration <= self.warmup_batch_duration:
            raise ValueError(
                f"warmup_max_duration {self.warmup_max_duration} is not in (0, warmup_batch_duration "
                f"{self.warmup_batch_duration}]"
            )
        if not 0 < self.max_batch_duration < math.inf:
            raise ValueError(f"max_batch_duration {self.max_batch_duration} is not a positive number of seconds")


class SpeechDataModule(LightningDataModule):
    """Manifests for training, validation and testing.

    Args:
        train: Manifest or manifests to train on.
        validation: Manifest or manifests to choose the best model by.
        test: Manifest or manifests for `python -m asr.train test`.
        sampling_weights: How often each utterance of each training manifest is drawn in an epoch, on average; 1
            by default.
        sampling_weight_decay: Factor in [0, 1] on each of these weights after every epoch; 0.8 halves one in about
            three epochs, 1 (the default) keeps it.
        alphabet: The characters that texts may hold; collected from the training texts if not given.
        normalize: Spell all texts as recognition does (lower case, no punctuation, composed characters); what was
            changed is counted in the log.
        batches: How utterances are put together.
        augment: Random changes of the training waveforms.
        max_duration: Seconds; longer training utterances are left out, and counted in the log.
        skip_infeasible: Leave out training utterances with fewer frames than CTC needs, instead of refusing them.
        cache: Keep all decoded audio in memory; an hour takes 230 MB at 16 kHz.
        num_workers: Processes that load and augment; 0 loads in the training process.
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
        self.manifests = {"train": _as_paths(train), "validation": _as_paths(validation), "test": _as_paths(test)}
        self.sampling_weights = weights or [1.0] * len(self.manifests["train"])
        self.sampling_weight_decay = decay or [1.0] * len(self.manifests["train"])
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
        self._train: list[tuple[Utterance, int]] = []  # with the index of its manifest
        self._evaluated: dict[str, list[Utterance]] = {}  # by the names of their parts
        self._waveforms: dict[Path | AudioExcerpt, Tensor] = {}

    def setup(self, stage: str) -> None:
        """Read the manifests and check their texts against the alphabet.

        Args:
            stage: What Lightning is about to do; `fit`, `validate` or `test`.
        """
        if self.tokenizer is None:
            self._train = self._read_train()
            alphabet = tuple(self.alphabet or ())
            self.tokenizer = CharTokenizer(alphabet) if alphabet else CharTokenizer.from_texts(self.train_texts)
            check_texts([utterance for utterance, _ in self._train], self.tokenizer)
        if stage == "fit":
            self._read("validation")  # what is wrong with it stops the run now, and not after an epoch
        if self.cache and stage == "fit" and not self._waveforms:
            utterances = [utterance for utterance, _ in self._train] + self._read("validation")
            self._waveforms = read_waveforms(utterances, self.sample_rate)

    def require_frames(self, num_frames: Callable[[int], int]) -> None:
        """Refuse, or leave out, training utterances with fewer frames than their texts need.

        Args:
            num_frames: The model's rule from samples to frames.
        """
        utterances = [utterance for utterance, _ in self._train]
        found = find_infeasible(
            utterances, self._require_tokenizer(), num_frames, self.sample_rate, speed=self.augment.max_speed
        )
        if not self.skip_infeasible:
            refuse_infeasible(found)
        for line in found.values():
            _log.info("left out: %s", line)
        self._train = [pair for index, pair in enumerate(self._train) if index not in found]

    @property
    def train_texts(self) -> tuple[str, ...]:
        """The texts of the training utterances, once `setup` has read them."""
        return tuple(utterance.text for utterance, _ in self._train)

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
        utterances, sampler = self._sampler(epoch)
        _log.info("epoch %d: %d batches, %.1f %% padding", epoch, len(sampler), 100 * sampler.padding_fraction)
        return ResumableLoader(self._dataset(utterances, build_augment(self.augment)), sampler, epoch, self.num_workers)

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
        hours: dict[str, float] = {}
        for utterance, _ in self._train:
            corpus = utterance.corpus or "unnamed"
            hours[corpus] = hours.get(corpus, 0.0) + utterance.duration / 3600
        return {
            "manifests": {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16]
                for part in ("train", "validation")
                for path in self.manifests[part]
            },
            "train_utterances": len(self._train),
            "train_hours": {corpus: round(value, 3) for corpus, value in sorted(hours.items())},
        }

    def _read_train(self) -> list[tuple[Utterance, int]]:
        """Read the training utterances with the indices of their manifests, and leave out those that are too long."""
        paths = self.manifests["train"]
        for name in ("sampling_weights", "sampling_weight_decay"):
            values = getattr(self, name)
            if len(values) != len(paths):
                raise ManifestError(
                    f"{name} holds {len(values)} numbers for {len(paths)} training manifests; give one for each"
                )
        if not all(0 <= weight <= _MAX_WEIGHT for weight in self.sampling_weights):
            raise ManifestError(
                f"sampling_weights is {self.sampling_weights}; expected numbers in [0, {_MAX_WEIGHT:g}]"
            )
        if not all(0 <= decay <= 1 for decay in self.sampling_weight_decay):
            raise ManifestError(f"sampling_weight_decay is {self.sampling_weight_decay}; expected factors in [0, 1]")
        pairs = [(utterance, index) for index, path in enumerate(paths) for utterance in self._open(path)]
        kept = [(utterance, index) for utterance, index in pairs if utterance.duration <= self.max_duration]
        if not kept:
            raise ManifestError(f"all {len(pairs)} training utterances are longer than {self.max_duration} s")
        if not any(utterance.text for utterance, _ in kept):
            raise ManifestError(f"the texts of all {len(kept)} training utterances are empty; write down what is said")
        if num_empty := sum(not utterance.text for utterance, _ in kept):
            _log.warning("%d of %d training texts are empty, and teach silence", num_empty, len(kept))
        if len(kept) < len(pairs):
            _log.info("left out: %d utterances longer than %.1f s", len(pairs) - len(kept), self.max_duration)
        return kept

    def _read(self, part: str) -> list[Utterance]:
        """Read the utterances to validate or test on, once."""
        if part in self._evaluated:
            return self._evaluated[part]
        paths = self.manifests[part]
        if not paths:
            raise ManifestError(f"no {part} manifest was given; name one with --data.{part} MANIFEST")
        utterances = [utterance for path in paths for utterance in self._open(path)]
        check_texts(utterances, self._require_tokenizer())
        self._evaluated[part] = utterances
        return utterances

    def _open(self, path: Path) -> list[Utterance]:
        """Read a manifest whose recordings are all there, and normalise its texts."""
        utterances = read_manifest(path)
        refuse_missing(utterances)
        if not self.normalize:
            return utterances
        utterances, changes = normalize_utterances(utterances)
        if changes:
            _log.info("%s: normalised %s; --data.normalize false keeps them as they are", path, changes)
        return utterances

    def _evaluation_loader(self, part: str) -> CheckedLoader:
        """Serve one part in the order of duration, every utterance once."""
        utterances = self._read(part)
        durations = [utterance.duration for utterance in utterances]
        bound = max([self.batches.max_batch_duration, *durations])
        sampler = DurationBatchSampler(durations, bound, shard=self._shard(even=False))
        return CheckedLoader(self._dataset(utterances), sampler, self.num_workers)

    def _sampler(self, epoch: int) -> tuple[list[Utterance], DurationBatchSampler]:
        """Lay out the batches of an epoch, over the utterances short enough for it."""
        warming_up = epoch < self.batches.warmup_epochs
        longest = self.batches.warmup_max_duration if warming_up else self.max_duration
        pairs = [(utterance, index) for utterance, index in self._train if utterance.duration <= longest]
        if not pairs:
            raise ManifestError(
                f"epoch {epoch}: no training utterance of at most {longest} s; raise warmup_max_duration"
            )
        settings = zip(self.sampling_weights, self.sampling_weight_decay, strict=True)
        decayed = [weight * decay**epoch for weight, decay in settings]
        sampler = DurationBatchSampler(
            [utterance.duration for utterance, _ in pairs],
            self.batches.warmup_batch_duration if warming_up else self.batches.max_batch_duration,
            # A large prime apart, so that no two pairs of seed and epoch give one number.
            seed=self.seed * 1_000_003 + epoch,
            weights=[decayed[index] for _, index in pairs],
            shard=self._shard(even=True),
        )
        if not len(sampler):
            raise ManifestError(
                f"epoch {epoch}: the weights {decayed} draw no utterance; raise sampling_weights or "
                "sampling_weight_decay"
            )
        return [utterance for utterance, _ in pairs], sampler

    def _dataset(self, utterances: list[Utterance], augment: Augment | None = None) -> SpeechDataset:
        """Serve utterances, from memory where they are cached."""
        cached = self._waveforms and [self._waveforms[utterance.source] for utterance in utterances]
        return SpeechDataset(
            utterances, self._require_tokenizer(), self.sample_rate, augment=augment, waveforms=cached or None
        )

    def _shard(self, *, even: bool) -> Shard:
        """Return the shard of this process."""
        if self.trainer is None:
            return Shard()
        return Shard(self.trainer.global_rank, self.trainer.world_size, even)

    def _require_tokenizer(self) -> CharTokenizer:
        """Return the tokenizer, which `setup` makes."""
        if self.tokenizer is None:
            raise ManifestError("the manifests are not read yet; call setup('fit') first")
        return self.tokenizer


def _as_paths(manifests: str | list[str] | None) -> list[Path]:
    """Take one manifest, several or none."""
    names = [manifests] if isinstance(manifests, str) else manifests or []
    return [Path(name) for name in names]


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
