"""The data of a training run: manifests in, batches out, for Lightning.

A fresh loader is built for each epoch from `(seed, epoch)`; the place in the epoch is part of each checkpoint, so
a run that was killed goes on with the batch it would have had next.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from asr.data.augmentation import AugmentConfig, build_augment
from asr.data.dataset import Augment, Batch, SpeechDataset, collate, read_waveforms
from asr.data.feasibility import check_texts, find_infeasible, refuse_infeasible
from asr.data.manifest import Utterance, read_manifest
from asr.data.sampler import DurationBatchSampler, Shard
from asr.errors import ManifestError
from asr.tokenizer import CharTokenizer
from asr.units import Seconds

_log = logging.getLogger(__name__)


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
        if self.max_batch_duration <= 0:
            raise ValueError(f"max_batch_duration {self.max_batch_duration} is not a positive number of seconds")


class ResumableLoader(DataLoader[Any]):  # Any: torch has one type for what a dataset holds and what is served
    """A loader that a checkpoint can continue in the middle of an epoch."""

    def __init__(self, dataset: SpeechDataset, sampler: DurationBatchSampler, epoch: int, num_workers: int) -> None:
        """Keep the sampler and count from its start.

        Args:
            dataset: What to load from.
            sampler: The batches of the epoch.
            epoch: Which epoch, from 0.
            num_workers: Processes that load; 0 loads in this one.
        """
        super().__init__(
            dataset,
            batch_sampler=sampler,
            num_workers=num_workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
        )
        self._duration_sampler = sampler
        self._epoch = epoch
        self._num_served = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # a generator serves as the iterator
        """Serve the batches from the sampler's start on, counting them."""
        self._num_served = self._duration_sampler.start
        for batch in super().__iter__():
            self._num_served += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Say how far the epoch has come.

        Returns:
            The epoch, and the batches served in it.
        """
        return {"epoch": self._epoch, "num_served": self._num_served}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from a place in the epoch.

        Args:
            state: What `state_dict` returned; without effect if it is of another epoch.
        """
        if state["epoch"] == self._epoch:
            self._duration_sampler.start = state["num_served"]


