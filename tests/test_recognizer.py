"""The composed path: order, company and failures change no transcript, and training hears what recognition hears."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from asr.audio import AudioSource, load_audio
from asr.bundle import Bundle
from asr.data.dataset import SpeechDataset, collate
from asr.data.manifest import Utterance
from asr.data.sampler import Draw
from asr.decoding import Hypothesis
from asr.decoding.greedy import GreedyDecoder
from asr.errors import AudioError, DeviceError
from asr.recognizer import Recognizer
from asr.transcript import Segment, Transcript

RATE = 16_000

WriteTone = Callable[[str, float, float], Path]


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
    assert [result.transcript for result in together] == alone
    assert len({transcript.text for transcript in alone}) == len(tones)  # else the model tells us nothing


def test_batch_holds_like_lengths_and_no_more_padded_sound_than_asked_for(recognizer: Recognizer) -> None:
    shapes: list[torch.Size] = []
    recognizer.model.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape))
    sources = [torch.zeros(round(duration * RATE)) for duration in (0.5, 2.0, 0.5, 0.75, 0.5, 3.5)]
    list(recognizer.transcribe_many(sources, batch_duration=3.0, source_rate=RATE))
    assert [(count, num_samples / RATE) for count, num_samples in shapes] == [(4, 0.75), (1, 2.0), (1, 3.5)]


def test_transcript_spans_the_recording(recognizer: Recognizer, tones: list[Path]) -> None:
    transcript = recognizer.transcribe(tones[3])
    assert transcript == Transcript((Segment(0.0, 0.9, transcript.text),), 0.9)


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
    assert recognizer.transcribe(samples.numpy(), source_rate=RATE) == recognizer.transcribe(path)


def test_channel_chooses_among_the_channels(recognizer: Recognizer, tones: list[Path]) -> None:
    left, right = (load_audio(tones[index], RATE) for index in (0, 4))
    stereo = torch.stack([left, right])
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
    assert results[1].transcript == recognizer.transcribe(tones[0])


def test_recording_that_fails_alone_raises_its_error(recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"missing\.wav: cannot be opened"):
        recognizer.transcribe(tmp_path / "missing.wav")


def test_recording_shorter_than_a_frame_is_refused_with_both_lengths(
    recognizer: Recognizer, write_tone: WriteTone
) -> None:
    path = write_tone("short.wav", 300.0, 511 / RATE)
    with pytest.raises(AudioError, match=f"^{path}: lasts 0.0319 s, shorter than one frame of 0.0320 s"):
        recognizer.transcribe(path)
    assert recognizer.transcribe(write_tone("enough.wav", 300.0, 512 / RATE)).duration == pytest.approx(0.032)


def test_first_results_come_before_the_last_sources_are_read(recognizer: Recognizer) -> None:
    taken: list[int] = []

    def sources() -> Iterator[AudioSource]:
        for number in range(200):
            taken.append(number)
            yield torch.zeros(RATE // 10)

    next(recognizer.transcribe_many(sources(), batch_duration=0.5, source_rate=RATE))
    assert len(taken) < 100


def test_no_sources_give_no_results(recognizer: Recognizer) -> None:
    assert list(recognizer.transcribe_many([])) == []


def test_spaces_around_and_between_words_are_single(tiny_bundle: Bundle, tones: list[Path]) -> None:
    class Fixed:
        """Reads the same in everything: spaces, "a", spaces, "b"."""

        def decode(self, log_probs: torch.Tensor) -> list[Hypothesis]:
            return [Hypothesis((1, 1, 2, 1, 1, 3, 1), 0.0)]

    assert Recognizer(tiny_bundle, device="cpu", decoder=Fixed()).transcribe(tones[0]).text == "a b"


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
