"""Settings and models become a decoder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from asr.acoustic.pronunciation import PronunciationDictionary
from asr.decoding.config import DecodingConfig
from asr.decoding.decoder import Rescorer
from asr.decoding.greedy import GreedyDecoder
from asr.decoding.hot_words import HotWord
from asr.decoding.recombination import Recombiner
from asr.decoding.two_pass import TwoPassDecoder
from asr.errors import ASRError
from asr.lm.internal import InternalLM
from asr.lm.ngram import NGramLM
from asr.lm.recurrent import RecurrentLM
from asr.tokenizer import CharTokenizer


@dataclass(frozen=True, slots=True)
class DecodingModels:
    """What helps to decode, as far as there is any.

    Attributes:
        lm: The n-gram model of the first pass.
        internal_lm: Character bigrams of the texts that the network was trained on; part of them is taken away where
            `lm` is used.
        pronunciations: The phones of words; they rescore where the posteriors have phones.
        recurrent_lm: The language model of the second pass.
    """

    lm: NGramLM | None = None
    internal_lm: InternalLM | None = None
    pronunciations: PronunciationDictionary | None = None
    recurrent_lm: RecurrentLM | None = None


def build_decoder(
    config: DecodingConfig,
    tokenizer: CharTokenizer,
    models: DecodingModels = DecodingModels(),
    *,
    hot_words: Sequence[HotWord] = (),
    threads: int = 1,
) -> TwoPassDecoder:
    """Build the decoder that settings ask for.

    Args:
        config: The settings.
        tokenizer: The alphabet of the posteriors.
        models: Language models and pronunciations; the greedy decoder uses none.
        hot_words: Words and phrases to favour.
        threads: Utterances to decode at once.

    Returns:
        The decoder. Rescoring needs a language model, for without one there is nothing to weigh it against.

    Raises:
        ASRError: If there are hot words for the greedy decoder.
        LanguageModelError: If there is a language model of words, and the alphabet has no space or spells none.
        VocabularyError: If a hot word cannot be spelled.
    """
    if config.decoder == "greedy":
        if hot_words:
            raise ASRError(
                f"hot word {hot_words[0].phrase!r} was given, but the greedy decoder uses none; use the decoder beam"
            )
        return TwoPassDecoder(GreedyDecoder(), threads=threads)
    # Imported here, because numba takes long to import and greedy decoding does not need it.
    from asr.decoding.beam import BeamSearchDecoder

    rescorers, nbest = _build_rescorers(config, tokenizer, models, threads)
    searching = replace(config, nbest=nbest)
    first_pass = BeamSearchDecoder.from_config(searching, tokenizer, models.lm, hot_words, models.internal_lm)
    recombiner = None
    if rescorers and tokenizer.space is not None:
        recombiner = Recombiner(first_pass, rescorers, tokenizer.space, threads)
    return TwoPassDecoder(first_pass, rescorers, threads, recombiner)


def _build_rescorers(
    config: DecodingConfig, tokenizer: CharTokenizer, models: DecodingModels, threads: int
) -> tuple[tuple[Rescorer, ...], int]:
    """Build the second pass: first by phones, then by words; return how many hypotheses it needs too."""
    from asr.decoding.rescoring import PhoneRescorer, RecurrentRescorer

    rescorers: list[Rescorer] = []
    nbest = config.nbest
    if models.lm is None and models.recurrent_lm is None:
        return (), nbest
    if models.pronunciations is not None and config.phone_weight > 0:
        rescorers.append(PhoneRescorer(models.pronunciations, tokenizer, config.phone_weight, threads))
        nbest = max(nbest, config.phone_nbest)
    if models.recurrent_lm is not None and config.recurrent_lm_weight > 0:
        scored = max(config.nbest, config.recurrent_lm_nbest)
        rescorers.append(RecurrentRescorer(models.recurrent_lm, tokenizer, config.recurrent_lm_weight, scored))
        nbest = max(nbest, scored)
    return tuple(rescorers), min(nbest, config.beam_size)
