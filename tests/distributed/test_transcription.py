"""The part of the driver, with workers in this process in place of a cluster."""

import errno
import json
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from asr.__main__ import main
from asr.batch.inputs import Input, find_inputs
from asr.batch.results import ResultFiles, ResultFolder
from asr.batch.summary import Outcome, Summary
from asr.distributed import transcription
from asr.distributed.cluster import ClusterSettings, Node
from asr.distributed.journal import Journal
from asr.distributed.transcription import recover_outcomes, transcribe_on_cluster
from asr.distributed.worker import Job, RecognitionSettings, Report, Worker
from asr.errors import ASRError, ClusterError, DeviceError
from asr.writers import WriterOptions

SICK, SOUND = "sick", "sound"
Batches = Sequence[Sequence[tuple[int, Input]]]


class Cluster:
    """Workers in this process; one machine may be out of order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nodes = [SOUND]
        self.avoided: list[set[str]] = []
        self.settings: list[ClusterSettings] = []
        self.jobs: list[Job] = []
        for name in ("connect", "find_nodes", "probe_nodes", "run_batches"):
            monkeypatch.setattr(transcription, name, getattr(self, name))

    @contextmanager
    def connect(self, settings: ClusterSettings) -> Generator[None]:
        yield

    def find_nodes(self, settings: ClusterSettings) -> list[Node]:
        return [Node(name, name, 1) for name in self.nodes]

    def probe_nodes(self, nodes: Sequence[Node], probe: object) -> None:
        pass

    def run_batches(
        self, job: Job, batches: Batches, settings: ClusterSettings, *, avoided: Collection[str]
    ) -> Iterator[tuple[str, list[tuple[int, Report]]]]:
        self.jobs.append(job)
        self.settings.append(settings)
        self.avoided.append(set(avoided))
        nodes = [name for name in self.nodes if name not in avoided]
        worker = Worker(job, first_pause=0.0)
        for index, batch in enumerate(batches):
            node = nodes[index % len(nodes)]
            numbers, items = zip(*batch, strict=True)
            with pytest.MonkeyPatch.context() as patch:
                if node == SICK:
                    patch.setattr(ResultFiles, "write", fail_to_write)
                yield node, list(zip(numbers, worker.work(items), strict=True))


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def fail_to_write(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


@pytest.fixture
def talks(write_tone: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder of six recordings."""
    for index in range(6):
        write_tone(f"talks/{index}.wav", 200 + 50 * index, 0.3 + 0.1 * index)
    return tmp_path / "talks"


@pytest.fixture
def flags(bundle_folder: Path, tmp_path: Path) -> list[str]:
    return ["--model", str(bundle_folder), "--output-dir", str(tmp_path / "out"), "--format", "srt", "--format", "txt"]


