"""Inputs that once broke a promise are read without harm, and the damages follow from their seed."""

import math
from pathlib import Path

import pytest

from scripts.fuzzing.__main__ import CASES
from scripts.fuzzing.sandbox import draw, judge, run_many
from scripts.fuzzing.targets import Target, build_targets


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return build_targets(tmp_path_factory.mktemp("fuzzing"))


@pytest.mark.parametrize("path", sorted(CASES.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_input_that_was_found_once_does_no_harm(path: Path, targets: dict[str, Target]) -> None:
    assert judge(targets[path.parent.name], path) is None


def test_whole_files_are_read_and_damaged_ones_repeat_by_their_seed(targets: dict[str, Target], tmp_path: Path) -> None:
    for target in targets.values():
        for data in target.seeds:
            (tmp_path / "seed").write_bytes(data)
            assert judge(target, tmp_path / "seed") is None
        assert draw(target, 7) == draw(target, 7)
        assert any(draw(target, seed) not in target.seeds for seed in range(9))


def test_what_breaks_a_promise_is_found_once_for_each_kind(tmp_path: Path) -> None:
    def read(path: Path) -> None:
        if path.read_bytes() == b"worst":
            signal_itself()
        math.sqrt(-len(path.read_bytes()))

    def signal_itself() -> None:
        raise MemoryError

    target = Target("test", [b"bad", b"worst"], [lambda rng, data: data], read)
    count, findings = run_many(target, 0, 2.0, tmp_path)
    assert count >= 2
    assert sorted(finding.kind.split()[0] for finding in findings) == ["MemoryError", "ValueError"]
