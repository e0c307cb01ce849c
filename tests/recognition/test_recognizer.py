"""The composed path: order, company and failures change no transcript, and training hears what recognition hears."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.acoustic.phone_head import PhoneHead
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.audio import AudioSource, load_audio
from asr.bundle import Bundle
from asr.data.dataset import SpeechDataset, collate
from asr.data.manifest import Utterance
from asr.data.sampler import Draw
from asr.decoding import DecodingConfig, Hypothesis, build_decoder
from asr.decoding.greedy import GreedyDecoder
from asr.decoding.rescoring import PhoneRescorer, RecurrentRescorer
from asr.errors import AudioError, DeviceError
from asr.lm.ngram import SPECIAL_WORDS
from asr.lm.recurrent import RecurrentLM, RecurrentLMConfig
from asr.recognition.recognizer import Recognizer
from asr.segmentation import Segmenter, SegmenterConfig
from asr.transcript import Segment, Transcript
from tests.decoding.test_lexicon import unigrams

RATE = 16_000

WriteTone = Callable[[str, float, float], Path]


class Fixed:
    """Reads the same in everything."""

    def __init__(self, tokens: tuple[int, ...]) -> None:
        self.tokens = tokens

    def decode(self, log_probs: torch.Tensor) -> list[Hypothesis]:
        return [Hypothesis(self.tokens, 0.0)]


def rounded(transcript: Transcript | None) -> Transcript:
    """Forget what padding does to the last digits of a confidence."""
    assert transcript is not None
    segments = [
        replace(segment, words=tuple(replace(word, confidence=round(word.confidence, 4)) for word in segment.words))
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
    assert [rounded(result.transcript) for result in together] == [rounded(transcript) for transcript in alone]
    assert len({transcript.text for transcript in alone}) == len(tones)  # else the model tells us nothing


def test_batch_holds_like_lengths_and_no_more_padded_sound_than_asked_for(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[torch.Size] = []
    hear = recognizer.model.hear

    def watch(waveforms: torch.Tensor, waveform_lengths: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        shapes.append(waveforms.shape)
        return hear(waveforms, waveform_lengths)

    monkeypatch.setattr(recognizer.model, "hear", watch)
    sources = [np.zeros(round(duration * RATE), np.float32) for duration in (0.5, 2.0, 0.5, 0.75, 0.5, 3.5)]
    list(recognizer.transcribe_many(sources, batch_duration=3.0, source_rate=RATE))
    assert [(count, num_samples / RATE) for count, num_samples in shapes] == [(4, 0.75), (1, 2.0), (1, 3.5)]


def test_transcript_spans_the_recording(recognizer: Recognizer, tones: list[Path]) -> None:
    transcript = recognizer.transcribe(tones[3])
    assert [(segment.start, segment.end) for segment in transcript.segments] == [(0.0, 0.9)]
    assert transcript.duration == pytest.approx(0.9)
    assert all(0 <= word.start <= word.end <= 0.9 and 0 <= word.confidence <= 1 for word in transcript.words)


def test_training_in_evaluation_mode_gives_what_recognition_gives(
    recognizer: Recognizer, tiny_bundle: Bundle, tones: list[Path]
) -> None:
    utterances = [Utterance(tone, 1.0, "", tone.stem) for tone in tones]
    dataset = SpeechDataset(utterances, tiny_bundle.tokenizer, tiny_bundle.model.sample_rate)
    batch = collate([dataset[Draw(index, 0)] for index in range(len(dataset))])
    with torch.inference_mode():
        log_probs, lengths = tiny_bundle.model.eval()(batch.waveforms, batch.waveform_lengths)
    best = [GreedyDecoder().decode(matrix[:length])[0] for matrix, length in zip(log_probs, lengths, strict=True)]
    texts = [" ".join(tiny_bundle.tokenizer.join(hypothesis.tokens).split()) for hypothesis in best]
    assert texts == [recognizer.transcribe(tone).text for tone in tones]


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
    assert [type(result.error) for result in results] == [AudioError, type(None), AudioError, type(None)]
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


def test_missing_cuda_is_an_error_where_it_is_asked_for_and_none_where_it_is_not(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="device cuda was asked for, but PyTorch finds no CUDA device"):
        Recognizer(tiny_bundle, device="cuda")
    assert Recognizer(tiny_bundle, device="auto").device == torch.device("cpu")


def test_unknown_device_is_an_error_and_not_the_cpu(tiny_bundle: Bundle) -> None:
    with pytest.raises(DeviceError, match="device 'gpu' is unknown; expected auto, cpu or cuda"):
        Recognizer(tiny_bundle, device="gpu")


def test_readings_are_compared_by_their_phones_where_the_model_names_them(
    tiny_bundle: Bundle, write_tone: WriteTone
) -> None:
    torch.manual_seed(0)
    spoken = {"a": "P", "b": "Q", "cab": "P Q P", "bed": "Q Q"}
    head = PhoneHead(PronunciationDictionary(("P", "Q"), spoken), 1, tiny_bundle.model.layer_size)
    lm = unigrams(*spoken)
    decoding = DecodingConfig("beam", nbest=4, lm_weight=0.1, phone_weight=3.0, phone_nbest=30)
    bundle = replace(tiny_bundle, lm=lm, phones=head, decoding=decoding)
    waveform = load_audio(write_tone("tone.wav", 200.0, 1.3), RATE)
    [segment] = Recognizer(bundle, device="cpu").transcribe(waveform, source_rate=RATE).segments

    with torch.inference_mode():
        hidden, _ = bundle.model.hear(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
        [log_probs] = bundle.model.classify(hidden[-1])
        phone_log_probs = head(hidden[0])[:, 0]
    readings = build_decoder(replace(decoding, nbest=30), bundle.tokenizer, lm).decode(log_probs)
    rescored = PhoneRescorer(head.pronunciations, bundle.tokenizer, 3.0).rescore(readings, phone_log_probs)
    texts = [" ".join(bundle.tokenizer.join(each.tokens).split()) for each in rescored[:4]]
    assert [each.text for each in segment.alternatives] == texts
    assert [each.score for each in segment.alternatives] == pytest.approx(
        [each.score for each in rescored[:4]], abs=1e-3
    )
    assert rescored[:4] != readings[:4]  # the phones had a say


def test_readings_are_compared_by_a_recurrent_language_model_where_there_is_one(
    tiny_bundle: Bundle, write_tone: WriteTone
) -> None:
    torch.manual_seed(0)
    words = ("a", "b", "cab", "bed")
    recurrent_lm = RecurrentLM(RecurrentLMConfig(16, 8, (5,)), (*SPECIAL_WORDS, *words)).eval()
    decoding = DecodingConfig("beam", nbest=3, lm_weight=0.1, recurrent_lm_weight=8.0, recurrent_lm_nbest=12)
    bundle = replace(tiny_bundle, lm=unigrams(*words), recurrent_lm=recurrent_lm, decoding=decoding)
    waveform = load_audio(write_tone("tone.wav", 200.0, 1.3), RATE)
    [segment] = Recognizer(bundle, device="cpu").transcribe(waveform, source_rate=RATE).segments

    [log_probs] = Recognizer(tiny_bundle, device="cpu").log_probs([waveform])
    readings = build_decoder(replace(decoding, nbest=12), bundle.tokenizer, bundle.lm).decode(log_probs)
    [rescored] = RecurrentRescorer(recurrent_lm, bundle.tokenizer, 8.0, 12).rescore([readings])
    texts = [" ".join(bundle.tokenizer.join(each.tokens).split()) for each in rescored[:3]]
    assert [each.text for each in segment.alternatives] == texts
    assert rescored[:3] != readings[:3]  # it had a say


@pytest.mark.parametrize("change", [{"phone_weight": 0.0}, {"decoder": "greedy"}])
def test_phones_have_no_say_where_they_are_not_asked(tiny_bundle: Bundle, change: dict[str, object]) -> None:
    head = PhoneHead(PronunciationDictionary(("P",), {"a": "P"}), 1, tiny_bundle.model.layer_size)
    decoding = replace(DecodingConfig("beam", nbest=1), **change)  # type: ignore[arg-type]  # that is the point
    bundle = replace(tiny_bundle, lm=unigrams("a", "b"), phones=head, decoding=decoding)
    waveform = np.sin(np.arange(RATE, dtype=np.float32) * np.float32(0.1))
    plain = Recognizer(replace(bundle, phones=None), device="cpu").transcribe(waveform, source_rate=RATE)
    assert Recognizer(bundle, device="cpu").transcribe(waveform, source_rate=RATE) == plain
