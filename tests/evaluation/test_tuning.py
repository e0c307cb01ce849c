"""Tuning the language model: the search, what it is measured on, and what is left in the bundle."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import jiwer
import numpy as np
import pytest
import torch

from asr.acoustic.model import build_model
from asr.acoustic.posteriors import Posteriors
from asr.audio import load_audio, save_audio
from asr.bundle import Bundle, load_bundle, save_bundle
from asr.cli.terminal import run_command
from asr.data.manifest import Utterance, write_manifest
from asr.decoding import DecodingConfig, GreedyDecoder
from asr.evaluation.tuning import (
    HeldOutSpeech,
    Tuning,
    choose_part,
    find_better_mode,
    measure,
    render_grid,
    render_modes,
    score_speech,
    search,
)
from asr.lm.ngram import SPECIAL_WORDS, NGramLM
from asr.tokenizer import CharTokenizer
from tests.decoding.arrays import random_log_probs
from tests.models import tiny_recurrent_lm

main = partial(run_command, "asr.cli.tune")

PROBABILITIES = {"<unk>": 0.01, "<s>": 1e-9, "</s>": 0.29, "a": 0.6, "b": 0.1}


def make_lm() -> NGramLM:
    """A unigram model that expects "a" six times as often as "b"."""
    return NGramLM(
        words=(*SPECIAL_WORDS, "a", "b"),
        counts=(5,),
        word_ids=np.arange(5, dtype=np.uint32),
        log_probs=np.log(np.array(list(PROBABILITIES.values()), dtype=np.float32)),
        backoffs=np.zeros(5, dtype=np.float32),
        children=np.array([5], dtype=np.int64),
    )


def make_posteriors(*letters: tuple[float, float]) -> Posteriors:
    """A frame for each letter with the probabilities of "a" and "b", and frames that are surely spaces between."""
    frames = [[0.001, 0.001, a, b] for a, b in letters]
    spaces = [[0.001, 0.997, 0.001, 0.001]] * len(letters)
    interleaved = [frame for pair in zip(frames, spaces, strict=True) for frame in pair][:-1]
    return Posteriors(np.log(np.array(interleaved, np.float32)))


def utterance(name: str, text: str = "a", corpus: str | None = None, duration: float = 1.0) -> Utterance:
    """An utterance whose recording does not exist."""
    return Utterance(Path(f"{name}.wav"), duration, text, name, corpus=corpus)


@pytest.fixture
def folder(tmp_path: Path, tiny_bundle: Bundle) -> Path:
    """A bundle with a language model."""
    save_bundle(tmp_path / "model", replace(tiny_bundle, lm=make_lm()), "# A model for tests\n")
    return tmp_path / "model"


@pytest.fixture
def manifest(tmp_path: Path, write_tone: Callable[[str, float, float], Path]) -> Path:
    """Two corpora of two tones each."""
    utterances = [
        Utterance(write_tone(f"{number}.wav", 300.0 * (number + 1), 0.5), 0.5, "a b", f"{number}", corpus=corpus)
        for number, corpus in enumerate(("left", "left", "right", "right"))
    ]
    write_manifest(tmp_path / "dev.jsonl", utterances)
    return tmp_path / "dev.jsonl"


def test_search_comes_within_a_quarter_step_of_the_bottom_of_a_bowl() -> None:
    rates = search(lambda pair: (pair[0] - 0.8) ** 2 + 0.1 * (pair[1] - 0.6) ** 2, (0.5, 1.0), (-1.0, 0.0, 1.0))
    lm_weight, word_score = min(rates, key=rates.__getitem__)
    assert abs(lm_weight - 0.8) <= 0.5 / 4
    assert abs(word_score - 0.6) <= 1.0 / 4
    assert set(rates) >= {(x, y) for x in (0.5, 1.0) for y in (-1.0, 0.0, 1.0)}


def test_search_follows_a_slope_beyond_the_edge_of_its_grid() -> None:
    rates = search(lambda pair: abs(pair[0] - 3.0) + abs(pair[1] + 4.0), (0.5, 1.0), (0.0, 1.0))
    assert min(rates, key=rates.__getitem__) == (3.0, -4.0)


def test_search_tries_no_pair_twice_and_no_weight_below_zero() -> None:
    tried: list[tuple[float, float]] = []

    def try_pair(pair: tuple[float, float]) -> float:
        tried.append(pair)
        return pair[0] + 0.001 * abs(pair[1] - 0.3)

    rates = search(try_pair, (0.5, 1.0), (0.0, 0.1, 0.2))
    assert len(tried) == len(set(tried))
    assert list(rates) == tried
    assert min(lm_weight for lm_weight, _ in tried) == pytest.approx(0.0)


def test_a_setting_with_a_single_value_stays_fixed() -> None:
    rates = search(lambda pair: abs(pair[0] - 0.7), (0.5, 1.0), (0.25,))
    assert {word_score for _, word_score in rates} == {0.25}
    assert min(rates, key=rates.__getitem__) == (0.75, 0.25)


def test_equal_rates_end_the_search_and_the_first_pair_wins() -> None:
    rates = search(lambda pair: 0.5, (0.5, 1.0), (0.0, 1.0))
    assert min(rates, key=rates.__getitem__) == (0.5, 0.0)


def test_a_part_holds_equally_much_of_each_corpus_and_is_always_the_same() -> None:
    everything = [utterance(f"{corpus}{number}", corpus=corpus) for corpus in "xy" for number in range(20)]
    everything += [utterance("z0", corpus="z"), utterance("z1", corpus="z")]
    part = choose_part(everything, 18.0)
    assert [sum(each.corpus == corpus for each in part) for corpus in "xyz"] == [6, 6, 2]
    assert part == choose_part(everything, 18.0)
    assert part != choose_part(everything, 18.0, seed=1)
    assert set(part) <= set(everything)


def test_a_part_holds_one_utterance_of_each_corpus_at_least() -> None:
    everything = [utterance("long", corpus="x", duration=60.0), utterance("short")]
    assert choose_part(everything, 1.0) == [everything[1], everything[0]]


def test_speech_has_the_posteriors_that_pytorch_gives_each_alone_in_the_order_of_the_manifest(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    durations = (0.6, 0.3, 0.9)
    generator = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.wav" for number in range(len(durations))]
    for path, duration in zip(paths, durations, strict=True):
        save_audio(path, 0.1 * generator.standard_normal(round(16_000 * duration), np.float32), 16_000)
    utterances = [Utterance(path, duration, "a", path.stem) for path, duration in zip(paths, durations, strict=True)]
    speech = score_speech(tiny_bundle, utterances)
    assert list(speech.utterances) == utterances
    model = build_model(tiny_bundle.network).eval()
    for path, posteriors in zip(paths, speech.posteriors, strict=True):
        waveform = torch.from_numpy(load_audio(path, 16_000))
        with torch.inference_mode():
            alone, _ = model(waveform[None], torch.tensor([len(waveform)]))
        np.testing.assert_allclose(posteriors.log_probs, alone[0].numpy(), atol=1e-3)  # sums in another order


def test_rates_are_those_that_jiwer_counts_for_each_corpus(tiny_bundle: Bundle) -> None:
    posteriors = [Posteriors(random_log_probs(30, 8, seed, sharpness=3.0)) for seed in range(6)]
    utterances = [utterance(f"{n}", "ab c a", corpus=("left", None)[n % 2]) for n in range(6)]
    rates = measure(tiny_bundle, HeldOutSpeech(tuple(utterances), tuple(posteriors)))
    texts = [tiny_bundle.tokenizer.join(GreedyDecoder().decode(each)[0].tokens) for each in posteriors]
    assert rates == {
        "left": pytest.approx(jiwer.wer(["ab c a"] * 3, [" ".join(text.split()) for text in texts[0::2]])),
        "none": pytest.approx(jiwer.wer(["ab c a"] * 3, [" ".join(text.split()) for text in texts[1::2]])),
    }


def test_the_right_weight_lets_the_language_model_correct_the_network(tiny_bundle: Bundle) -> None:
    # The network prefers a wrong "b" by little and a right one clearly; the language model prefers "a" by log 6 = 1.8.
    wrong, clear = make_posteriors((0.4, 0.598)), make_posteriors((0.6, 0.398), (0.03, 0.968))
    bundle = replace(tiny_bundle, tokenizer=CharTokenizer((" ", "a", "b")), lm=make_lm())
    speech = HeldOutSpeech((utterance("1", "a"), utterance("2", "a b", "other")), (wrong, clear))

    def try_pair(pair: tuple[float, float]) -> float:
        decoding = DecodingConfig("beam", lm_weight=pair[0], word_score=pair[1])
        return max(measure(replace(bundle, decoding=decoding), speech).values())

    rates = search(try_pair, (0.1, 1.0, 4.0), (0.0,))
    assert [rates[weight, 0.0] for weight in (0.1, 1.0, 4.0)] == [1.0, 0.0, 0.5]


def test_tables_show_every_rate_in_percent_and_mark_the_best() -> None:
    assert render_grid({(0.5, -1.0): 0.25, (0.5, 0.0): 0.2, (1.0, 0.0): 0.3}).splitlines() == [
        "| lm_weight, word_score |    -1 |         0 |",
        "| --------------------- | ----: | --------: |",
        "| 0.5                   | 25.00 | **20.00** |",
        "| 1                     |       |     30.00 |",
    ]
    assert render_modes({"greedy": {"x": 0.5, "y": 0.25}, "beam": {"x": 0.4, "y": 0.1}}).splitlines() == [
        "| WER % | greedy |  beam |",
        "| ----- | -----: | ----: |",
        "| x     |  50.00 | 40.00 |",
        "| y     |  25.00 | 10.00 |",
        "| mean  |  37.50 | 25.00 |",
    ]


def test_best_pair_is_printed_drawn_and_written_into_the_bundle(
    folder: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "model.safetensors").read_bytes()
    grid = ["--lm-weights", "0.5", "1", "--word-scores", "-1", "1", "--output", str(tmp_path / "new" / "grid.png")]
    assert main(["--manifest", str(manifest), "--model", str(folder), *grid]) == 0
    printed = capsys.readouterr().out
    decoding = load_bundle(folder).decoding
    assert decoding.decoder == "beam"
    assert printed.endswith(f"best: lm_weight {decoding.lm_weight:g}, word_score {decoding.word_score:g}\n")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if line.startswith("|")]
    header = rows.index(["WER %", "greedy", "beam", "beam with LM"])
    assert [row[0] for row in rows[header + 2 :]] == ["left", "right", "mean"]
    [best] = [cell for row in rows[:header] for cell in row if cell.startswith("**")]
    assert best == f"**{rows[-1][-1]}**"  # the mean with the language model, measured once more
    assert (tmp_path / "new" / "grid.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "model.safetensors").read_bytes() == before


def test_nothing_is_written_where_the_language_model_does_harm(
    tiny_bundle: Bundle,
    folder: Path,
    manifest: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    modes = {"greedy": {"x": 0.2, "y": 0.4}, "beam": {"x": 0.5, "y": 0.5}, "beam with LM": {"x": 0.1, "y": 0.6}}
    harmful = Tuning({(1.0, 0.0): 0.35}, load_bundle(folder), modes)
    assert find_better_mode(harmful).startswith(
        "greedy without a language model has 30.00 % errors and with it 35.00 %"
    )
    assert not find_better_mode(replace(harmful, modes={**modes, "beam with LM": {"x": 0.2, "y": 0.3}}))
    monkeypatch.setattr("asr.evaluation.tuning.tune", lambda *_: harmful)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert main(["--manifest", str(manifest), "--model", str(folder)]) == 2
    assert "nothing is written: give a language model of more text" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_dry_run_changes_nothing_in_the_bundle(folder: Path, manifest: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    grid = ["--lm-weights", "0.5", "--word-scores", "0", "--dry-run", "--max-duration", "1"]
    assert main(["--manifest", str(manifest), "--model", str(folder), *grid]) == 0
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_language_model_that_is_named_comes_into_the_bundle(
    bundle_folder: Path, manifest: Path, tmp_path: Path
) -> None:
    make_lm().save(tmp_path / "words.safetensors")
    flags = ["--lm", str(tmp_path / "words.safetensors"), "--lm-weights", "0.5", "--word-scores", "0"]
    flags += ["--internal-lm-weight", "0.4"]
    assert main(["--manifest", str(manifest), "--model", str(bundle_folder), *flags]) == 0
    written = load_bundle(bundle_folder)
    assert written.lm is not None
    assert written.lm.score_word(written.lm.start(), "a")[0] == pytest.approx(np.log(0.6))
    assert written.decoding == DecodingConfig("beam", lm_weight=0.5, internal_lm_weight=0.4, word_score=0.0)


def test_language_models_take_the_place_of_both_of_the_bundle(
    bundle_folder: Path, manifest: Path, tmp_path: Path
) -> None:
    make_lm().save(tmp_path / "words.safetensors")
    for name, word in (("own", "c"), ("new", "b")):
        tiny_recurrent_lm("a", word).save(tmp_path / f"{name}.safetensors")
    (tmp_path / "own.safetensors").rename(bundle_folder / "recurrent_lm.safetensors")
    flags = ["--manifest", str(manifest), "--model", str(bundle_folder), "--lm", str(tmp_path / "words.safetensors")]
    flags += ["--lm-weights", "0.5", "--word-scores", "0"]
    assert main([*flags, "--recurrent-lm", str(tmp_path / "new.safetensors"), "--dry-run"]) == 0
    recurrent_lm = load_bundle(bundle_folder).recurrent_lm
    assert recurrent_lm is not None
    assert recurrent_lm.words[-1] == "c"
    assert main([*flags, "--recurrent-lm", str(tmp_path / "new.safetensors")]) == 0
    recurrent_lm = load_bundle(bundle_folder).recurrent_lm
    assert recurrent_lm is not None
    assert recurrent_lm.words[-1] == "b"
    assert main(flags) == 0
    assert load_bundle(bundle_folder).recurrent_lm is None  # it was of the texts of another model


def test_a_bundle_without_a_language_model_is_refused_with_the_remedy(
    bundle_folder: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--manifest", str(manifest), "--model", str(bundle_folder)]) == 2
    expected = f"error: {bundle_folder}: holds no language model to tune; name one with --lm FILE\n"
    assert capsys.readouterr().err == expected


def test_what_is_no_picture_is_told_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--manifest", str(tmp_path / "none"), "--model", str(tmp_path / "none"), "--output", "grid.xyz"]
    assert main(flags) == 2
    assert capsys.readouterr().err == "error: grid.xyz: no picture has this extension; give one of .png, .svg, .pdf\n"


def test_missing_matplotlib_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    flags = ["--manifest", str(tmp_path / "none"), "--model", str(tmp_path / "none"), "--output", "grid.png"]
    assert main(flags) == 2
    assert 'run: pip install "asr[plot]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--lm-weights", "-1"], "lm_weight is -1.0, but must be from 0 to 1000"),
        (["--internal-lm-weight", "-1"], "internal_lm_weight is -1.0"),
    ],
)
def test_a_setting_that_the_decoder_refuses_is_named(
    flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--manifest", "m", "--model", "d", *flags]) == 2
    assert complaint in capsys.readouterr().err


def test_help_warns_that_figures_on_the_manifest_are_optimistic(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "held-out speech" in text
    assert "Figures measured on it afterwards are optimistic" in text
