"""The batches of one epoch, served by worker processes, from wherever a checkpoint left off."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from asr.data.dataset import Batch, SpeechDataset, collate_or_fail
from asr.data.sampler import DurationBatchSampler
from asr.errors import ASRError
from asr.units import Seconds

_log = logging.getLogger(__name__)


class CheckedLoader(DataLoader[Any]):  # Any: torch has one type for what a dataset holds and what is served
    """A loader that raises what went wrong in a worker process as it was.

    Attributes:
        seconds_waited: How long whoever asked for batches has waited for them.
    """

    def __init__(self, dataset: SpeechDataset, sampler: DurationBatchSampler, num_workers: int) -> None:
        """Load the batches of a sampler.

        Args:
            dataset: What to load from.
            sampler: The batches.
            num_workers: Processes that load; 0 loads in this one.
        """
        super().__init__(
            dataset,
            batch_sampler=sampler,
            num_workers=num_workers,
            collate_fn=collate_or_fail,
            pin_memory=torch.cuda.is_available(),
        )
        self._duration_sampler = sampler
        self.seconds_waited: Seconds = 0.0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # a generator serves as the iterator
        """Serve the batches.

        Yields:
            The batches, in the order of the sampler.

        Raises:
            ASRError: If a recording cannot be read.
        """
        batches = super().__iter__()
        for num_left in reversed(range(len(self._duration_sampler) - self._duration_sampler.start)):
            asked = time.perf_counter()
            batch = next(batches)
            self.seconds_waited += time.perf_counter() - asked
            if isinstance(batch, ASRError):
                raise batch
            if not num_left:
                # Lightning asks for no batch after the last, so the worker processes have to end here. Those of
                # validation would live until the next one, each with all the memory that training had when it began.
                del batches
            yield batch


class ResumableLoader(CheckedLoader):
    """A loader that a checkpoint can continue in the middle of an epoch."""

    def __init__(self, dataset: SpeechDataset, sampler: DurationBatchSampler, epoch: int, num_workers: int) -> None:
        """Keep the sampler and count from its start.

        Args:
            dataset: What to load from.
            sampler: The batches of the epoch.
            epoch: Which epoch, from 0.
            num_workers: Processes that load; 0 loads in this one.
        """
        super().__init__(dataset, sampler, num_workers)
        self._epoch = epoch
        self._num_served = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # as above
        """Serve the batches from the sampler's start on, counting them."""
        self._num_served = self._duration_sampler.start
        for batch in super().__iter__():
            self._num_served += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Say how far the epoch has come.

        Returns:
            The epoch, the batches served in it, and all of them.
        """
        return {"epoch": self._epoch, "num_served": self._num_served, "num_batches": len(self._duration_sampler)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from a position in the epoch.

        Args:
            state: What `state_dict` returned; without effect if it is of another epoch.
        """
        if state["epoch"] != self._epoch:
            return
        before, now = state.get("num_batches"), len(self._duration_sampler)
        if before not in (None, now):
            _log.warning(
                "the epoch to go on with had %d batches and has %d: with other data, batches or processes, it goes on "
                "after batch %d of the new ones",
                before,
                now,
                state["num_served"],
            )
        self._duration_sampler.start = state["num_served"]
