"""Given texts in recordings: windows, lines and words, and what does not match."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from asr.acoustic.config import ModelConfig
from asr.acoustic.model import AcousticModel
from asr.alignment.ctc import WordTiming
from asr.alignment.text import TextAligner, TextAlignment, windowed_log_probs
from asr.bundle import Bundle
from asr.errors import AlignmentError, VocabularyError
from asr.tokenizer import CharTokenizer
from asr.transcript import Segment, Transcript, Word

SAMPLES_PER_FRAME = 480
TOKENIZER = CharTokenizer(tuple(" abcdefghij"))
Align = Callable[..., TextAlignment]


class FirstSample(AcousticModel):
    """Tells the first sample of each frame, so that its output is known."""

    def forward(
        self, waveforms: Tensor, waveform_lengths: Tensor, spec_augment: object = None
    ) -> tuple[Tensor, Tensor]:
        """Give the first sample of each frame, three times."""
        lengths = self.num_frames(waveform_lengths)
        return waveforms[:, ::SAMPLES_PER_FRAME, None].expand(-1, -1, 3)[:, : int(lengths.max())], lengths


@pytest.fixture
def align_heard(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Bundle) -> Align:
    """Align a text with a recording in which another was heard, a character every third frame from the third on."""

    def align_heard(text: str, heard: str, tokenizer: CharTokenizer = TOKENIZER) -> TextAlignment:
        scores = torch.zeros(3 * len(heard) + 3, tokenizer.vocabulary_size)
        scores[:, 0] = 5.0
        for index, token in enumerate(tokenizer.encode(heard)):
            scores[3 * index + 3, token] = 12.0
        log_probs = scores.log_softmax(dim=1)
        monkeypatch.setattr("asr.alignment.text.windowed_log_probs", lambda *arguments: log_probs)
        waveform = np.zeros(len(log_probs) * SAMPLES_PER_FRAME, np.float32)
        return TextAligner(tiny_bundle.model, tokenizer, WordTiming()).align(waveform, text)

    return align_heard


def times(words: Sequence[Word | Segment]) -> list[tuple[str, float, float]]:
    """List texts with their frames."""
    return [(word.text, round(word.start / 0.03, 3), round(word.end / 0.03, 3)) for word in words]


@pytest.mark.parametrize("num_samples", [0, 511, 512, 16_000, 30 * 16_000, 31 * 16_000 + 7, 100 * 16_000 + 479])
@pytest.mark.parametrize("batch_duration", [1.0, 160.0])
def test_windows_give_the_frames_of_the_whole(num_samples: int, batch_duration: float) -> None:
    model = FirstSample(ModelConfig(num_layers=1, hidden_size=4, conv_channels=4), 3)
    waveform = np.arange(num_samples, dtype=np.float32)
    log_probs = windowed_log_probs(model, waveform, batch_duration)
    num_frames = int(model.num_frames(torch.tensor(num_samples)))
    assert log_probs[:, 0].tolist() == [SAMPLES_PER_FRAME * frame for frame in range(num_frames)]


def test_recording_within_a_window_is_heard_as_a_whole(tiny_bundle: Bundle) -> None:
    waveform = 0.1 * torch.randn(29 * 16_000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, _ = tiny_bundle.model(waveform[None], torch.tensor([len(waveform)]))
    assert windowed_log_probs(tiny_bundle.model, waveform.numpy(), 160.0).equal(expected[0])


def test_lines_become_segments_and_their_words_stand_where_they_were_heard(align_heard: Align) -> None:
    alignment = align_heard("Ab, c!\n\n  DE\n", "ab c de")
    assert [segment.text for segment in alignment.transcript.segments] == ["ab c", "de"]
    assert times(alignment.transcript.words) == [("ab", 3, 7), ("c", 12, 13), ("de", 18, 22)]
    assert times(alignment.transcript.segments) == [("ab c", 3, 13), ("de", 18, 22)]
    assert alignment.transcript.duration == pytest.approx(24 * 0.03)


def test_each_word_has_its_characters(align_heard: Align) -> None:
    alignment = align_heard("ab c", "ab c")
    assert [times(word) for word in alignment.characters] == [[("a", 3, 5), ("b", 5, 7)], [("c", 12, 13)]]


def test_alphabet_without_a_space_takes_a_line_as_a_word(align_heard: Align) -> None:
    alignment = align_heard("ab cd\nef", "abcdef", CharTokenizer(tuple("abcdef")))
    assert times(alignment.transcript.words) == [("abcd", 3, 13), ("ef", 15, 19)]


def test_right_text_has_no_mismatch(align_heard: Align) -> None:
    alignment = align_heard("abc def ghi", "abc def ghi")
    assert alignment.matches
    assert (alignment.mismatches, alignment.loss, alignment.mismatched) == ((), 0.0, 0.0)


def test_words_that_were_not_said_are_named_with_their_place(align_heard: Align) -> None:
    right = "abc def ghi abc def ghi"
    alignment = align_heard(f"{right} jjjj aaaa {right}", f"{right} bdbe fcfd {right}")
    [mismatch] = alignment.mismatches
    assert alignment.matches
    assert mismatch.text == "jjjj aaaa"
    assert 3 * 24 <= mismatch.start / 0.03 <= 3 * 26
    assert 3 * 31 <= mismatch.end / 0.03 <= 3 * 35


def test_speech_that_the_text_lacks_is_named_with_its_place(align_heard: Align) -> None:
    right = "abc def ghi abc def ghi"
    alignment = align_heard(f"{right} {right}", f"{right} jfjcjbj {right}")
    [mismatch] = alignment.mismatches
    assert alignment.matches
    assert mismatch.text == ""
    assert 3 * 24 <= mismatch.start / 0.03 <= 3 * 26
    assert 3 * 30 <= mismatch.end / 0.03 <= 3 * 34


def test_wrong_text_does_not_match(align_heard: Align) -> None:
    alignment = align_heard("abc abc abc abc abc", "defdefdefghighighig")
    assert not alignment.matches
    assert alignment.loss > 2.2


def test_short_wrong_text_that_finds_frames_to_suit_it_does_not_match(align_heard: Align) -> None:
    alignment = align_heard("aa", "abcdefghijabcdefghijabcdefghij")
    assert alignment.loss < 0.1
    assert not alignment.matches


def test_json_holds_the_transcript_with_characters_and_mismatches(align_heard: Align) -> None:
    alignment = align_heard("ab c", "ab c")
    fields = alignment.to_dict()
    assert Transcript.from_dict(fields) == alignment.transcript
    assert [[character["text"] for character in word] for word in fields["characters"]] == [["a", "b"], ["c"]]
    assert fields["characters"][1][0]["confidence"] == pytest.approx(alignment.transcript.words[1].confidence)
    assert fields["mismatches"] == []


def test_confidence_of_a_word_is_what_its_frames_say(align_heard: Align) -> None:
    [word] = align_heard("a", "a").transcript.words
    assert word.confidence == pytest.approx(math.exp(12) / (math.exp(12) + math.exp(5) + 10))


@pytest.mark.parametrize("text", ["", " \n", "?!"])
def test_text_without_words_is_refused(align_heard: Align, text: str) -> None:
    with pytest.raises(AlignmentError, match="holds no word to align"):
        align_heard(text, "abc")


def test_characters_outside_the_alphabet_are_named(align_heard: Align) -> None:
    with pytest.raises(VocabularyError, match=r"the alphabet lacks \['7', 'x'\]"):
        align_heard("a 7 x", "abc")


def test_text_too_long_for_its_recording_is_refused(align_heard: Align) -> None:
    with pytest.raises(AlignmentError, match="needs 29 frames, but the recording has 6"):
        align_heard("abc def ghi abc def ghi abcde", "a")
