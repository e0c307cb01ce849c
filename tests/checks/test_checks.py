"""Every kind of finding on recordings made for it, the figures, and what is left of a manifest that is cleaned."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from asr.acoustic.config import MFCCConfig, ModelConfig
from asr.acoustic.model import AcousticModel
from asr.acoustic.posteriors import Posteriors
from asr.alignment.ctc import WordTiming
from asr.alignment.text import TextAligner
from asr.audio import Waveform, resample, save_audio
from asr.checks import KINDS, Entry, Examination, Measure, examine, read_entries, render_examination, write_cleaned
from asr.checks.histograms import Histogram, build_histogram, draw_histogram
from asr.checks.memory import forecast_memory
from asr.checks.recordings import measure_recording
from asr.data.batch_config import BatchConfig
from asr.data.manifest import Utterance, read_manifest, write_manifest
from asr.errors import ManifestError
from asr.tokenizer import CharTokenizer
from tests.decoding.arrays import Matrix, spell_path

RATE = 16_000
ALPHABET = CharTokenizer(tuple(" abcdef"))


def noise(seed: int, duration: float = 1.0, rate: int = RATE) -> Waveform:
    """White noise at -20 dBFS, another for each seed."""
    deviates = np.random.default_rng(seed).standard_normal(round(duration * rate), np.float32)
    return np.float32(0.1) * deviates.clip(-5, 5)


@pytest.fixture
def measure() -> Measure:
    """A small network, and no alphabet."""
    network = ModelConfig(MFCCConfig(n_mfcc=13), conv_channels=4, num_layers=1, hidden_size=4)
    return Measure(AcousticModel(network, ALPHABET.vocabulary_size), RATE)


@pytest.fixture
def write_entry(tmp_path: Path) -> Callable[..., Entry]:
    """Write a waveform as a recording, and make a line of its manifest."""

    def write(
        waveform: Waveform,
        *,
        line: int = 1,
        text: str = "abc",
        rate: int = RATE,
        speaker: str | None = None,
        manifest: str = "train.jsonl",
    ) -> Entry:
        path = tmp_path / f"{manifest}-{line}.wav"
        save_audio(path, waveform, rate)
        return Entry(tmp_path / manifest, line, Utterance(path, len(waveform) / rate, text, path.stem, speaker))

    return write


def found(examination: Examination) -> list[tuple[str, int]]:
    """List the kinds of the findings with their lines."""
    return [(finding.kind.name, finding.entry.line) for finding in examination.findings]


def shorten(entry: Entry, num_bytes: int) -> Entry:
    """Cut off the end of a recording."""
    path = entry.utterance.audio_filepath
    path.write_bytes(path.read_bytes()[:-num_bytes])
    return entry


def test_good_recordings_give_no_finding(write_entry: Callable[..., Entry], measure: Measure) -> None:
    entries = [write_entry(noise(line), line=line) for line in range(1, 4)]
    assert found(examine(entries, replace(measure, tokenizer=ALPHABET))) == []


@pytest.mark.parametrize(
    ("waveform", "kind"),
    [
        (np.zeros(RATE, np.float32), "silent"),
        (noise(0) * 1e-3, "silent"),
        (noise(0) * 40, "clipped"),
        (noise(0) + 0.1, "offset"),
        (resample(noise(0, rate=8_000), 8_000, RATE), "band_limited"),
    ],
)
def test_damaged_signals_are_found(
    write_entry: Callable[..., Entry], measure: Measure, waveform: Waveform, kind: str
) -> None:
    assert found(examine([write_entry(waveform)], measure)) == [(kind, 1)]


def test_recording_at_a_low_rate_is_a_warning_only_for_a_model_of_a_higher_rate(
    write_entry: Callable[..., Entry], measure: Measure
) -> None:
    entries = [write_entry(noise(0, rate=8_000), rate=8_000)]
    assert found(examine(entries, measure)) == [("low_rate", 1)]
    assert found(examine(entries, replace(measure, sample_rate=8_000))) == []


def test_recordings_that_cannot_be_read_are_told_apart(
    write_entry: Callable[..., Entry], measure: Measure, tmp_path: Path
) -> None:
    good, cut, text, gone = (write_entry(noise(line), line=line) for line in range(1, 5))
    shorten(cut, 8_000)
    text.utterance.audio_filepath.write_text("not a recording")
    gone.utterance.audio_filepath.unlink()
    examination = examine([good, cut, text, gone], measure)
    assert found(examination) == [("missing", 4), ("unreadable", 2), ("unreadable", 3)]
    details = [finding.detail for finding in examination.findings]
    assert details[1].startswith("truncated or damaged: 0.75 s of the 1.00 s")
    assert not any(str(tmp_path) in detail for detail in details)


def test_duration_is_compared_with_the_recording_and_put_right(
    write_entry: Callable[..., Entry], measure: Measure
) -> None:
    entry = write_entry(noise(0))
    examinations = [
        examine([replace(entry, utterance=replace(entry.utterance, duration=duration))], measure)
        for duration in (0.95, 1.05, 0.85, 1.15)
    ]
    assert [found(each) for each in examinations] == [[], [], [("wrong_duration", 1)], [("wrong_duration", 1)]]
    assert {each.entries[0].utterance.duration for each in examinations} == {1.0}


@pytest.mark.parametrize("frequency", [500, 3_000, 7_000])
def test_bandwidth_of_a_tone_is_its_frequency(write_entry: Callable[..., Entry], frequency: int) -> None:
    tone = (0.3 * np.sin(2 * math.pi * frequency * np.arange(RATE) / RATE)).astype(np.float32)
    measured = measure_recording(write_entry(tone).utterance.audio_filepath)
    # Bins are 31.25 Hz apart, and the side lobes of a Hann window fall to -60 dB within six of them.
    assert measured.bandwidth == pytest.approx(frequency, abs=6 * 31.25)
    assert measured.duration == pytest.approx(1.0)


def test_one_click_shows_that_the_whole_band_is_used(write_entry: Callable[..., Entry]) -> None:
    waveform = resample(noise(0, rate=8_000), 8_000, RATE)
    waveform[5_000] = 0.9
    assert measure_recording(write_entry(waveform).utterance.audio_filepath).bandwidth > 7_500


def test_texts_outside_the_alphabet_empty_or_too_long_for_their_frames_are_found(
    write_entry: Callable[..., Entry], measure: Measure
) -> None:
    texts = ["abc", "abü", "", "ab" * 20]
    entries = [write_entry(noise(line), line=line, text=text) for line, text in enumerate(texts, start=1)]
    examination = examine(entries, replace(measure, tokenizer=ALPHABET))
    # A second has (16000 - 512) / 160 + 1 = 97 frames of features, of which every third is kept: 33.
    assert found(examination) == [("unknown_character", 2), ("too_short", 4), ("empty_text", 3)]
    assert examination.findings[0].detail == "'ü' in 'abü'"
    assert "has 33 frames and needs 40" in examination.findings[1].detail


def test_manifests_without_any_text_have_a_problem(write_entry: Callable[..., Entry], measure: Measure) -> None:
    entries = [write_entry(noise(line), line=line, text="") for line in (1, 2)]
    examination = examine(entries, replace(measure, tokenizer=ALPHABET))
    assert found(examination) == [("no_text", 1), ("empty_text", 1), ("empty_text", 2)]
    assert examination.findings[0].detail == "the texts of all 2 utterances are empty"


def test_without_an_alphabet_characters_are_counted_and_the_rare_ones_named(
    write_entry: Callable[..., Entry], measure: Measure
) -> None:
    entry = write_entry(noise(0))
    texts = ["ab"] * 98 + ["aß", "ab"]
    entries = [replace(entry, line=line, utterance=replace(entry.utterance, text=t)) for line, t in enumerate(texts, 1)]
    examination = examine(entries, measure)
    assert [(each.character, each.count) for each in examination.characters] == [("a", 100), ("b", 99), ("ß", 1)]
    rare = [finding for finding in examination.findings if finding.kind.name == "rare_character"]
    assert [(finding.entry.line, finding.detail) for finding in rare] == [(99, "'ß' (U+00DF) in 1 texts: 'aß'")]
    assert examination.repeated == (2, "ab", 99)


def test_text_said_at_ten_times_the_usual_pace_is_odd(write_entry: Callable[..., Entry], measure: Measure) -> None:
    entry = write_entry(noise(0, 2.0))
    texts = ["abcdef"[: 3 + line % 3] for line in range(120)] + ["abcd" * 10]
    entries = [replace(entry, line=line, utterance=replace(entry.utterance, text=t)) for line, t in enumerate(texts)]
    odd = [finding for finding in examine(entries, measure).findings if finding.kind.name == "odd_pace"]
    assert [finding.entry.line for finding in odd] == [120]
    assert odd[0].detail.startswith("20.0 characters/s where 2.0 are usual")


def test_same_samples_are_found_under_any_name(write_entry: Callable[..., Entry], measure: Measure) -> None:
    waveforms = [noise(0), noise(1), noise(0), noise(1), noise(2)]
    texts = ["a", "b", "a", "c", "a"]
    entries = [
        write_entry(waveform, line=line, text=text)
        for line, (waveform, text) in enumerate(zip(waveforms, texts, strict=True), start=1)
    ]
    examination = examine(entries, measure)
    assert found(examination) == [("conflicting", 2), ("conflicting", 4), ("duplicate", 3)]
    assert examination.findings[-1].detail == f"as at {entries[0].location}"


def test_flac_equals_wav_and_silence_equals_nothing(
    write_entry: Callable[..., Entry], measure: Measure, tmp_path: Path
) -> None:
    wav = write_entry(noise(0))
    save_audio(tmp_path / "copy.flac", noise(0), RATE)
    flac = replace(wav, line=2, utterance=replace(wav.utterance, audio_filepath=tmp_path / "copy.flac"))
    silent = [write_entry(np.zeros(RATE, np.float32), line=line) for line in (3, 4)]
    assert found(examine([wav, flac, *silent], measure)) == [("silent", 3), ("silent", 4), ("duplicate", 2)]


def test_what_two_manifests_share_is_named(write_entry: Callable[..., Entry], measure: Measure) -> None:
    train = [
        write_entry(noise(line), line=line, text=text, speaker=speaker)
        for line, (text, speaker) in enumerate([("a", "anna"), ("b", "bert"), ("c", "cleo")], start=1)
    ]
    test = [
        write_entry(noise(2), line=1, text="d", speaker="dora", manifest="test.jsonl"),
        write_entry(noise(9), line=2, text="c", speaker="anna", manifest="test.jsonl"),
    ]
    examination = examine([*train, *test], measure)
    assert found(examination) == [("leaked", 2), ("shared_speakers", 1), ("shared_texts", 3)]
    details = [finding.detail for finding in examination.findings]
    assert details[0] == f"also at {test[0].location}"
    assert details[1] == f"1 of the 2 in {test[0].manifest}: 'anna'"
    assert [finding.kind.name for finding in examination.problems] == ["leaked"]


class Scripted:
    """Stands for a scorer: the same log-probabilities for every recording."""

    def __init__(self, log_probs: Matrix) -> None:
        self.config = ModelConfig()
        self.log_probs = log_probs

    def score_blocks(self, blocks: Iterable[Waveform], *, batch_duration: float, phones: bool) -> Posteriors:
        list(blocks)
        return Posteriors(self.log_probs)


def test_text_that_was_not_spoken_is_found_with_a_model(write_entry: Callable[..., Entry], measure: Measure) -> None:
    path = [0] * 100
    path[2::8] = [*ALPHABET.encode("abcdefabcdef"), 0]
    scorer: Any = Scripted(spell_path(path, ALPHABET.vocabulary_size, 30.0))
    texts = ["abcdefabcdef", "fedcbafedcba"]
    entries = [write_entry(noise(line, 3.0), line=line, text=text) for line, text in enumerate(texts)]
    aligner = TextAligner(scorer, ALPHABET, WordTiming())
    done: list[float] = []
    examination = examine(entries, replace(measure, aligner=aligner), done.append)
    assert found(examination) == [("wrong_text", 1)]
    assert sum(done) == pytest.approx(12.0)  # measured once, scored once


def test_cleaned_manifest_holds_what_has_no_problem_and_the_rest_is_explained(
    write_entry: Callable[..., Entry], measure: Measure, tmp_path: Path
) -> None:
    good, silent, late, loud = (
        write_entry(waveform, line=line)
        for line, waveform in enumerate([noise(0), np.zeros(RATE, np.float32), noise(1), noise(2) * 40], start=1)
    )
    late = replace(late, utterance=replace(late.utterance, duration=7.0))
    other = write_entry(noise(0), manifest="test.jsonl")
    examination = examine([good, silent, late, loud, other], measure)
    output = tmp_path / "new" / "clean.jsonl"
    assert write_cleaned(output, examination) == (2, 2)  # the good one is also in the other manifest
    assert [(utterance.utterance_id, utterance.duration) for utterance in read_manifest(output)] == [
        (late.utterance.utterance_id, 1.0),
        (loud.utterance.utterance_id, 1.0),
    ]
    rejected = [json.loads(line) for line in (tmp_path / "new" / "clean.jsonl.rejected.jsonl").read_text().splitlines()]
    assert [(each["reason"], each["detail"].partition(": ")[0]) for each in rejected] == [
        ("leaked", good.location),
        ("silent", silent.location),
    ]
    with pytest.raises(ManifestError, match="is a manifest that was examined"):
        write_cleaned(good.manifest, examination)


def test_manifest_of_problems_alone_is_not_written(
    write_entry: Callable[..., Entry], measure: Measure, tmp_path: Path
) -> None:
    examination = examine([write_entry(np.zeros(RATE, np.float32))], measure)
    with pytest.raises(ManifestError, match="each of its 1 utterances has problems"):
        write_cleaned(tmp_path / "clean.jsonl", examination)
    assert not (tmp_path / "clean.jsonl").exists()


def test_lines_are_counted_as_in_the_file(write_entry: Callable[..., Entry], tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    write_manifest(path, [write_entry(noise(line), line=line).utterance for line in (1, 2)])
    first, second = path.read_text().splitlines()
    path.write_text(f"\n{first}\n\n\n{second}\n")
    assert [entry.location for entry in read_entries([path])] == [f"{path}:2", f"{path}:5"]


def test_report_groups_findings_shows_the_first_and_ends_with_the_verdict(
    write_entry: Callable[..., Entry], measure: Measure
) -> None:
    entries = [write_entry(np.zeros(RATE, np.float32), line=line) for line in range(1, 8)]
    lines = render_examination(examine(entries, measure)).splitlines()
    assert lines[0] == "problem: recordings are silent: 7"
    assert lines[2] == f"  {entries[0].location}: train.jsonl-1.wav: every sample is zero"
    assert lines[7] == "  ... and 2 more; --json lists all"
    assert lines[-1] == "verdict: 7 problems in 7 of 7 utterances, 0 warnings"


def test_findings_of_a_dict_can_be_counted_by_kind(write_entry: Callable[..., Entry], measure: Measure) -> None:
    examination = examine([write_entry(noise(0) * 40), write_entry(np.zeros(RATE, np.float32), line=2)], measure)
    fields = json.loads(json.dumps(examination.to_dict()))
    assert [(each["kind"], each["is_problem"], each["line"]) for each in fields["findings"]] == [
        ("silent", True, 2),
        ("clipped", False, 1),
    ]
    assert (fields["problems"], fields["warnings"]) == (1, 1)
    assert fields["manifests"][0]["utterances"] == 2
    assert fields["memory"]["total"] == examination.memory.total


def test_problems_come_before_warnings_and_no_name_twice() -> None:
    assert all(first.is_problem >= second.is_problem for first, second in pairwise(KINDS))
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [0.1 * k for k in range(300)], [3.0] * 500 + [900.0]])
def test_histogram_counts_every_value_in_few_bins(values: Sequence[float]) -> None:
    histogram = build_histogram(values)
    assert sum(histogram.counts) == len(values)
    assert len(histogram.counts) <= 12
    last = len(histogram.counts) - 1
    inside = [sum(k * histogram.step <= value < (k + 1) * histogram.step for value in values) for k in range(last)]
    assert list(histogram.counts[:last]) == inside


def test_histogram_is_drawn_with_the_longest_bar_at_the_largest_count() -> None:
    lines = list(draw_histogram(Histogram(0.5, (1, 40, 0))))
    assert [line.count("#") for line in lines] == [1, 40, 0]
    assert [line.split()[0] for line in lines] == ["0.0", "0.5", "1.0"]


def test_forecast_grows_with_the_batch_and_counts_what_autograd_keeps_of_a_linear_layer() -> None:
    class Linear(AcousticModel):
        """A single product of matrices, which keeps its input alone."""

        def forward(self, waveforms: Tensor, lengths: Tensor, spec_augment: object = None) -> tuple[Tensor, Tensor]:
            """Multiply."""
            return waveforms[:, :, None] @ self.output.weight[:1, :1], lengths

    model = Linear(ModelConfig(MFCCConfig(n_mfcc=13), conv_channels=4, num_layers=1, hidden_size=4), 5)
    forecast = forecast_memory(model, 10.0)
    assert forecast.waveforms == forecast.activations == 10 * RATE * 4
    assert forecast.weights == 5 * 4 * sum(parameter.numel() for parameter in model.parameters())
    assert forecast_memory(model, 20.0).activations == 2 * forecast.activations
    assert forecast.total == forecast.waveforms + forecast.activations + forecast.weights


def test_batches_are_forecast_as_training_makes_them(measure: Measure) -> None:
    assert measure.batch_duration == BatchConfig().max_batch_duration


def test_texts_that_training_will_change_are_named_with_what_changes(
    write_entry: Callable[..., Entry], measure: Measure
) -> None:
    entries = [write_entry(noise(1), text="abc"), write_entry(noise(2), text="Abc,def.", line=2)]
    (finding,) = examine(entries, replace(measure, tokenizer=ALPHABET)).findings  # capitals are no unknown characters
    assert (finding.kind.name, finding.entry, finding.kind.is_problem) == ("not_normalized", entries[1], False)
    assert finding.detail == "capitals, punctuation: 'Abc,def.'"
    cased = replace(measure, tokenizer=CharTokenizer(tuple("ABCabcdef,.")))
    assert examine(entries, cased).findings == ()


def test_parts_of_a_recording_are_measured_apart(tmp_path: Path, measure: Measure) -> None:
    save_audio(tmp_path / "a.wav", noise(1, 3.0), RATE)
    lines = [
        {"audio_filepath": "a.wav", "offset": offset, "duration": duration, "text": "abc"}
        for offset, duration in ((0, 1), (1, 1.5), (2.5, 2))
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    examination = examine(read_entries([path]), measure)
    (finding,) = examination.findings
    assert (finding.kind.name, finding.entry.line) == ("unreadable", 3)
    assert [round(entry.utterance.duration, 3) for entry in examination.entries] == [1.0, 1.5, 2.0]
