"""The guided tour: it checks its own claims, so it only has to come to its end."""

import runpy
from pathlib import Path

import pytest

TOUR = Path(__file__).resolve().parents[2] / "scripts" / "tour.py"


def test_the_tour_comes_to_its_end_with_every_claim_checked_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["tour.py", "--output", str(tmp_path)])
    runpy.run_path(str(TOUR), run_name="__main__")
    printed = capsys.readouterr().out
    assert [line[:2] for line in printed.splitlines() if line[0] != " "] == [f"{n}." for n in (*range(1, 10), 9)]
    assert printed.count("  checked: ") == TOUR.read_text(encoding="utf-8").count("\nclaim(")
    assert (tmp_path / "digits.png").stat().st_size > 10_000


def test_a_claim_that_does_not_hold_stops_the_tour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["tour.py"])
    monkeypatch.setattr("asr.decoding.GreedyDecoder.decode", lambda *_: pytest.fail("the tour went on"))
    monkeypatch.setattr(
        "asr.acoustic.features.MFCC.log_mels", lambda _, waveforms, lengths: (waveforms[:, :, None], lengths)
    )
    with pytest.raises(RuntimeError, match="our frame is the library's"):
        runpy.run_path(str(TOUR), run_name="__main__")
