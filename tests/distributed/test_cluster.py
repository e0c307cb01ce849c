"""What is asked of a cluster before the work. A real one is in `scripts/cluster_test`."""

import os
import pickle
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asr.distributed.cluster import ClusterSettings, Node, _silent_stderr, _visit, connect, find_nodes
from asr.distributed.storage import Probe
from asr.errors import ClusterError, MissingExtraError


def with_nodes(monkeypatch: pytest.MonkeyPatch, *resources: dict[str, float]) -> None:
    """Let Ray tell of some machines; the last of them is gone."""
    nodes = [
        {
            "Alive": index < len(resources),
            "NodeID": f"id{index}",
            "NodeManagerHostname": f"host{index}",
            "NodeManagerAddress": "10.0.0.1",
            "Resources": each,
        }
        for index, each in enumerate([*resources, {"CPU": 64.0, "GPU": 8.0}])
    ]
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(nodes=lambda: nodes))


def test_without_ray_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r'not installed; run: pip install "asr\[cluster\]"$'):
        connect(ClusterSettings()).__enter__()


@pytest.mark.parametrize("address", ["ray://head:10001", "head", ":6379", "head:", "head:port"])
def test_an_address_of_another_form_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())
    with pytest.raises(ClusterError, match=r"^--address .*: expected auto, local, or HOST:PORT of the head"):
        connect(ClusterSettings(address)).__enter__()


def test_an_address_at_which_nobody_answers_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # bound, but not listening
        port = holder.getsockname()[1]
        with pytest.raises(ClusterError, match=rf"^no Ray cluster answers at 127.0.0.1:{port} \(Connection refused\)"):
            connect(ClusterSettings(f"127.0.0.1:{port}")).__enter__()


def test_what_ray_says_of_a_cluster_that_is_not_there_becomes_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("first line\nCould not find any running Ray instance.\n")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=refuse))
    with pytest.raises(ClusterError, match=r"^no Ray cluster answers at auto \(Could not find .*\); start one with"):
        connect(ClusterSettings()).__enter__()


def test_a_cluster_is_left_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    ray = SimpleNamespace(
        init=lambda address, **options: calls.append((address, options.get("include_dashboard"))),
        shutdown=lambda: calls.append("left"),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    with connect(ClusterSettings("local")):
        calls.append("work")
    assert calls == [("local", False), "work", "left"]


def test_a_machine_has_room_for_as_many_actors_as_fit_its_cores_and_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    with_nodes(monkeypatch, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 3.0}, {"memory": 1e9})
    assert find_nodes(ClusterSettings()) == [Node("id0", "host0", 8), Node("id1", "host1", 3)]
    assert find_nodes(ClusterSettings(cpus_per_actor=4)) == [Node("id0", "host0", 2)]
    assert find_nodes(ClusterSettings(gpus_per_actor=0.25)) == [Node("id0", "host0", 4)]
    assert find_nodes(ClusterSettings(gpus_per_actor=0.1)) == [Node("id0", "host0", 8)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ClusterSettings(gpus_per_actor=2.0), "^an actor asks for 2 GPU, and the most .* has is 1; give a lower"),
        (ClusterSettings(cpus_per_actor=9), "^an actor asks for 9 cores, and the most .* has is 8; give fewer"),
    ],
)
def test_an_actor_that_fits_no_machine_is_refused(
    settings: ClusterSettings, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_nodes(monkeypatch, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 3.0})
    with pytest.raises(ClusterError, match=message):
        find_nodes(settings)


def test_a_machine_tells_what_it_lacks(tmp_path: Path) -> None:
    probe = pickle.loads(pickle.dumps(Probe.place(tmp_path, ())))
    assert _visit(probe) is None
    probe.remove()
    assert "is not shared" in str(_visit(probe))


def test_what_compiled_code_says_is_kept_from_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with _silent_stderr():
        os.write(2, b"noise")
    os.write(2, b"said")
    assert capfd.readouterr().err == "said"
