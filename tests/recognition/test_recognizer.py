"""The composed path: order, company and failures change no transcript, and training computes what recognition does."""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asr.acoustic.model import build_model
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.alignment.text import TextAligner
from asr.audio import AudioSource, load_audio, save_audio
from asr.bundle import ENGLISH_MODEL, Bundle
from asr.bundle_network import GRAPH_FILE
from asr.data.dataset import SpeechDataset, collate
from asr.data.manifest import Utterance
from asr.data.sampler import Draw
from asr.data.sources import ManifestSource
from asr.decoding import DecodingConfig, DecodingModels, GreedyDecoder, Hypothesis, build_decoder
from asr.decoding.rescoring import PhoneRescorer, RecurrentRescorer
from asr.errors import AlignmentError, ASRError, AudioError, DeviceError, VocabularyError
from asr.recognition.recognizer import Recognizer
from asr.segmentation import Segmenter, SegmenterConfig
from asr.transcript import Segment, Transcript
from tests.acoustic.networks import add_phone_head, export
from tests.decoding.test_lexicon import unigrams

RATE = 16_000

WriteTone = Callable[[str, float, float], Path]


class Fixed:
    """Finds the same in everything."""

    def __init__(self, tokens: tuple[int, ...]) -> None:
        self.tokens = tokens

    def decode(self, posteriors: Posteriors) -> list[Hypothesis]:
        return [Hypothesis(self.tokens, 0.0)]


def rounded(transcript: Transcript | None, digits: int = 4) -> Transcript:
    """Forget what padding does to the last digits of a confidence."""
    assert transcript is not None
    segments = [
        replace(
            segment, words=tuple(replace(word, confidence=round(word.confidence, digits)) for word in segment.words)
        )
        for segment in transcript.segments
    ]
    return replace(transcript, segments=tuple(segments))


@pytest.fixture
def recognizer(tiny_bundle: Bundle) -> Recognizer:
    return Recognizer(tiny_bundle, device="cpu")


@pytest.fixture
def tones(write_tone: WriteTone) -> list[Path]:
    """Recordings of different pitches and lengths, none in the order of its length."""
    durations = [0.5, 1.3, 0.2, 0.9, 0.5, 2.1]
    return [write_tone(f"{number}.wav", 150.0 * (number + 1), each) for number, each in enumerate(durations)]


@pytest.mark.parametrize("batch_duration", [0.1, 2.0, 160.0])
def test_many_recordings_together_give_what_each_gives_alone(
    recognizer: Recognizer, tones: list[Path], batch_duration: float
) -> None:
    alone = [recognizer.transcribe(tone) for tone in tones]
    together = list(recognizer.transcribe_many(tones, batch_duration=batch_duration))
    assert [result.source for result in together] == tones
    transcripts = [result.transcript for result in together if result.transcript]
    assert [rounded(transcript, 0) for transcript in transcripts] == [rounded(transcript, 0) for transcript in alone]
    confidences = [[word.confidence for each in some for word in each.words] for some in (transcripts, alone)]
    assert confidences[0] == pytest.approx(confidences[1], abs=1e-5)
    assert len({transcript.text for transcript in alone}) == len(tones)  # else the model tells us nothing


def test_transcript_spans_the_recording(recognizer: Recognizer, tones: list[Path]) -> None:
    transcript = recognizer.transcribe(tones[3])
    assert [(segment.start, segment.end) for segment in transcript.segments] == [(0.0, 0.9)]
    assert transcript.duration == pytest.approx(0.9)
    assert all(0 <= word.start <= word.end <= 0.9 and 0 <= word.confidence <= 1 for word in transcript.words)


def test_training_in_evaluation_mode_gives_what_recognition_gives(
    recognizer: Recognizer, tiny_bundle: Bundle, tones: list[Path]
) -> None:
    utterances = [Utterance(tone, 1.0, "", tone.stem) for tone in tones]
    dataset = SpeechDataset(ManifestSource(utterances), tiny_bundle.tokenizer, tiny_bundle.config.sample_rate)
    batch = collate([dataset[Draw(index, 0)] for index in range(len(utterances))])
    with torch.inference_mode():
        log_probs, lengths = build_model(tiny_bundle.network).eval()(batch.waveforms, batch.waveform_lengths)
    matrices = [matrix[:length].numpy() for matrix, length in zip(log_probs, lengths, strict=True)]
    best = [GreedyDecoder().decode(Posteriors(matrix))[0] for matrix in matrices]
    texts = [" ".join(tiny_bundle.tokenizer.join(hypothesis.tokens).split()) for hypothesis in best]
    assert texts == [recognizer.transcribe(tone).text for tone in tones]


