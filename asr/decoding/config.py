"""How posteriors are decoded: plain settings, kept with the model."""

from dataclasses import dataclass
from typing import Literal, get_args

from asr.arguments import require_types
from asr.errors import SettingsError

DecoderName = Literal["greedy", "beam"]

MAX_HYPOTHESES = 10_000  # more take gigabytes and change nothing
MAX_SCORE = 1000.0  # e^1000: beyond it sums lose what was recognised


@dataclass(frozen=True)
class DecodingConfig:
    """Settings of the decoder; all scores are natural logarithms, and only the beam search uses them.

    The first pass gives a text the score
    `log P_ctc + lm_weight * log P_lm - internal_lm_weight * log P_internal + word_score * words
    + unknown_score * unknown_words + unknown_letter_score * letters_of_unknown_words + boosts of hot words`.

    Attributes:
        decoder: `greedy` takes the likeliest token of each frame; `beam` searches, with a language model if there is
            one.
        beam_size: Prefixes kept in each frame, from 1 to 10000.
        beam_threshold: A prefix that scores this far below the best is dropped, above 0.
        nbest: Hypotheses to return, from 1 to `beam_size`.
        lm_weight: Weight of the n-gram language model, at least 0.
        internal_lm_weight: Weight of the internal language model, which is subtracted, at least 0.
        phone_weight: Weight of the phones in the second pass, at least 0; 0 turns it off.
        phone_nbest: Hypotheses rescored by phones, from 1 to 10000.
        recurrent_lm_weight: Weight of the recurrent language model in the second pass, at least 0; 0 turns it off.
        recurrent_lm_nbest: Hypotheses rescored by the recurrent language model, from 1 to 10000.
        word_score: Added for each word; a positive score favours more and shorter words.
        unknown_score: Added for each word outside the vocabulary of the language model, at most 0; none allows no such
            word.
        unknown_letter_score: Added for each letter of such a word, at most 0, so that long ones cost more.
        min_certainty: Text of which the network is less sure than this, from 0 to 1, is taken for noise or music and
            left out; 0 keeps all. The greedy decoder uses it too.
    """

    decoder: DecoderName = "greedy"
    beam_size: int = 100
    beam_threshold: float = 15.0
    nbest: int = 1
    lm_weight: float = 0.8
    internal_lm_weight: float = 0.3
    phone_weight: float = 0.5
    phone_nbest: int = 100
    recurrent_lm_weight: float = 0.5
    recurrent_lm_nbest: int = 20
    word_score: float = 1.0
    # One price, however long the word: at -10, badly recognised stretches ran together into words of forty letters
    # (35.8 % of words wrong on two development corpora, 35.4 % at -16 and where no unknown word is allowed).
    unknown_score: float | None = -16.0
    unknown_letter_score: float = 0.0
    min_certainty: float = 0.0

    def __post_init__(self) -> None:
        """Check types and ranges."""
        require_types(self)
        if self.decoder not in get_args(DecoderName):
            raise SettingsError(f"decoder is {self.decoder!r}, but must be one of {', '.join(get_args(DecoderName))}")
        for name in ("beam_size", "phone_nbest", "recurrent_lm_nbest"):
            if not 1 <= getattr(self, name) <= MAX_HYPOTHESES:
                raise SettingsError(f"{name} is {getattr(self, name)}, but must be from 1 to {MAX_HYPOTHESES}")
        if not self.beam_threshold > 0:
            raise SettingsError(f"beam_threshold is {self.beam_threshold}, but must be above 0")
        if not 1 <= self.nbest <= self.beam_size:
            raise SettingsError(f"nbest is {self.nbest}, but must be from 1 to beam_size, {self.beam_size}")
        if not 0 <= self.min_certainty <= 1:
            raise SettingsError(f"min_certainty is {self.min_certainty}, but must be from 0 to 1")
        self._check_scores()

    def _check_scores(self) -> None:
        """Check what is added up."""
        for name in ("lm_weight", "internal_lm_weight", "phone_weight", "recurrent_lm_weight"):
            if not 0 <= getattr(self, name) <= MAX_SCORE:
                raise SettingsError(f"{name} is {getattr(self, name)}, but must be from 0 to {MAX_SCORE:g}")
        if not abs(self.word_score) <= MAX_SCORE:
            raise SettingsError(f"word_score is {self.word_score}, but must be from {-MAX_SCORE:g} to {MAX_SCORE:g}")
        if self.unknown_score is not None and not -MAX_SCORE <= self.unknown_score <= 0:
            raise SettingsError(f"unknown_score is {self.unknown_score}, but must be from {-MAX_SCORE:g} to 0, or none")
        if not -MAX_SCORE <= self.unknown_letter_score <= 0:
            raise SettingsError(
                f"unknown_letter_score is {self.unknown_letter_score}, but must be from {-MAX_SCORE:g} to 0"
            )
