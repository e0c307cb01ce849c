"""The flags of recognition, and the recogniser that they ask for."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr.acoustic.onnx_runtime import OnnxRuntime
from asr.acoustic.torch_runtime import TorchRuntime
from asr.bundle import Bundle
from asr.cli.options import (
    add_decoding_arguments,
    add_model_arguments,
    add_writer_arguments,
    open_recognizer,
    writer_options,
)
from asr.decoding.config import DecodingConfig
from asr.decoding.hot_words import parse_hot_words
from asr.errors import ASRError, LanguageModelError
from asr.lm.arpa import read_arpa
from asr.segmentation import SegmenterConfig
from asr.writers import WriterOptions
from tests.models import tiny_recurrent_lm

ARPA = "\\data\\\nngram 1=4\n\n\\1-grams:\n-1 <unk>\n-99 <s>\n-1 </s>\n-0.5 abba\n\n\\end\\\n"


def parse(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    return parser.parse_args(flags)


@pytest.fixture
def asked(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return what the recogniser of a command line is made of."""

    def ask(*flags: object) -> dict[str, Any]:  # Any: a bundle and settings of several kinds
        made: dict[str, Any] = {}
        monkeypatch.setattr(
            "asr.recognition.recognizer.Recognizer.__init__",
            lambda self, bundle, **others: made.update(others, bundle=bundle),
        )
        parser = argparse.ArgumentParser()
        add_model_arguments(parser)
        add_decoding_arguments(parser)
        open_recognizer(parser.parse_args([*map(str, flags), "--model", str(bundle_folder)]))
        return made

    return ask


def test_model_flags_have_the_defaults_their_help_names() -> None:
    arguments = vars(parse())
    expected = {"model": None, "device": "auto", "precision": "float32", "batch_duration": 160.0}
    assert arguments == {**expected, "threads": None, "quiet": False}


def test_model_flags_are_read_as_numbers() -> None:
    arguments = parse("--batch-duration", "2.5", "--threads", "3")
    assert (arguments.batch_duration, arguments.threads) == (2.5, 3)