def test_pytorch_gives_what_onnx_runtime_gives(tiny_bundle: Bundle, recognizer: Recognizer, tones: list[Path]) -> None:
    reference = Recognizer(tiny_bundle, device="torch-cpu")
    assert [rounded(reference.transcribe(tone), 2) for tone in tones] == [
        rounded(recognizer.transcribe(tone), 2) for tone in tones
    ]


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(tiny_bundle: Bundle, recognizer: Recognizer, tones: list[Path], threads: int) -> None:
    results = Recognizer(tiny_bundle, device="cpu", threads=threads).transcribe_many(tones, batch_duration=1.0)
    expected = recognizer.transcribe_many(tones, batch_duration=1.0)
    assert [result.transcript for result in results] == [result.transcript for result in expected]


def test_samples_give_what_their_file_gives(recognizer: Recognizer, write_tone: WriteTone) -> None:
    path = write_tone("a.wav", 300.0, 0.8)
    samples = load_audio(path, RATE)
    assert recognizer.transcribe(samples, source_rate=RATE) == recognizer.transcribe(path)


def test_channel_chooses_among_the_channels(recognizer: Recognizer, tones: list[Path]) -> None:
    left, right = (load_audio(tones[index], RATE) for index in (0, 4))
    stereo = np.stack([left, right])
    for channel, mono in enumerate((left, right)):
        expected = recognizer.transcribe(mono, source_rate=RATE)
        assert recognizer.transcribe(stereo, source_rate=RATE, channel=channel) == expected


def test_recording_that_fails_does_not_stop_the_others(
    recognizer: Recognizer, tones: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "text.wav").write_text("no sound", encoding="utf-8")
    sources = [tmp_path / "text.wav", tones[0], tmp_path / "missing.wav", tones[1]]
    results = list(recognizer.transcribe_many(sources))
    assert [result.source for result in results] == sources
    assert [result.transcript is None for result in results] == [True, False, True, False]
    assert [isinstance(result.error, AudioError) for result in results] == [True, False, True, False]
    assert rounded(results[1].transcript) == rounded(recognizer.transcribe(tones[0]))


def test_recording_that_fails_alone_raises_its_error(recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"missing\.wav: cannot be opened"):
        recognizer.transcribe(tmp_path / "missing.wav")


def test_recording_shorter_than_a_frame_is_empty_and_says_why(recognizer: Recognizer, write_tone: WriteTone) -> None:
    transcript = recognizer.transcribe(write_tone("short.wav", 300.0, 511 / RATE))
    assert transcript == Transcript((), 511 / RATE, "lasts 31.9 ms, shorter than the 32.0 ms that the model needs")
    assert recognizer.transcribe(write_tone("enough.wav", 300.0, 512 / RATE)).duration == pytest.approx(0.032)


def test_silence_gives_an_explanation_instead_of_words(tiny_bundle: Bundle) -> None:
    recognizer = Recognizer(tiny_bundle, device="cpu", decoder=Fixed(()))
    transcript = recognizer.transcribe(np.zeros(RATE, np.float32), source_rate=RATE)
    assert transcript == Transcript((), 1.0, "digital silence: every sample is zero")


def test_long_recording_gives_what_its_chunks_give_each_shifted_to_its_place(
    tiny_bundle: Bundle, write_tone: WriteTone
) -> None:
    recognizer = Recognizer(tiny_bundle, device="cpu", segmentation=SegmenterConfig(max_speech_duration=2.0))
    tone, pause = load_audio(write_tone("a.wav", 300.0, 1.5), RATE), np.zeros(RATE, np.float32)
    recording = np.concatenate([tone, pause, tone, pause, tone])
    segmenter = Segmenter(SegmenterConfig(max_speech_duration=2.0), RATE)
    chunks = list(segmenter.split([recording]))
    assert len(chunks) == 3
    alone = [recognizer.transcribe(chunk.waveform, source_rate=RATE).segments[0].shift(chunk.start) for chunk in chunks]
    assert list(recognizer.segments(recording, source_rate=RATE)) == alone
    assert rounded(recognizer.transcribe(recording, source_rate=RATE)) == rounded(Transcript(tuple(alone), 6.5))


