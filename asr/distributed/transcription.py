"""Recordings to files of results on many machines: the part of the driver, which runs beside the person who asks.

It plans batches, hands them out, and keeps `summary.jsonl`. What machines give back for a fault of their own is handed
out again, to the others. Nothing is lost with a worker, a machine or the driver: results are whole files, and a run
with the finished recordings left out goes on where the last one stopped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import final

from asr.batch.inputs import Input
from asr.batch.results import ResultFolder
from asr.batch.summary import Outcome, Summary
from asr.distributed.cluster import ClusterSettings, connect, find_nodes, probe_nodes, run_batches
from asr.distributed.journal import Journal
from asr.distributed.planning import guess_durations, plan_batches
from asr.distributed.storage import Probe
from asr.distributed.worker import Job, RecognitionSettings, Report
from asr.errors import ClusterError, DeviceError
from asr.recognition.settings import open_bundle

_ROUNDS = 3  # for what machines give back
_FAULTS_IN_A_ROW = 3  # batches, after which a machine counts as out of order


def recover_outcomes(folder: Path, *, overwrite: bool = False) -> None:
    """Write into the summary of a folder what a driver that was killed had not written yet.

    Args:
        folder: The output folder, before it is opened as a `ResultFolder`.
        overwrite: As for `ResultFolder`.

    Raises:
        ASRError: As for `ResultFolder`.
    """
    if outcomes := Journal(folder, "").recover():
        with Summary(folder, overwrite=overwrite) as summary:
            for outcome in outcomes:
                summary.add(outcome)


def transcribe_on_cluster(
    results: ResultFolder, items: Sequence[Input], settings: RecognitionSettings, cluster: ClusterSettings
) -> Iterator[Outcome]:
    """Transcribe recordings on a cluster.

    Args:
        results: Where the files of results go, on storage that all machines share; the summary is kept there.
        items: The recordings: files on shared storage, or URLs.
        settings: How to recognise; the device and threads follow from what an actor is given.
        cluster: Which machines work.

    Yields:
        What became of each recording, in the order in which they are done.

    Raises:
        ASRError: If a setting makes no sense.
        ClusterError: If a recording can be read on this machine only, the cluster cannot be reached or lacks what is
            asked for, a machine does not share the storage, or no machine can work any more.
    """
    for item in items:
        if item.is_pipe:
            raise ClusterError(f"{item.name}: other machines cannot read this pipe; save it to a file")
    settings = _fit_settings(settings, cluster)
    reads = _require_model(settings)
    with connect(cluster):
        nodes = find_nodes(cluster)
        cluster = replace(cluster, actors=cluster.actors or sum(node.room for node in nodes))
        files = results.files
        probe = Probe.place(files.folder, (*reads, *(item.path for item in items[:1])))
        try:
            probe_nodes(nodes, probe)
            job = Job(token_hex(8), files, settings, probe)
            yield from _Driver(results, job, cluster, {node.identifier for node in nodes}).run(items)
        finally:
            probe.remove()


def _fit_settings(settings: RecognitionSettings, cluster: ClusterSettings) -> RecognitionSettings:
    """Let a recogniser use what its actor is given, and no more."""
    device = settings.recognizer.get("device", "auto")
    if cluster.gpus_per_actor and device not in {"auto", "cuda"}:
        raise DeviceError(f"the device is {device}, and each actor asks for a GPU; leave out one of the two")
    if device == "cuda" and not cluster.gpus_per_actor:
        raise DeviceError("the device is cuda, and actors ask for no GPU; say how many each needs (--gpus-per-actor)")
    if device == "auto":
        device = "cuda" if cluster.gpus_per_actor else "cpu"
    return replace(settings, recognizer={**settings.recognizer, "device": device, "threads": cluster.cpus_per_actor})


def _require_model(settings: RecognitionSettings) -> tuple[str, ...]:
    """Open the model here, for a mistake to show before the work, and name its files."""
    options = {name: settings.recognizer.get(name) for name in ("decoding", "lm", "recurrent_lm")}
    open_bundle(settings.model, hot_words=bool(settings.recognizer.get("hot_words")), **options)
    files = (settings.model, options["lm"], options["recurrent_lm"])
    return tuple(str(each) for each in files if isinstance(each, str | Path))


@final
class _Driver:
    """Hands recordings out until each has an outcome."""

    def __init__(self, results: ResultFolder, job: Job, cluster: ClusterSettings, nodes: set[str]) -> None:
        """Keep what to do, and on which machines."""
        self._results = results
        self._job = job
        self._cluster = cluster
        self._nodes = nodes
        self._journal = Journal(job.files.folder, job.name)
        self._faults: dict[str, int] = {}  # batches in a row, by machine

    def run(self, items: Sequence[Input]) -> Iterator[Outcome]:
        """Yield the outcome of each recording."""
        durations = guess_durations(items)
        todo = list(range(len(items)))
        for round_number in range(1, _ROUNDS + 1):
            planned = plan_batches([durations[number] for number in todo], self._cluster.actors or 1)
            batches = [[(todo[index], items[todo[index]]) for index in batch] for batch in planned]
            todo = []
            for node, reports in run_batches(self._job, batches, self._cluster, avoided=self._avoided_nodes()):
                self._watch(node, [report for _, report in reports], may_stop=round_number == 1)
                given_back = [number for number, report in reports if report.is_fault and round_number < _ROUNDS]
                settled = {number: report.outcome for number, report in reports if number not in given_back}
                for outcome in settled.values():
                    self._results.summary.add(outcome)
                self._journal.remove(items[number] for number in settled)
                todo += given_back
                yield from settled.values()
            if not todo:
                break
        self._journal.clear(items)

    def _watch(self, node: str, reports: Sequence[Report], *, may_stop: bool) -> None:
        """Count the faults of a machine; stop where no machine does anything else, a disk of all being full."""
        faults = [report for report in reports if report.is_fault]
        self._nodes.add(node)
        self._faults[node] = self._faults.get(node, 0) + 1 if len(faults) == len(reports) else 0
        if may_stop and self._nodes == self._nodes_out_of_order():
            raise ClusterError(
                f"no machine can work any more: {faults[0].outcome.error}; correct that, and go on with --skip-existing"
            )

    def _nodes_out_of_order(self) -> set[str]:
        """List the machines that gave back all of their last batches."""
        return {node for node, count in self._faults.items() if count >= _FAULTS_IN_A_ROW}

    def _avoided_nodes(self) -> set[str]:
        """List the machines that get no more work, unless that were all of them."""
        avoided = self._nodes_out_of_order()
        return avoided if avoided < self._nodes else set()
