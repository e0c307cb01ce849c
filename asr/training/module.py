"""CTC training: batches become a loss, and validation becomes a word error rate.

The loss of a batch is the negative log-likelihood of its texts over their characters, in nats, so that batches of any
size have equal weight. Validation decodes with the greedy decoder of the recogniser and counts errors as `asr evaluate`
does. Every random choice in an update follows from `(seed, update)`, so a continued run makes the choices of an
uninterrupted one.

Source: Graves et al. (2006), doi:10.1145/1143844.1143891.
"""

import logging
import time
from typing import Any, Literal

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor
from torch.optim import Optimizer

from asr.acoustic.config import ModelConfig
from asr.acoustic.model import AcousticModel
from asr.acoustic.posteriors import Posteriors
from asr.data.datamodule import SpeechDataModule
from asr.data.dataset import Batch, make_changes
from asr.data.spec_augment import SpecAugment, SpecAugmentConfig
from asr.decoding import GreedyDecoder
from asr.errors import TrainingError
from asr.metrics import ErrorCounts, character_errors, word_errors
from asr.tokenizer import BLANK, CharTokenizer
from asr.training.consistency import disagreement, divergence, repeat_batch
from asr.training.crf import Denominator, estimate_trigrams
from asr.training.distillation import DistillationConfig, Teachers, open_teachers
from asr.training.initial import open_initial, start_from, warn_of_unused
from asr.training.optimization import FiniteGuard, OptimizerConfig, build_optimizer
from asr.training.phones import PhoneConfig, PhoneCTC, build_phones
from asr.training.resuming import require_same_model
from asr.units import samples_to_seconds

_log = logging.getLogger(__name__)
_NUM_TEXTS_SHOWN = 5
_ALPHABET = "alphabet"  # key of a checkpoint