class SpeechDataModule(LightningDataModule):
    """Manifests for training, validation and testing."""

    def __init__(
        self,
        train: str | list[str],
        validation: str | list[str],
        test: str | list[str] | None = None,
        train_weights: list[float] | None = None,
        train_weight_decays: list[float] | None = None,
        alphabet: str | None = None,
        batches: BatchConfig = BatchConfig(),
        augment: AugmentConfig = AugmentConfig(),
        max_duration: Seconds = 30.0,
        skip_infeasible: bool = False,
        cache: bool = False,
        num_workers: int = 2,
        sample_rate: int = 16_000,
        seed: int = 0,
    ) -> None:
        """Keep the settings; nothing is read before `setup`.

        Args:
            train: Manifest or manifests to train on.
            validation: Manifest or manifests to choose the best model by.
            test: Manifest or manifests for `python -m asr.train test`.
            train_weights: How often each utterance of each training manifest is drawn in an epoch, on average.
            train_weight_decays: Factor in [0, 1] on each weight after every epoch; 0.8 halves one in about three.
            alphabet: The characters that texts may hold; collected from the training texts if not given.
            batches: How utterances are put together.
            augment: Random changes of the training waveforms.
            max_duration: Seconds; longer training utterances are left out, and counted in the log.
            skip_infeasible: Leave out training utterances with fewer frames than CTC needs, instead of refusing them.
            cache: Keep all decoded audio in memory; an hour takes 230 MB at 16 kHz.
            num_workers: Processes that load and augment; 0 loads in the training process.
            sample_rate: Samples per second of the waveforms served; set by the model.
            seed: Decides order, company and random changes of the training utterances.
        """
        super().__init__()
        self.manifests = {"train": _as_paths(train), "validation": _as_paths(validation), "test": _as_paths(test)}
        self.train_weights = train_weights or [1.0] * len(self.manifests["train"])
        self.train_weight_decays = train_weight_decays or [1.0] * len(self.manifests["train"])
        self.alphabet = alphabet
        self.batches, self.augment = batches, augment
        self.max_duration = max_duration
        self.skip_infeasible = skip_infeasible
        self.cache = cache
        self.num_workers = num_workers
        self.sample_rate = sample_rate
        self.seed = seed
        self.tokenizer: CharTokenizer | None = None
        self._train: list[tuple[Utterance, int]] = []  # with the place of its manifest
        self._waveforms: dict[Path, Tensor] = {}

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
        if self.cache and stage == "fit" and not self._waveforms:
            utterances = [utterance for utterance, _ in self._train] + self._read("validation")
            self._waveforms = read_waveforms(utterances, self.sample_rate)

    def require_frames(self, num_frames: Callable[[int], int]) -> None:
        """Refuse, or leave out, training utterances with fewer frames than their texts need.

        Args:
            num_frames: The model's rule from samples to frames.
        """
        utterances = [utterance for utterance, _ in self._train]
        speed = self.augment.speed_max if self.augment.speed_probability > 0 else 1.0
        found = find_infeasible(
            utterances, self._require_tokenizer(), num_frames, self.sample_rate, speed=max(1.0, speed)
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
        decaying = any(decay < 1 for decay in self.train_weight_decays)
        num_laid_out = num_epochs if decaying else min(num_epochs, self.batches.warmup_epochs + 1)
        counts = [len(self._sampler(epoch)[1]) for epoch in range(num_laid_out)]
        return sum(counts) + (num_epochs - num_laid_out) * sum(counts[-1:])

    def train_dataloader(self) -> ResumableLoader:
        """Build the loader of the current epoch."""
        epoch = self.trainer.current_epoch if self.trainer else 0
        utterances, sampler = self._sampler(epoch)
        _log.info("epoch %d: %d batches, %.1f %% padding", epoch, len(sampler), 100 * sampler.padding_share)
        return ResumableLoader(self._dataset(utterances, build_augment(self.augment)), sampler, epoch, self.num_workers)

    def val_dataloader(self) -> DataLoader[Any]:
        """Build the loader of the validation utterances."""
        return self._evaluation_loader("validation")

    def test_dataloader(self) -> DataLoader[Any]:
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
        """Read the training utterances with the places of their manifests, and leave out those that are too long."""
        paths = self.manifests["train"]
        for name, values in (("train_weights", self.train_weights), ("train_weight_decays", self.train_weight_decays)):
            if len(values) != len(paths):
                raise ManifestError(
                    f"{name} holds {len(values)} numbers for {len(paths)} training manifests; give one for each"
                )
        if not all(0 <= decay <= 1 for decay in self.train_weight_decays):
            raise ManifestError(f"train_weight_decays are {self.train_weight_decays}; expected factors in [0, 1]")
        pairs = [(utterance, place) for place, path in enumerate(paths) for utterance in read_manifest(path)]
        kept = [(utterance, place) for utterance, place in pairs if utterance.duration <= self.max_duration]
        if not kept:
            raise ManifestError(f"all {len(pairs)} training utterances are longer than {self.max_duration} s")
        if len(kept) < len(pairs):
            _log.info("left out: %d utterances longer than %.1f s", len(pairs) - len(kept), self.max_duration)
        return kept

    def _read(self, part: str) -> list[Utterance]:
        """Read the utterances to validate or test on."""
        paths = self.manifests[part]
        if not paths:
            raise ManifestError(f"no {part} manifest was given; name one with --data.{part} MANIFEST")
        utterances = [utterance for path in paths for utterance in read_manifest(path)]
        check_texts(utterances, self._require_tokenizer())
        return utterances

    def _evaluation_loader(self, part: str) -> DataLoader[Any]:
        """Serve one part in the order of duration, every utterance once."""
        utterances = self._read(part)
        durations = [utterance.duration for utterance in utterances]
        bound = max([self.batches.max_batch_duration, *durations])
        sampler = DurationBatchSampler(durations, bound, shard=self._shard(even=False))
        return DataLoader(
            self._dataset(utterances), batch_sampler=sampler, num_workers=self.num_workers, collate_fn=collate
        )

    def _sampler(self, epoch: int) -> tuple[list[Utterance], DurationBatchSampler]:
        """Lay out the batches of an epoch, over the utterances short enough for it."""
        warming_up = epoch < self.batches.warmup_epochs
        longest = self.batches.warmup_max_duration if warming_up else self.max_duration
        pairs = [(utterance, place) for utterance, place in self._train if utterance.duration <= longest]
        if not pairs:
            raise ManifestError(
                f"epoch {epoch}: no training utterance of at most {longest} s; raise warmup_max_duration"
            )
        decayed = [
            weight * decay**epoch for weight, decay in zip(self.train_weights, self.train_weight_decays, strict=True)
        ]
        sampler = DurationBatchSampler(
            [utterance.duration for utterance, _ in pairs],
            self.batches.warmup_batch_duration if warming_up else self.batches.max_batch_duration,
            # Seeds stand so far apart that no two pairs of seed and epoch meet.
            seed=self.seed * 1_000_003 + epoch,
            weights=[decayed[place] for _, place in pairs],
            shard=self._shard(even=True),
        )
        if not len(sampler):
            raise ManifestError(
                f"epoch {epoch}: the weights {decayed} draw no utterance; raise train_weights or train_weight_decays"
            )
        return [utterance for utterance, _ in pairs], sampler

    def _dataset(self, utterances: list[Utterance], augment: Augment | None = None) -> SpeechDataset:
        """Serve utterances, from memory where they are cached."""
        cached = self._waveforms and [self._waveforms[utterance.audio_filepath] for utterance in utterances]
        return SpeechDataset(
            utterances, self._require_tokenizer(), self.sample_rate, augment=augment, waveforms=cached or None
        )

    def _shard(self, *, even: bool) -> Shard:
        """Return the share of this process."""
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