def test_segments_come_before_the_recording_is_read_to_its_end(tiny_bundle: Bundle, write_tone: WriteTone) -> None:
    class Tape(io.BytesIO):
        """Counts how far it has been read."""

        furthest = 0

        def read(self, size: int | None = -1) -> bytes:
            content = super().read(size)
            self.furthest = max(self.furthest, self.tell())
            return content

    path = write_tone("long.wav", 100.0, 400.0)
    tape = Tape(path.read_bytes())
    recognizer = Recognizer(tiny_bundle, device="cpu", segmentation=SegmenterConfig(max_speech_duration=2.0))
    next(recognizer.segments(tape))
    assert tape.furthest < path.stat().st_size / 2


def test_segments_and_progress_are_told_as_they_come(recognizer: Recognizer, tones: list[Path], tmp_path: Path) -> None:
    segments: list[tuple[int, Segment]] = []
    progress: list[float] = []
    sources = [tones[0], tmp_path / "missing.wav", *tones[1:]]
    results = recognizer.transcribe_many(
        sources, on_segment=lambda index, segment: segments.append((index, segment)), on_progress=progress.append
    )
    transcripts = [result.transcript for result in results]
    assert segments == [(i, segment) for i, each in enumerate(transcripts) if each for segment in each.segments]
    assert sum(progress) == pytest.approx(sum(transcript.duration for transcript in transcripts if transcript))


def test_alternatives_are_given_when_they_are_asked_for(tiny_bundle: Bundle, tones: list[Path]) -> None:
    decoding = DecodingConfig(decoder="beam", nbest=3, beam_size=20)
    [segment] = Recognizer(replace(tiny_bundle, decoding=decoding), device="cpu").transcribe(tones[1]).segments
    assert segment.alternatives[0].text == segment.text
    scores = [alternative.score for alternative in segment.alternatives]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert len({alternative.text for alternative in segment.alternatives}) == 3


