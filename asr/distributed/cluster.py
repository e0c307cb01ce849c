"""A Ray cluster as this package uses it: connecting, what its machines offer, and Ray Data for the work.

The only module that imports Ray. Rows are recordings, a block of rows is a batch, and an actor holds one worker. Ray
starts an actor again when it dies, and gives its batch to another; how often that may happen to a recording, and what
is already done, is for the journal to say.
"""

import logging
import os
import pickle
import socket
import sys
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from asr.batch.inputs import Input
from asr.distributed.storage import Probe
from asr.distributed.worker import Job, Report, Worker
from asr.errors import ASRError, ClusterError, MissingExtraError, StorageError
from asr.units import Seconds

if TYPE_CHECKING:
    import pyarrow as pa

_LOCAL, _AUTO = "local", "auto"
_TIMEOUT: Seconds = 5.0
_PROBE_TIMEOUT: Seconds = 120.0  # a machine may have to start a process and load this package


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Which machines work, and how many processes they run.

    Attributes:
        address: `auto` for the cluster that this machine is part of, `HOST:PORT` of the head of another, or `local`
            for this machine alone, without a cluster.
        actors: Processes in all; as many as there is room for if not given.
        cpus_per_actor: Processor cores of each.
        gpus_per_actor: Graphics processors of each; a fraction lets several share one.
    """

    address: str = _AUTO
    actors: int | None = None
    cpus_per_actor: int = 1
    gpus_per_actor: float = 0.0


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster that actors may run on.

    Attributes:
        identifier: What Ray calls it.
        name: Its host name or address.
        room: How many actors it has room for.
    """

    identifier: str
    name: str
    room: int


@contextmanager
def connect(settings: ClusterSettings) -> Generator[None]:
    """Connect to a cluster, and leave it at the end.

    Args:
        settings: Which one.

    Yields:
        Nothing.

    Raises:
        MissingExtraError: If Ray is not installed.
        ClusterError: If no cluster answers there.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f'this needs {error.name}, which is not installed; run: pip install "asr[cluster]"'
        ) from error
    address = settings.address
    _require_answer(address)
    options: dict[str, Any] = {"include_dashboard": False} if address == _LOCAL else {}
    try:
        with _silent_stderr():  # all that matters is raised
            ray.init(address, logging_level="ERROR", log_to_driver=False, **options)
    except Exception as error:  # Ray raises a bare one where its processes do not start
        remedy = "start one with `ray start --head`, give --address HOST:PORT, or --address local for this machine"
        remedy += "; one that asks for a token needs RAY_AUTH_MODE=token here too"
        raise ClusterError(f"no Ray cluster answers at {address} ({_last_line(error)}); {remedy}") from error
    try:
        yield
    finally:
        ray.shutdown()


def find_nodes(settings: ClusterSettings) -> list[Node]:
    """List the machines that have room for an actor.

    Args:
        settings: What an actor needs.

    Returns:
        The machines, at least one.

    Raises:
        ClusterError: If no machine has what is asked for.
    """
    import ray

    nodes = []
    most: dict[str, float] = {"CPU": 0.0, "GPU": 0.0}
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        found = {name: float(node["Resources"].get(name, 0.0)) for name in most}
        most = {name: max(most[name], found[name]) for name in most}
        room = int(found["CPU"] // settings.cpus_per_actor)
        if settings.gpus_per_actor:
            room = min(room, int(found["GPU"] / settings.gpus_per_actor + 1e-9))
        if room:
            nodes.append(Node(node["NodeID"], node["NodeManagerHostname"] or node["NodeManagerAddress"], room))
    if nodes:
        return nodes
    if settings.gpus_per_actor > most["GPU"]:
        wanted = f"an actor asks for {settings.gpus_per_actor:g} GPU, and the most that a machine of the cluster has is"
        raise ClusterError(f"{wanted} {most['GPU']:g}; give a lower --gpus-per-actor, or leave it out")
    wanted = f"an actor asks for {settings.cpus_per_actor} cores, and the most that a machine of the cluster has is"
    raise ClusterError(f"{wanted} {most['CPU']:g}; give fewer --threads")


def probe_nodes(nodes: Sequence[Node], probe: Probe) -> None:
    """Let every machine look for what it has to share with this one.

    Args:
        nodes: The machines.
        probe: What they look for.

    Raises:
        StorageError: If one lacks something; it is named.
        ClusterError: If one cannot work at all.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    answers = [
        ray
        .remote(num_cpus=0, max_retries=0)(_visit)
        .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.identifier, soft=False))
        .remote(probe)
        for node in nodes
    ]
    for node, answer in zip(nodes, answers, strict=True):
        try:
            fault = ray.get(answer, timeout=_PROBE_TIMEOUT)
        except ray.exceptions.GetTimeoutError as error:
            raise StorageError(
                f"{node.name}: no answer within {_PROBE_TIMEOUT:.0f} s; is its storage stuck?"
            ) from error
        except ray.exceptions.RayError as error:  # such as a machine without this package
            raise ClusterError(f"{node.name}: cannot work: {_last_line(error)}; install asr there too") from error
        if fault:
            raise StorageError(f"{node.name}: {fault}")