class CTCTrainingModule(LightningModule):
    """The acoustic model with its loss, optimiser and validation."""

    def __init__(
        self,
        network: ModelConfig = ModelConfig(),
        spec_augment: SpecAugmentConfig = SpecAugmentConfig(),
        optimizer: OptimizerConfig = OptimizerConfig(),
        phones: PhoneConfig = PhoneConfig(),
        distillation: DistillationConfig = DistillationConfig(),
        initial: str | None = None,
        extra_layers: int = 0,
        crf_weight: float = 0.0,
        seed: int = 0,
        deepen: int | None = None,
    ) -> None:
        """Keep the settings; the model is built once the alphabet is known.

        Args:
            network: The settings of the acoustic model.
            spec_augment: Masks over the log-mels while training.
            optimizer: How the weights are learnt.
            phones: A second loss over the phones of the texts.
            distillation: Networks to learn from, beside the texts.
            initial: Bundle to start from, `english` for that of the package; its network but for the dropout replaces
                `network`, and its alphabet is kept if it holds every character of the texts and none is asked for.
            extra_layers: Recurrent layers to put on top of those of `initial`; they begin near the identity.
            crf_weight: How much all other texts count against the right one (CTC-CRF), in [0, 1].
            seed: Decides the first weights and every random choice of an update.
            deepen: The deprecated spelling of `extra_layers`.

        Raises:
            ValueError: If a setting is out of range, or there is nothing to put layers on top of.
        """
        super().__init__()
        extra_layers = _take_extra_layers(extra_layers, deepen)
        _check_ranges(initial, extra_layers, crf_weight)
        self.network, self.distillation = network, distillation
        self.optimizer_config, self.phone_config = optimizer, phones
        self.initial, self.extra_layers = initial, extra_layers
        self.crf_weight, self.seed = crf_weight, seed
        self.spec_augment = SpecAugment(spec_augment)
        self.model: AcousticModel | None = None
        self.tokenizer: CharTokenizer | None = None
        self.phones: PhoneCTC | None = None
        self.denominator: Denominator | None = None
        self.teachers: Teachers | None = None
        self._decoder = GreedyDecoder()
        self._word_counts, self._character_counts = list[ErrorCounts](), list[ErrorCounts]()
        self._texts: list[tuple[str, str]] = []
        self._guard = FiniteGuard(optimizer.max_skipped_steps)
        self._suspects: tuple[Tensor, tuple[str, ...]] = (torch.empty(0), ())  # losses and names of the last batch
        self._epoch_start = self._epoch_audio = 0.0

    def configure_model(self) -> None:
        """Build the model for the alphabet of the data, and check that the data fits it."""
        if self.model is not None:
            return
        data: SpeechDataModule = self.trainer.datamodule  # type: ignore[attr-defined]  # set by the trainer
        if data.tokenizer is None:
            raise TrainingError("the data module has no alphabet yet; its setup must run first")
        torch.manual_seed(self.seed)
        initial = open_initial(self.initial, data) if self.initial else None
        self.tokenizer = data.tokenizer
        if initial is None:
            self.model = AcousticModel(self.network, self.tokenizer.vocabulary_size)
        else:
            warn_of_unused(self.network, initial)
            self.model = start_from(initial, self.tokenizer, self.network.dropout, self.extra_layers)
        texts = data.train_texts
        if self.crf_weight > 0:
            sequences = [self.tokenizer.encode(text) for text in texts]
            self.denominator = Denominator(estimate_trigrams(sequences, self.tokenizer.vocabulary_size))
        self.phones = build_phones(self.phone_config, self.model, texts, initial)
        data.encode_phones = self.phones.pronunciations.encode if self.phones else None
        data.require_frames(self.model.config.num_frames)

    def configure_optimizers(self) -> Any:  # Lightning's own type has nine forms
        """Build AdamW and the schedule of its rate."""
        fused = self.trainer.precision != "16-mixed"
        optimizer, schedule = build_optimizer(
            self.parameters(), self.optimizer_config, self._total_steps(), fused=fused
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the alphabet beside the weights.

        Args:
            checkpoint: Gains it.
        """
        checkpoint[_ALPHABET] = list(self.tokenizer.characters) if self.tokenizer else []

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another model, before its weights are taken."""
        alphabet = self.tokenizer.characters if self.tokenizer else ()
        require_same_model(checkpoint["state_dict"], self.state_dict(), checkpoint.get(_ALPHABET), alphabet)

    def on_fit_start(self) -> None:
        """Open the teachers, which validation alone does not ask."""
        if self.tokenizer is None:
            raise TrainingError("the module has no alphabet yet; configure_model must run first")
        pronunciations = self.phones.pronunciations if self.phones else None
        config = self._require_model().config
        self.teachers = open_teachers(self.distillation, self.tokenizer, pronunciations, config, self.device)

    def on_train_epoch_start(self) -> None:
        """Start the clock of the epoch."""
        self._epoch_start = time.perf_counter()
        self._epoch_audio = 0.0

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Draw dropout and masks from a seed of this update's own."""
        torch.manual_seed((self.seed * 1_000_003 + self.global_step) * 1_009 + self.global_rank)
        if not self._epoch_start:  # a run that goes on in the middle of an epoch does not start one
            self._epoch_start = time.perf_counter()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss of a batch, in nats a character."""
        model, batch = self._require_model(), make_changes(batch)
        consistency_weight = self.spec_augment.config.consistency_weight  # of two views of each utterance
        if consistency_weight > 0:
            batch = repeat_batch(batch)
        said = self.teachers.ask(batch.waveforms, batch.waveform_lengths) if self.teachers else None
        hidden, lengths = model.run_layers(batch.waveforms, batch.waveform_lengths, self.spec_augment)
        log_probs = model.classify(hidden[-1])
        losses = self._losses(log_probs, lengths, batch)
        if self.denominator is not None:
            losses = losses + self.crf_weight * self.denominator(log_probs.transpose(0, 1), lengths)
        if consistency_weight > 0:
            losses = losses + consistency_weight * disagreement(log_probs.transpose(0, 1), lengths)
        if said is not None:
            losses = losses + said.weight * divergence(said.characters, log_probs.transpose(0, 1), lengths)
        self._suspects = (losses.detach(), batch.utterance_ids)
        # An empty text teaches silence; where all are empty, they count as a character each.
        loss = losses.sum() / batch.target_lengths.sum().clamp(min=len(batch.texts))
        self._log_step(loss, batch)
        if self.phones is None:
            return loss
        phone_loss: Tensor = self.phones(hidden, lengths, batch.phones, batch.phone_lengths, consistency_weight, said)
        self.log("phone_loss", phone_loss.detach(), batch_size=len(batch.texts))
        return (1 - self.phones.weight) * loss + self.phones.weight * phone_loss

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Bound the norm of the gradient, and skip an update whose gradient is not finite.

        Args:
            optimizer: Holds the parameters.
            gradient_clip_val: The largest norm; unbounded if not given.
            gradient_clip_algorithm: Not used; the norm of all parameters together is bounded.

        Raises:
            TrainingError: If as many updates in a row as the settings allow had to be skipped.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val or float("inf"))
        self.log("gradient_norm", norm)
        self._guard.guard(optimizer, norm.detach(), self.global_step, *self._suspects)

    def on_train_end(self) -> None:
        """Name the updates that were skipped and not named yet."""
        self._guard.report()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count the errors of a batch."""
        self._evaluate(batch, "val")

    def on_validation_epoch_end(self) -> None:
        """Log the error rates of the validation utterances, and show some texts."""
        self._log_error_rates("val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Count the errors of a batch."""
        self._evaluate(batch, "test")

    def on_test_epoch_end(self) -> None:
        """Log the error rates of the test utterances, and show some texts."""
        self._log_error_rates("test")

    def _total_steps(self) -> int:
        """Count the updates in the run; Lightning's own estimate would start the loader before a run is restored."""
        trainer = self.trainer
        if trainer.max_steps > 0:
            return trainer.max_steps
        if not trainer.max_epochs or trainer.max_epochs < 0:
            raise TrainingError("the run has no end; set --trainer.max_steps or --trainer.max_epochs")
        data: SpeechDataModule = trainer.datamodule  # type: ignore[attr-defined]  # set by the trainer
        return data.num_batches(trainer.max_epochs) // trainer.accumulate_grad_batches

    def _losses(self, log_probs: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
        """Return the negative log-likelihood of each text, shape `(batch,)`."""
        return torch.nn.functional.ctc_loss(
            log_probs.transpose(0, 1),  # (frames, batch, vocabulary)
            batch.targets,
            lengths,
            batch.target_lengths,
            blank=BLANK,
            reduction="none",
        )

    def _log_step(self, loss: Tensor, batch: Batch) -> None:
        """Log the loss and the speed of an update, where they are shown: a figure sent to the device has its price."""
        self._epoch_audio += samples_to_seconds(batch.num_samples, self.network.features.sample_rate)
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set by Lightning's connector
        if every and (self.global_step + 1) % every == 0:
            speed = self._epoch_audio / (time.perf_counter() - self._epoch_start)
            self.log("train_loss", loss.detach(), prog_bar=True, batch_size=len(batch.texts))
            self.log("audio_seconds_per_second", speed, prog_bar=True, batch_size=len(batch.texts))

    def _evaluate(self, batch: Batch, part: Literal["val", "test"]) -> None:
        """Decode a batch and count its errors."""
        log_probs, lengths = self._require_model()(batch.waveforms, batch.waveform_lengths)
        loss = self._losses(log_probs, lengths, batch).sum() / batch.target_lengths.sum().clamp(min=1)
        weight = max(1, int(batch.target_lengths.sum()))
        self.log(f"{part}_loss", loss, on_epoch=True, prog_bar=True, batch_size=weight, sync_dist=True)
        if self.tokenizer is None:
            raise TrainingError("the module has no alphabet yet; configure_model must run first")
        for matrix, length, reference in zip(
            log_probs.float().cpu().numpy(), lengths.tolist(), batch.texts, strict=True
        ):
            hypothesis = self.tokenizer.join(self._decoder.decode(Posteriors(matrix[:length]))[0].tokens)
            self._word_counts.append(word_errors(reference, hypothesis))
            self._character_counts.append(character_errors(reference, hypothesis))
            self._texts.append((reference, hypothesis))

    def _log_error_rates(self, part: Literal["val", "test"]) -> None:
        """Log the rates over all utterances of all processes, and forget the counts."""
        for name, counts in (("wer", self._word_counts), ("cer", self._character_counts)):
            total = sum(counts, ErrorCounts(0, 0, 0, 0))
            sums = torch.tensor([total.errors, total.reference_length], dtype=torch.float32, device=self.device)
            gathered: Tensor = self.all_gather(sums)  # type: ignore[assignment]  # a tensor in gives a tensor
            errors, length = gathered.reshape(-1, 2).sum(dim=0).tolist()
            self.log(f"{part}_{name}", errors / max(1.0, length), prog_bar=name == "wer", sync_dist=True)
            counts.clear()
        if isinstance(self.logger, TensorBoardLogger):
            pairs = self._texts[:: max(1, len(self._texts) // _NUM_TEXTS_SHOWN)][:_NUM_TEXTS_SHOWN]
            shown = [f"reference: {reference}  \nhypothesis: {hypothesis}" for reference, hypothesis in pairs]
            self.logger.experiment.add_text(f"{part}_texts", "\n\n".join(shown), self.global_step)
        self._texts.clear()

    def _require_model(self) -> AcousticModel:
        """Return the model, which `configure_model` builds."""
        if self.model is None:
            raise TrainingError("the model is not built yet; configure_model must run first")
        return self.model


def _take_extra_layers(extra_layers: int, deepen: int | None) -> int:
    """Return what `extra_layers` was given in its new or its deprecated spelling."""
    if deepen is None:
        return extra_layers
    _log.warning("model.deepen is deprecated and goes with the next release; write model.extra_layers")
    return deepen


def _check_ranges(initial: str | None, extra_layers: int, crf_weight: float) -> None:
    """Refuse settings out of range."""
    if extra_layers < 0 or (extra_layers and initial is None):
        raise ValueError(f"extra_layers is {extra_layers}; expected 0, or more with an initial bundle below them")
    if not 0 <= crf_weight <= 1:
        raise ValueError(f"crf_weight {crf_weight} is not in [0, 1]")