def test_first_results_come_before_the_last_sources_are_read(recognizer: Recognizer) -> None:
    taken: list[int] = []

    def sources() -> Iterator[AudioSource]:
        for number in range(200):
            taken.append(number)
            yield np.zeros(RATE // 10, np.float32)

    next(recognizer.transcribe_many(sources(), batch_duration=0.5, source_rate=RATE))
    assert len(taken) < 100


def test_no_sources_give_no_results(recognizer: Recognizer) -> None:
    assert list(recognizer.transcribe_many([])) == []


def test_spaces_around_and_between_words_are_single(tiny_bundle: Bundle, tones: list[Path]) -> None:
    spaced = Fixed((1, 2, 1, 3, 1))
    assert Recognizer(tiny_bundle, device="cpu", decoder=spaced).transcribe(tones[0]).text == "a b"


def test_bundle_on_disk_is_opened_by_its_folder(bundle_folder: Path, tones: list[Path]) -> None:
    by_path, by_name = (Recognizer.from_bundle(folder, device="cpu") for folder in (bundle_folder, str(bundle_folder)))
    assert by_path.transcribe(tones[0]) == by_name.transcribe(tones[0])


def test_unknown_device_is_an_error_and_not_the_cpu(tiny_bundle: Bundle) -> None:
    with pytest.raises(DeviceError, match="device 'gpu' is unknown; expected auto, cpu, cuda, torch-cpu"):
        Recognizer(tiny_bundle, device="gpu")


def alternatives(segment: Segment) -> list[tuple[str, float]]:
    """List the alternatives of a segment."""
    return [(each.text, each.score) for each in segment.alternatives]


def spelled(bundle: Bundle, hypotheses: Sequence[Hypothesis]) -> list[tuple[str, Any]]:
    """Spell hypotheses as alternatives are spelled."""
    return [
        (" ".join(bundle.tokenizer.join(each.tokens).split()), pytest.approx(each.score, abs=1e-3))
        for each in hypotheses
    ]


SPOKEN = {"a": "P", "b": "Q", "cab": "P Q P", "bed": "Q Q"}


def test_hypotheses_are_rescored_by_their_phones_where_the_model_has_a_phone_head(
    tiny_bundle: Bundle, write_tone: WriteTone
) -> None:
    pronunciations = PronunciationDictionary(("P", "Q"), SPOKEN)
    network = export(add_phone_head(tiny_bundle.network, pronunciations.vocabulary_size))
    lm = unigrams(*SPOKEN)
    decoding = DecodingConfig("beam", nbest=4, lm_weight=0.1, phone_weight=3.0, phone_nbest=30)
    bundle = replace(tiny_bundle, network=network, lm=lm, pronunciations=pronunciations, decoding=decoding)
    waveform = load_audio(write_tone("tone.wav", 200.0, 1.3), RATE)
    recognizer = Recognizer(bundle, device="cpu")
    [segment] = recognizer.transcribe(waveform, source_rate=RATE).segments

    [posteriors] = recognizer.scorer.score([waveform])
    assert posteriors is not None
    first_pass = build_decoder(replace(decoding, nbest=30), bundle.tokenizer, DecodingModels(lm=lm)).first_pass
    hypotheses = first_pass.decode(posteriors)
    [rescored] = PhoneRescorer(pronunciations, bundle.tokenizer, 3.0).rescore([hypotheses], [posteriors])
    assert rescored[:4] != hypotheses[:4]  # the phones made a difference
    assert recognizer.decoder.recombiner is not None
    [recombined] = recognizer.decoder.recombiner.recombine([rescored], [posteriors])
    assert alternatives(segment) == spelled(bundle, recombined[:4])
    assert recombined[:4] != rescored[:4]


class ManyLetters:
    """Stands for a recurrent language model that likes long words."""

    def score(self, sentences: Sequence[Sequence[str]]) -> list[float]:
        return [float(sum(len(word) ** 2 for word in words)) for words in sentences]


def test_hypotheses_are_rescored_by_a_recurrent_language_model_where_there_is_one(
    tiny_bundle: Bundle, write_tone: WriteTone
) -> None:
    recurrent_lm: Any = ManyLetters()
    lm = unigrams(*SPOKEN)
    decoding = DecodingConfig("beam", nbest=3, lm_weight=0.1, recurrent_lm_weight=8.0, recurrent_lm_nbest=12)
    bundle = replace(tiny_bundle, lm=lm, recurrent_lm=recurrent_lm, decoding=decoding)
    waveform = load_audio(write_tone("tone.wav", 200.0, 1.3), RATE)
    recognizer = Recognizer(bundle, device="cpu")
    [segment] = recognizer.transcribe(waveform, source_rate=RATE).segments

    [posteriors] = recognizer.scorer.score([waveform])
    assert posteriors is not None
    first_pass = build_decoder(replace(decoding, nbest=12), bundle.tokenizer, DecodingModels(lm=lm)).first_pass
    hypotheses = first_pass.decode(posteriors)
    [rescored] = RecurrentRescorer(recurrent_lm, bundle.tokenizer, 8.0, 12).rescore([hypotheses], [posteriors])
    assert alternatives(segment) == spelled(bundle, rescored[:3])
    assert rescored[:3] != hypotheses[:3]  # it made a difference


@pytest.mark.parametrize("change", [{"phone_weight": 0.0}, {"decoder": "greedy"}])
def test_phones_make_no_difference_where_they_are_not_asked_for(tiny_bundle: Bundle, change: dict[str, Any]) -> None:
    pronunciations = PronunciationDictionary(("P",), {"a": "P"})
    network = export(add_phone_head(tiny_bundle.network, pronunciations.vocabulary_size))
    decoding = replace(DecodingConfig("beam", nbest=1), **change)
    plain = replace(tiny_bundle, lm=unigrams("a", "b"), decoding=decoding)
    waveform = np.sin(np.arange(RATE) * 0.1)
    with_phones = replace(plain, network=network, pronunciations=pronunciations)
    first, second = (
        Recognizer(bundle, device="cpu").transcribe(waveform, source_rate=RATE) for bundle in (plain, with_phones)
    )
    assert rounded(first) == rounded(second)


def test_text_is_aligned_with_its_recording(recognizer: Recognizer, tones: list[Path]) -> None:
    transcript = recognizer.transcribe(tones[5])
    alignment = recognizer.align(tones[5], transcript.text)
    assert alignment.matches
    assert alignment.loss == pytest.approx(0, abs=1e-5)  # the text is what the network prefers
    for word, placed in zip(transcript.words, alignment.transcript.words, strict=True):
        assert placed.text == word.text
        assert (placed.start, placed.end) == pytest.approx((word.start, word.end))


def test_alignment_is_that_of_the_chosen_channel_at_the_rate_of_the_model(
    recognizer: Recognizer, tones: list[Path], tmp_path: Path
) -> None:
    left, right = (load_audio(tones[index], RATE) for index in (0, 4))
    stereo = tmp_path / "stereo.wav"
    soundfile: Any = pytest.importorskip("soundfile")
    soundfile.write(stereo, np.stack([left, right], axis=1), RATE, subtype="PCM_16")
    aligner = TextAligner(recognizer.scorer, recognizer.bundle.tokenizer, recognizer.bundle.timing)
    for channel, waveform in enumerate((left, right)):
        assert recognizer.align(stereo, "A cab.\nBed!", channel=channel) == aligner.align(waveform, "A cab.\nBed!")
    save_audio(tmp_path / "8k.wav", left[::2], RATE // 2)
    assert recognizer.align(tmp_path / "8k.wav", "a").transcript.duration == pytest.approx(len(left) / RATE, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [("0.wav", "?!", AlignmentError), ("0.wav", "zebra", VocabularyError), ("none.wav", "a", AudioError)],
)
def test_text_that_cannot_be_aligned_is_refused(
    recognizer: Recognizer, tones: list[Path], name: str, text: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        recognizer.align(tones[0].with_name(name), text)


# Until asr.lm.recurrent comes without torch, asr.bundle imports it.
_NEEDS_TORCH = "import torch" in Path(sys.modules["asr.lm.recurrent"].__file__ or "").read_text(encoding="utf-8")


@pytest.mark.skipif(_NEEDS_TORCH, reason="asr.lm.recurrent imports torch")
@pytest.mark.parametrize(
    "settings",
    [
        "path, decoding={'decoder': 'greedy'}",
        "path, decoding={'decoder': 'beam'}",
        pytest.param("None", marks=pytest.mark.skipif(not (ENGLISH_MODEL / GRAPH_FILE).exists(), reason="no graph")),
    ],
)
def test_a_recording_is_transcribed_and_aligned_on_a_cpu_without_torch(
    bundle_folder: Path, tones: list[Path], settings: str
) -> None:
    code = (
        "import sys; sys.modules['torch'] = None  # importing it fails\n"
        "from asr.recognition.recognizer import Recognizer; path, tone = sys.argv[1:]\n"
        f"recognizer = Recognizer.from_bundle({settings})\n"
        "print(recognizer.transcribe(tone).duration, recognizer.align(tone, 'a').transcript.text)\n"
        "loaded = {name for name, module in sys.modules.items() if module}\n"
        "print(*{'torch', 'torchaudio', 'librosa', 'matplotlib'} & loaded)"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code, str(bundle_folder), str(tones[3])]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "0.9 a\n\n"


@pytest.mark.parametrize(("device", "expected"), [("cpu", "Transcript"), ("torch-cpu", "DeviceError")])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_recogniser_that_was_opened_before_a_fork_works_or_raises(
    bundle_folder: Path, write_tone: Callable[[str, float, float], Path], device: str, expected: str
) -> None:
    recording = write_tone("a.wav", 300.0, 0.8)
    code = (
        "import sys, warnings, multiprocessing; from asr import Recognizer\n"
        "recognizer = Recognizer.from_bundle(sys.argv[1], device=sys.argv[2])\n"
        "recognizer.transcribe(sys.argv[3])\n"
        "def work():\n"
        "    try: print(type(recognizer.transcribe(sys.argv[3])).__name__)\n"
        "    except Exception as error: print(type(error).__name__)\n"
        "child = multiprocessing.get_context('fork').Process(target=work)\n"
        "child.start(); child.join(30); print(child.exitcode); child.kill()"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(bundle_folder), device, str(recording)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).resolve().parents[2])
    assert run.stdout.split() == [expected, "0"]


def test_what_is_no_recording_is_an_error_of_that_source_alone(recognizer: Recognizer, tones: list[Path]) -> None:
    sources: list[Any] = [b"abc", tones[0], None]  # what a program may pass by mistake
    results = list(recognizer.transcribe_many(sources))
    assert [str(result.error) for result in results if result.error] == [
        "a bytes is no recording; give a path, a binary file object or an array of samples",
        "a NoneType is no recording; give a path, a binary file object or an array of samples",
    ]
    assert results[1].transcript is not None


def test_plain_text_for_hot_words_is_refused_with_the_remedy(tiny_bundle: Bundle) -> None:
    decoding = replace(tiny_bundle, decoding=DecodingConfig("beam"))
    with pytest.raises(ASRError, match="'abc' is no HotWord; make one of it with parse_hot_words"):
        Recognizer(decoding, device="cpu", hot_words=["abc"])  # type: ignore[list-item]  # that is the mistake