def run_batches(
    job: Job,
    batches: Sequence[Sequence[tuple[int, Input]]],
    settings: ClusterSettings,
    *,
    avoided: Collection[str] = (),
) -> Iterator[tuple[str, list[tuple[int, Report]]]]:
    """Let actors work on batches.

    Args:
        job: What the actors do.
        batches: Numbered recordings, in the order in which they are begun.
        settings: How many actors, and what each needs.
        avoided: Identifiers of machines not to work on.

    Yields:
        For each batch, as soon as it is done, the identifier of the machine and the reports by number.
    """
    import pyarrow as pa
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    options = {"label_selector": {"ray.io/node-id": f"!in({','.join(sorted(avoided))})"}} if avoided else {}
    # A block is a batch: neither is cut or joined.
    blocks = [pa.table({"row": [pickle.dumps(row) for row in batch]}) for batch in batches]
    num_actors = min(settings.actors or 1, len(batches))
    reports = ray.data.from_arrow(blocks).map_batches(
        _Actor,
        fn_constructor_args=(job,),
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=num_actors, initial_size=num_actors),
        num_cpus=settings.cpus_per_actor,
        num_gpus=settings.gpus_per_actor or None,
        **options,
    )
    for table in reports.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        rows = [pickle.loads(row) for row in table["row"].to_pylist()]
        yield rows[0][0], [row[1:] for row in rows]


@final
class _Actor:
    """A process of the cluster with its worker."""

    def __init__(self, job: Job) -> None:
        """Start the worker."""
        import ray

        self._worker = Worker(job)
        self._node = ray.get_runtime_context().get_node_id()

    def __call__(self, table: "pa.Table") -> "pa.Table":
        """Work on the rows of a batch, and return a row for each."""
        import pyarrow as pa

        numbers, items = zip(*map(pickle.loads, table["row"].to_pylist()), strict=True)
        reports = self._worker.work(items)
        rows = zip(numbers, reports, strict=True)
        return pa.table({"row": [pickle.dumps((self._node, number, report)) for number, report in rows]})


def _visit(probe: Probe) -> str | None:
    """Return what a machine lacks."""
    try:
        probe.enter()
        probe.require_shared()
        probe.require_writable()
    except ASRError as error:
        return str(error)
    return None


def _require_answer(address: str) -> None:
    """Refuse an address at which nobody answers, for which Ray would wait long, and those of its remote clients."""
    if address in {_LOCAL, _AUTO}:
        return
    host, colon, port = address.rpartition(":")
    if "/" in address or not (host and colon and port.isdecimal()):
        raise ClusterError(
            f"--address {address}: expected auto, local, or HOST:PORT of the head of a cluster that this machine is "
            "part of"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_TIMEOUT).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ClusterError(
            f"no Ray cluster answers at {address} ({reason}); check the address, and that the head runs"
        ) from error


@contextmanager
def _silent_stderr() -> Generator[None]:
    """Keep from stderr what compiled code says there, for a moment."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _last_line(error: BaseException) -> str:
    """Return what a message with a traceback comes to."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