def read_summary(folder: Path) -> dict[str, str]:
    """Read the statuses of a summary; the lines have to be of different recordings."""
    lines = [json.loads(line) for line in (folder / "summary.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({line["input"] for line in lines}) == len(lines)
    return {line["input"]: line["status"] for line in lines}


def one_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr.distributed.planning._MAX_RECORDINGS", 1)


@pytest.mark.usefixtures("cluster")
def test_a_cluster_writes_what_one_machine_writes(talks: Path, flags: list[str], tmp_path: Path) -> None:
    (talks / "none.wav").write_bytes(b"no sound")
    assert main(["transcribe-cluster", str(talks), *flags]) == 1
    flags[3] = str(tmp_path / "local")
    assert main(["transcribe", str(talks), *flags]) == 1
    written = [
        {
            path.name: path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file() and path.suffix != ".jsonl"
        }
        for name in ("out", "local")
    ]
    assert written[0] == written[1]
    assert len(written[0]) == 12
    assert read_summary(tmp_path / "out") == read_summary(tmp_path / "local")


def test_what_is_finished_is_skipped_and_work_of_others_is_not_replaced(
    cluster: Cluster, talks: Path, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe-cluster", str(talks), *flags]) == 0
    (tmp_path / "out" / "3.srt").unlink()
    assert main(["transcribe-cluster", str(talks), *flags, "--skip-existing"]) == 0
    assert "5 skipped" in capsys.readouterr().err
    assert main(["transcribe-cluster", str(talks), *flags, "--skip-existing"]) == 0
    assert len(cluster.jobs) == 2  # nothing is asked of the cluster where nothing is to do
    (tmp_path / "out" / "summary.jsonl").unlink()
    assert main(["transcribe-cluster", str(talks), *flags]) == 2
    assert "asr did not write it" in capsys.readouterr().err
    assert main(["transcribe-cluster", str(talks), *flags, "--overwrite"]) == 0


def test_what_a_machine_with_a_full_disk_gives_back_is_done_by_the_others(
    cluster: Cluster, talks: Path, flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_a_batch(monkeypatch)
    cluster.nodes = [SICK, SOUND]
    assert main(["transcribe-cluster", str(talks), *flags]) == 0
    assert cluster.avoided == [set(), {SICK}]
    assert len(read_summary(tmp_path / "out")) == 6


def test_a_job_stops_where_no_machine_can_write_and_nothing_is_left_behind(
    cluster: Cluster,
    talks: Path,
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one_a_batch(monkeypatch)
    cluster.nodes = [SICK]
    assert main(["transcribe-cluster", str(talks), *flags]) == 2
    errors = capsys.readouterr().err
    assert "error: no machine can work any more: " in errors
    assert "No space left on device; correct that, and go on with --skip-existing" in errors
    assert list((tmp_path / "out").rglob(".asr-*")) in ([], [tmp_path / "out" / ".asr-journal"])
    cluster.nodes = [SOUND]
    assert main(["transcribe-cluster", str(talks), *flags, "--skip-existing"]) == 0
    assert list((tmp_path / "out").rglob(".asr-*")) == []


def test_a_run_after_a_killed_driver_knows_the_files_that_no_summary_names(
    cluster: Cluster, talks: Path, flags: list[str], bundle_folder: Path, tmp_path: Path
) -> None:
    items, out = find_inputs([str(talks)]), tmp_path / "out"
    results = ResultFolder(out, ["srt", "txt"], WriterOptions())
    steps = transcribe_on_cluster(results, items, RecognitionSettings(bundle_folder), ClusterSettings())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Summary, "add", interrupt)  # its worker has written the whole batch by then
        with pytest.raises(KeyboardInterrupt):
            next(steps)
    assert (out / "5.srt").exists()
    assert not (out / "summary.jsonl").exists()
    recover_outcomes(out)
    assert set(read_summary(out)) == {item.name for item in items}
    assert main(["transcribe-cluster", str(talks), *flags]) == 0
    assert list(out.rglob(".asr-*")) == []


def test_a_recording_that_nobody_can_fetchfail_to_writes_after_some_rounds(
    cluster: Cluster, bundle_folder: Path, talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_a_batch(monkeypatch)
    memory = type(pytest.importorskip("fsspec").filesystem("memory"))
    monkeypatch.setattr(memory, "open", lambda *_, **__: (_ for _ in ()).throw(ConnectionResetError("reset")))
    items = [Input("memory://bucket/a.wav", Path("a")), *find_inputs([str(talks)])]
    results = ResultFolder(tmp_path / "out", ["txt"], WriterOptions())
    outcomes = list(transcribe_on_cluster(results, items, RecognitionSettings(bundle_folder), ClusterSettings()))
    assert len(cluster.jobs) == 3
    assert [outcome.input for outcome in outcomes if outcome.status == "failed"] == ["memory://bucket/a.wav"]
    assert len(outcomes) == 7


def test_an_actor_uses_the_cores_and_the_device_that_it_is_given(
    cluster: Cluster, talks: Path, flags: list[str]
) -> None:
    assert main(["transcribe-cluster", str(talks), *flags, "--threads", "3", "--actors", "7"]) == 0
    assert cluster.settings == [ClusterSettings("auto", 7, 3, 0.0)]
    assert {name: cluster.jobs[0].settings.recognizer[name] for name in ("device", "threads")} == {
        "device": "cpu",
        "threads": 3,
    }


@pytest.mark.parametrize(
    ("device", "gpus", "message"),
    [("cpu", 1.0, "each actor asks for a GPU"), ("cuda", 0.0, r"actors ask for no GPU; say how many")],
)
@pytest.mark.usefixtures("cluster")
def test_a_device_that_does_not_fit_the_actors_is_refused(
    device: str, gpus: float, message: str, tmp_path: Path
) -> None:
    settings = RecognitionSettings(None, {"device": device})
    results = ResultFolder(tmp_path, ["txt"], WriterOptions())
    with pytest.raises(DeviceError, match=message):
        next(transcribe_on_cluster(results, [], settings, ClusterSettings(gpus_per_actor=gpus)))


@pytest.mark.usefixtures("cluster")
def test_what_only_this_machine_can_read_and_what_makes_no_sense_is_refused_before_the_work(tmp_path: Path) -> None:
    results = ResultFolder(tmp_path, ["txt"], WriterOptions())
    with pytest.raises(ClusterError, match=r"^-: other machines cannot read this pipe; save it to a file$"):
        next(transcribe_on_cluster(results, [Input("-", Path("x"))], RecognitionSettings(), ClusterSettings()))
    with pytest.raises(ASRError, match="no/such/model"):
        next(transcribe_on_cluster(results, [], RecognitionSettings(Path("no/such/model")), ClusterSettings()))
    assert list(tmp_path.iterdir()) == []


def test_outcomes_are_recovered_into_a_summary_that_is_there(tmp_path: Path) -> None:
    Journal(tmp_path, "killed").record(Input("a.wav", Path("a")), Outcome("a.wav", "ok", words=1))
    recover_outcomes(tmp_path)
    assert read_summary(tmp_path) == {"a.wav": "ok"}
