"""Multi-task CTC: a second loss, over phones, on a lower layer.

English spelling hides sound ("though", "through"), so characters alone train the first layers slowly. The phone head
goes into the bundle, where rescoring uses it.

Source: Fernandez et al. (2007), IJCAI; Krishna et al. (2018), arXiv 1807.06234.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from asr.acoustic.model import AcousticModel, build_phone_head
from asr.acoustic.phone_head import PhoneHead
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.bundle import Bundle
from asr.tokenizer import BLANK
from asr.training.consistency import disagreement, divergence
from asr.training.crf import Denominator, estimate_trigrams
from asr.training.distillation import Targets

_log = logging.getLogger(__name__)
# With a smaller fraction of its words in the dictionary, a text is likely in another language.
_LEAST_KNOWN = 0.9


@dataclass(frozen=True)
class PhoneConfig:
    """How phones help training.

    Attributes:
        dictionary: Pronunciations in the form of the CMU dictionary. If not given, a model to start from keeps its own,
            on the layer where it has them, if they hold nine of ten words of the texts; without either, no phones are
            used.
        layer: The recurrent layer that predicts the phones, from 1.
        weight: Fraction of the phone loss in the whole loss, in [0, 1).
        crf_weight: How much all other sequences of phones count against the right one (CTC-CRF), in [0, 1].
    """

    dictionary: str | None = None
    layer: int = 2
    weight: float = 0.3
    crf_weight: float = 0.0

    def __post_init__(self) -> None:
        """Check each range."""
        if self.layer < 1:
            raise ValueError(f"layer {self.layer} is not a positive number")
        if not 0 <= self.weight < 1:
            raise ValueError(f"weight {self.weight} is not in [0, 1)")
        if not 0 <= self.crf_weight <= 1:
            raise ValueError(f"crf_weight {self.crf_weight} is not in [0, 1]")


def build_phones(
    config: PhoneConfig, model: AcousticModel, texts: Sequence[str], initial: Bundle | None = None
) -> "PhoneCTC | None":
    """Build the phone loss, if there are phones to train with.

    Args:
        config: What is asked for.
        model: The acoustic model.
        texts: All that is trained on.
        initial: The model that training starts from; its head is trained further if its phones stay the same.

    Returns:
        The loss; `None` if there are no phones.

    Raises:
        VocabularyError: If the dictionary cannot be read.
        ValueError: If the model has no such layer.
    """
    if config.dictionary is not None:
        phones = PhoneCTC(config, PronunciationDictionary.read(Path(config.dictionary)), model, texts)
    elif initial is not None and initial.pronunciations is not None and initial.network.phones is not None:
        words = [word for text in texts for word in text.lower().split()]
        known = sum(word in initial.pronunciations.words for word in words) / max(1, len(words))
        if known < _LEAST_KNOWN:
            _log.info("phones left out: the pronunciations of the model hold %.0f %% of the words", 100 * known)
            return None
        phones = PhoneCTC(replace(config, layer=initial.network.phones.layer), initial.pronunciations, model, texts)
    else:
        return None
    head = build_phone_head(initial.network) if initial else None
    # On another layer too: one that was put on top begins near the identity.
    if head and initial and initial.pronunciations and initial.pronunciations.phones == phones.pronunciations.phones:
        phones.head.load_state_dict(head.state_dict())
    return phones


class PhoneCTC(nn.Module):
    """CTC loss between a layer of the acoustic model and the phones of the texts."""

    def __init__(
        self, config: PhoneConfig, pronunciations: PronunciationDictionary, model: AcousticModel, texts: Sequence[str]
    ) -> None:
        """Build the head with fresh weights.

        Args:
            config: The layer and the weights.
            pronunciations: How words are spoken.
            model: The acoustic model.
            texts: All that is trained on.

        Raises:
            ValueError: If the model has no such layer.
        """
        super().__init__()
        if config.layer > len(model.layers):
            raise ValueError(f"layer {config.layer} is above the last of {len(model.layers)} recurrent layers")
        self.weight = config.weight
        self.pronunciations = pronunciations
        self.head = PhoneHead(pronunciations.vocabulary_size, config.layer, model.config.layer_size)
        self.denominator: Denominator | None = None
        if config.crf_weight > 0:
            sequences = [pronunciations.encode(text) for text in texts]
            self.denominator = Denominator(estimate_trigrams(sequences, pronunciations.vocabulary_size))
        self.crf_weight = config.crf_weight

    def forward(
        self,
        hidden: Sequence[Tensor],
        lengths: Tensor,
        targets: Tensor,
        target_lengths: Tensor,
        consistency_weight: float = 0.0,
        said: Targets | None = None,
    ) -> Tensor:
        """Compute the loss of a batch.

        Args:
            hidden: Output of each layer of the model, the first one first, shape `(frames, batch, size)`.
            lengths: Frames in each utterance, shape `(batch,)`.
            targets: The phones of each, shape `(batch, num_phones)`.
            target_lengths: Phones in each, shape `(batch,)`.
            consistency_weight: How much two views of an utterance count for being alike; 0 where there is one of each.
            said: What teachers say of the batch, if there are any.

        Returns:
            Nats a phone, a scalar; utterances with fewer frames than phones do not count.
        """
        log_probs = self.head(hidden[self.head.layer - 1])
        losses = nn.functional.ctc_loss(
            log_probs, targets, lengths, target_lengths, blank=BLANK, reduction="none", zero_infinity=True
        )
        if self.denominator is not None:
            losses = losses + self.crf_weight * self.denominator(log_probs, lengths)
        if consistency_weight > 0:
            losses = losses + consistency_weight * disagreement(log_probs, lengths)
        if said is not None and said.phones is not None:
            losses = losses + said.weight * divergence(said.phones, log_probs, lengths)
        return losses.sum() / target_lengths.sum().clamp(min=1)
