"""Given texts in recordings: lines, words and characters, and what does not match."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from asr.acoustic.config import ModelConfig
from asr.acoustic.network import Network
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.runtime import open_runtime
from asr.acoustic.scorer import AcousticScorer
from asr.alignment.ctc import WordTiming
from asr.alignment.text import TextAligner, TextAlignment
from asr.audio import Waveform
from asr.errors import AlignmentError, VocabularyError
from asr.tokenizer import CharTokenizer
from asr.transcript import Segment, Transcript, Word
from tests.decoding.arrays import Matrix, log_softmax

SAMPLES_PER_FRAME = 480
TOKENIZER = CharTokenizer(tuple(" abcdefghij"))


class Scripted:
    """Stands for a scorer: the same log-probabilities for every recording."""

    def __init__(self, log_probs: Matrix) -> None:
        self.config = ModelConfig()
        self.log_probs = log_probs

    def score_blocks(self, blocks: Iterable[Waveform], *, batch_duration: float, phones: bool) -> Posteriors:
        list(blocks)
        return Posteriors(self.log_probs)


def align(text: str, spoken: str, tokenizer: CharTokenizer = TOKENIZER) -> TextAlignment:
    """Align a text with a recording of another, which has a character in every third frame from the third on."""
    scores = np.zeros((3 * len(spoken) + 3, tokenizer.vocabulary_size))
    scores[:, 0] = 5.0
    for index, token in enumerate(tokenizer.encode(spoken)):
        scores[3 * index + 3, token] = 12.0
    scorer: Any = Scripted(log_softmax(scores))
    waveform = np.zeros(len(scores) * SAMPLES_PER_FRAME, np.float32)
    return TextAligner(scorer, tokenizer, WordTiming()).align(waveform, text)


def times(words: Sequence[Word | Segment]) -> list[tuple[str, float, float]]:
    """List texts with their frames."""
    return [(word.text, round(word.start / 0.03, 3), round(word.end / 0.03, 3)) for word in words]


def test_lines_become_segments_and_their_words_stand_where_they_were_spoken() -> None:
    alignment = align("Ab, c!\n\n  DE\n", "ab c de")
    assert [segment.text for segment in alignment.transcript.segments] == ["ab c", "de"]
    assert times(alignment.transcript.words) == [("ab", 3, 7), ("c", 12, 13), ("de", 18, 22)]
    assert times(alignment.transcript.segments) == [("ab c", 3, 13), ("de", 18, 22)]
    assert alignment.transcript.duration == pytest.approx(24 * 0.03)


def test_each_word_has_its_characters() -> None:
    alignment = align("ab c", "ab c")
    assert [times(word) for word in alignment.characters] == [[("a", 3, 5), ("b", 5, 7)], [("c", 12, 13)]]


def test_alphabet_without_a_space_takes_a_line_as_a_word() -> None:
    alignment = align("ab cd\nef", "abcdef", CharTokenizer(tuple("abcdef")))
    assert times(alignment.transcript.words) == [("abcd", 3, 13), ("ef", 15, 19)]


def test_right_text_has_no_mismatch() -> None:
    alignment = align("abc def ghi", "abc def ghi")
    assert alignment.matches
    assert (alignment.mismatches, alignment.loss, alignment.mismatched) == ((), 0.0, 0.0)


def test_words_that_were_not_said_are_named_with_their_time() -> None:
    right = "abc def ghi abc def ghi"
    alignment = align(f"{right} jjjj aaaa {right}", f"{right} bdbe fcfd {right}")
    [mismatch] = alignment.mismatches
    assert alignment.matches
    assert mismatch.text == "jjjj aaaa"
    assert 3 * 24 <= mismatch.start / 0.03 <= 3 * 26
    assert 3 * 31 <= mismatch.end / 0.03 <= 3 * 35


def test_speech_that_the_text_lacks_is_named_with_its_time() -> None:
    right = "abc def ghi abc def ghi"
    alignment = align(f"{right} {right}", f"{right} jfjcjbj {right}")
    [mismatch] = alignment.mismatches
    assert alignment.matches
    assert mismatch.text == ""
    assert 3 * 24 <= mismatch.start / 0.03 <= 3 * 26
    assert 3 * 30 <= mismatch.end / 0.03 <= 3 * 34


def test_wrong_text_does_not_match() -> None:
    alignment = align("abc abc abc abc abc", "defdefdefghighighig")
    assert not alignment.matches
    assert alignment.loss > 2.2


def test_short_wrong_text_that_finds_frames_to_suit_it_does_not_match() -> None:
    alignment = align("aa", "abcdefghijabcdefghijabcdefghij")
    assert alignment.loss < 0.1
    assert not alignment.matches


def test_json_holds_the_transcript_with_characters_and_mismatches() -> None:
    alignment = align("ab c", "ab c")
    fields = alignment.to_dict()
    assert Transcript.from_dict(fields).to_dict() == alignment.transcript.to_dict()
    assert [[character["text"] for character in word] for word in fields["characters"]] == [["a", "b"], ["c"]]
    assert fields["characters"][1][0]["confidence"] == pytest.approx(alignment.transcript.words[1].confidence, abs=1e-4)
    assert fields["mismatches"] == []


def test_confidence_of_a_word_is_what_its_frames_say() -> None:
    [word] = align("a", "a").transcript.words
    assert word.confidence == pytest.approx(math.exp(12) / (math.exp(12) + math.exp(5) + 10))


@pytest.mark.parametrize("text", ["", " \n", "?!"])
def test_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(AlignmentError, match="holds no word to align"):
        align(text, "abc")


def test_characters_outside_the_alphabet_are_named() -> None:
    with pytest.raises(
        VocabularyError, match=r"the alphabet lacks \['7', 'x'\]: line 2, '7!': the alphabet lacks \['7'\]"
    ):
        align("\n7!\nx", "abc")


def test_a_word_that_cannot_be_spelled_is_named_and_the_others_are_timed() -> None:
    alignment = align("Ab, 15.09.\nc de x", "ab c de")
    assert [(word.line, word.text, word.unknown) for word in alignment.skipped] == [
        (1, "15.09.", ("0", "1", "5", "9")),
        (2, "x", ("x",)),
    ]
    assert times(alignment.transcript.words) == [
        ("ab", 3, 7),
        ("15", 7, 9.5),
        ("09", 9.5, 12),
        ("c", 12, 13),
        ("de", 18, 22),
        ("x", 22, 24),
    ]
    assert [word.confidence for word in alignment.transcript.words][1::4] == [0.0, 0.0]
    assert [len(characters) for characters in alignment.characters] == [2, 0, 0, 1, 2, 0]
    assert [segment.text for segment in alignment.transcript.segments] == ["ab 15 09", "c de x"]
    restored = Transcript.from_dict(alignment.to_dict())
    assert [word.to_dict() for word in restored.words] == [word.to_dict() for word in alignment.transcript.words]
    assert alignment.to_dict()["skipped"][1] == {"line": 2, "text": "x", "unknown": ("x",)}


def test_base_letters_stand_for_accents_that_the_alphabet_lacks() -> None:
    alignment = align("\u00e0b \u00e7 \u00c6", "ab c ae")
    assert alignment.skipped == ()
    assert times(alignment.transcript.words) == [("\u00e0b", 3, 7), ("\u00e7", 12, 13), ("\u00e6", 18, 22)]
    assert [character.text for character in alignment.characters[2]] == ["a", "e"]


def test_a_line_of_an_alphabet_without_a_space_goes_on_without_what_it_lacks() -> None:
    alignment = align("ab 7 cd\n8", "abcd", CharTokenizer(tuple("abcdef")))
    assert times(alignment.transcript.words) == [("abcd", 3, 13)]
    assert [word.text for word in alignment.skipped] == ["7", "8"]


def test_text_too_long_for_its_recording_is_refused() -> None:
    with pytest.raises(AlignmentError, match="needs 29 frames, but the recording has 6"):
        align("abc def ghi abc def ghi abcde", "a")


@pytest.mark.parametrize("num_samples", [0, 511])
def test_recording_without_a_frame_is_refused(tiny_network: Network, num_samples: int) -> None:
    scorer = AcousticScorer(open_runtime(tiny_network, "cpu"), tiny_network.config)
    aligner = TextAligner(scorer, CharTokenizer(tuple(" abcdeé")), WordTiming())
    with pytest.raises(AlignmentError, match="needs 3 frames, but the recording has 0"):
        aligner.align(np.zeros(num_samples, np.float32), "abc")