@pytest.mark.parametrize(
    "flags",
    [
        ("--threads", "0"),
        ("--threads", "two"),
        ("--batch-duration", "-1"),
        ("--batch-duration", "long"),
        ("--batch-duration", "inf"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(flags: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(*flags)
    assert f"argument {flags[0]}: '{flags[1]}' is not a" in capsys.readouterr().err


def test_writer_flags_are_the_options_of_writers() -> None:
    parser = argparse.ArgumentParser()
    add_writer_arguments(parser)
    assert writer_options(parser.parse_args([])) == WriterOptions()
    given = parser.parse_args(["--format", "srt", "--format", "vtt", "--max-line-width", "30", "--max-line-count", "1"])
    assert given.format == ["srt", "vtt"]
    assert writer_options(given) == WriterOptions(max_line_width=30, max_line_count=1)


def test_without_flags_everything_is_as_the_model_says(
    asked: Callable[..., dict[str, Any]], tiny_bundle: Bundle
) -> None:
    made = asked()
    assert made["bundle"].decoding == tiny_bundle.decoding
    assert made["bundle"].lm is None
    assert (list(made["hot_words"]), made["segmentation"]) == ([], SegmenterConfig())
    assert isinstance(made["runtime"], OnnxRuntime)


def test_decoding_flags_replace_what_the_model_says_and_imply_the_beam_search(
    asked: Callable[..., dict[str, Any]],
) -> None:
    made = asked("--beam-size", 7, "--nbest", 3, "--lm-weight", 0.25, "--word-score", -1.5)
    expected = DecodingConfig(decoder="beam", beam_size=7, nbest=3, lm_weight=0.25, word_score=-1.5)
    assert made["bundle"].decoding == expected
    assert asked("--beam-threshold", 9.0, "--unknown-score", -4.0)["bundle"].decoding == DecodingConfig(
        decoder="beam", beam_threshold=9.0, unknown_score=-4.0
    )
    for flags in (("--unknown-score", "none"), ("--closed",)):
        assert asked(*flags)["bundle"].decoding == DecodingConfig(decoder="beam", unknown_score=None)
    assert asked("--decoder", "greedy", "--beam-size", 7)["bundle"].decoding.decoder == "greedy"


def test_hot_words_of_flag_and_file_come_together_and_imply_the_beam_search(
    asked: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "words.txt").write_text("ice cream:3\n", encoding="utf-8")
    made = asked("--hot-words", "abba:5", "--hot-words-file", tmp_path / "words.txt")
    assert made["hot_words"] == [*parse_hot_words("abba:5"), *parse_hot_words("ice cream:3")]
    assert made["bundle"].decoding.decoder == "beam"


def test_segments_can_be_shorter_than_two_overlaps(asked: Callable[..., dict[str, Any]]) -> None:
    for detector, longest in (("--detector", "--max-speech-duration"), ("--vad", "--max-segment")):
        segmentation = asked(detector, "silero", longest, 6)["segmentation"]
        assert segmentation == SegmenterConfig(detector="silero", max_speech_duration=6.0, overlap=3.0)
    assert asked("--overlap", 1, "--threshold", 0.6)["segmentation"] == SegmenterConfig(threshold=0.6, overlap=1.0)


@pytest.mark.parametrize("name", ["lm.arpa", "lm.safetensors"])
def test_language_model_of_either_form_takes_the_place_of_the_models_own(
    name: str, asked: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA, encoding="utf-8")
    read_arpa(path).save(tmp_path / "lm.safetensors")
    bundle = asked("--lm", tmp_path / name)["bundle"]
    assert bundle.lm.words == ("<unk>", "<s>", "</s>", "abba")
    assert bundle.decoding.decoder == "beam"


def test_recurrent_language_model_is_the_one_that_is_named(
    asked: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    lm = tiny_recurrent_lm("ab", "b")
    lm.save(tmp_path / "recurrent_lm.safetensors")
    assert asked("--recurrent-lm", tmp_path / "recurrent_lm.safetensors")["bundle"].recurrent_lm.words == lm.words


def test_no_lm_leaves_the_language_model_of_the_bundle_out(
    asked: Callable[..., dict[str, Any]], bundle_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "lm.arpa").write_text(ARPA, encoding="utf-8")
    read_arpa(tmp_path / "lm.arpa").save(bundle_folder / "lm.safetensors")
    assert asked("--beam-size", 7)["bundle"].lm is not None
    assert asked("--beam-size", 7, "--no-lm")["bundle"].lm is None


def test_language_model_that_is_missing_is_named(asked: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match=r"none\.safetensors"):
        asked("--lm", tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--beam-size", "2", "--nbest", "3"), "the decoding settings do not fit each other or the model: nbest is 3"),
        (("--max-speech-duration", "0.5"), "the flags do not fit each other: max_speech_duration 0.5 s"),
    ],
)
def test_flags_that_do_not_fit_each_other_are_a_mistake(
    asked: Callable[..., dict[str, Any]], flags: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(ASRError, match=f"^{reason}"):
        asked(*flags)


@pytest.mark.parametrize(
    "flags",
    [("--lm-weight", "nan"), ("--word-score", "much"), ("--lm", "x", "--no-lm"), ("--detector", "ear")],
)
def test_decoding_flags_that_make_no_sense_are_refused(flags: tuple[str, ...]) -> None:
    parser = argparse.ArgumentParser()
    add_decoding_arguments(parser)
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(flags)


def test_device_and_threads_are_those_asked_for(asked: Callable[..., dict[str, Any]]) -> None:
    made = asked("--device", "torch-cpu", "--threads", 2)
    assert made["threads"] == 2
    assert isinstance(made["runtime"], TorchRuntime)
