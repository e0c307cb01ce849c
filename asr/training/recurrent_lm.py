"""Training of a recurrent language model: sentences of similar length in batches, each word predicts the next.

Sentences are independent of each other. The batch of an update follows from the seed and its number alone, so a
continued run sees the batches of an uninterrupted one.
"""

import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr.acoustic.device import choose_device
from asr.errors import TrainingError
from asr.files import replace_atomically
from asr.lm.corpus import Corpus, TextConfig, read_corpus, read_held_out, use_vocabulary
from asr.lm.ngram import END, SPECIAL_WORDS
from asr.lm.perplexity import measure_perplexity
from asr.lm.recurrent import RecurrentLM, RecurrentLMConfig
from asr.lm.training import BINARY_EXTENSION, TrainedLM, complete_path
from asr.training.recurrent_lm_network import RecurrentLMNetwork
from asr.training.schedules import rate_factor

_log = logging.getLogger(__name__)
_PADDING = -1
_MAX_GRADIENT = 1.0
_FINAL_RATE = 0.02
_CHECKPOINT_SECONDS = 300.0
_REPORT_UPDATES = 100


@dataclass(frozen=True, slots=True)
class RecurrentLMTraining:
    """How a recurrent language model is trained.

    Attributes:
        epochs: Passes over the text; may be a fraction.
        batch_words: Words in an update, padding included.
        learning_rate: Highest learning rate of Adam, which falls to a fiftieth along a cosine.
        warmup_steps: Updates over which the learning rate rises.
        seed: Decides the first weights and the order of the sentences.
    """

    epochs: float = 1.0
    batch_words: int = 2048
    learning_rate: float = 2e-3
    warmup_steps: int = 300
    seed: int = 0


def train_recurrent_lm_on_texts(
    texts: Sequence[Path],
    output: Path,
    config: RecurrentLMConfig,
    settings: RecurrentLMTraining,
    *,
    text: TextConfig,
    initial: Path | None = None,
    held_out: Path | None = None,
    device: str = "auto",
    on_progress: Callable[[int, int], None] = lambda update, updates: None,
) -> TrainedLM[RecurrentLM]:
    """Train a recurrent language model on text files and write it; a run that was stopped goes on.

    Args:
        texts: Files of text, one sentence a line.
        output: The file to write; it gets the extension `.safetensors`.
        config: The shape of the model.
        settings: How it is trained.
        text: How text is read, and which words are kept.
        initial: A trained model of the same shape, whose weights and words the training begins with.
        held_out: Text to measure the perplexity on.
        device: Where to compute: `auto`, `cpu` or `cuda`.
        on_progress: Called after each update with its number and that of the last.

    Returns:
        What was written.

    Raises:
        ASRError: If a file cannot be read, there is no such device, or the checkpoint beside the output is of another
            run.
    """
    path = complete_path(output, [BINARY_EXTENSION])
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = choose_device(device)
    sentences = read_held_out(held_out, normalize=text.normalize) if held_out else []
    trained = _open_initial(initial, config) if initial else None
    if trained:
        corpus = use_vocabulary(read_corpus(texts, TextConfig(text.normalize)), trained.words)
    else:
        corpus = sort_by_frequency(read_corpus(texts, text))
    checkpoint = path.with_suffix(".checkpoint")
    network = train_recurrent_lm(
        corpus, config, settings, initial=trained, checkpoint=checkpoint, device=chosen, on_progress=on_progress
    )
    network.to_language_model().save(path)
    checkpoint.unlink(missing_ok=True)  # not before: an hour of work may be in it
    lm = RecurrentLM.load(path)  # what others will open, not what was in memory
    return TrainedLM(path, lm, measure_perplexity(lm, sentences) if sentences else None)


def _open_initial(path: Path, config: RecurrentLMConfig) -> RecurrentLM:
    """Open the model to begin with, and check that it has the shape that is asked for."""
    lm = RecurrentLM.load(path)
    if lm.config != config:
        raise TrainingError(
            f"{path}: has {lm.config.embedding_size} values in the vector of a word and {lm.config.hidden_size} in the "
            f"state, but {config.embedding_size} and {config.hidden_size} were asked for"
        )
    return lm


def sort_by_frequency(corpus: Corpus) -> Corpus:
    """Number words anew, the most frequent first.

    Args:
        corpus: From `encode_corpus`.

    Returns:
        The same sentences; the special words keep their ids.
    """
    first = len(SPECIAL_WORDS)
    counts = np.bincount(corpus.word_ids, minlength=len(corpus.words))
    order = np.concatenate([np.arange(first), first + np.argsort(-counts[first:], kind="stable")])
    ranks = np.empty(len(order), np.uint32)
    ranks[order] = np.arange(len(order))
    return Corpus(tuple(corpus.words[index] for index in order), ranks[corpus.word_ids])


class SentenceBatches:
    """Sentences of similar length, in batches."""

    def __init__(self, corpus: Corpus, batch_words: int, seed: int) -> None:
        """Deal the sentences out.

        Args:
            corpus: The sentences.
            batch_words: Words in a batch at most, padding among them; a longer sentence is a batch of its own.
            seed: Decides which sentences of one length go together, and the order of the batches.
        """
        self._word_ids = corpus.word_ids
        self._ends = np.flatnonzero(corpus.word_ids == END) + 1
        self._lengths = np.diff(self._ends, prepend=0)
        self._seed = seed
        shuffled = np.random.default_rng(seed).random(len(self._lengths))
        order = np.lexsort((shuffled, self._lengths))[::-1]  # the longest of a batch comes first
        self._batches = []
        while len(order):
            count = max(1, batch_words // int(self._lengths[order[0]]))
            self._batches.append(order[:count])
            order = order[count:]

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return len(self._batches)

    def read(self, first: int = 0) -> Iterator[Tensor]:
        """Go through the sentences again and again, in another order each time.

        Args:
            first: The batch to begin with, counted from the first epoch on.

        Yields:
            Word ids of shape `(steps, batch)`; below zero behind the end of a sentence.
        """
        epoch, skipped = divmod(first, len(self))
        while True:
            order = np.random.default_rng((self._seed, epoch)).permutation(len(self))
            for index in order[skipped:]:
                yield self._collate(self._batches[index])
            epoch, skipped = epoch + 1, 0

    def _collate(self, sentences: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
        """Put sentences side by side."""
        matrix = np.full((int(self._lengths[sentences].max()), len(sentences)), _PADDING, np.int64)
        for column, (end, length) in enumerate(zip(self._ends[sentences], self._lengths[sentences], strict=True)):
            matrix[:length, column] = self._word_ids[end - length : end]
        return torch.from_numpy(matrix)


def train_recurrent_lm(
    corpus: Corpus,
    config: RecurrentLMConfig,
    settings: RecurrentLMTraining,
    *,
    initial: RecurrentLM | None = None,
    checkpoint: Path,
    device: torch.device | None = None,
    on_progress: Callable[[int, int], None] = lambda update, updates: None,
) -> RecurrentLMNetwork:
    """Train a model, and keep a checkpoint to go on from.

    Args:
        corpus: What `sort_by_frequency` returned, or the text in the words of `initial`.
        config: The shape of the model.
        settings: How it is trained.
        initial: A model to begin with; fresh weights if none.
        checkpoint: Written every five minutes and gone on from if it is there; the caller removes it.
        device: Where to compute; the CPU if not given.
        on_progress: Called after each update with its number and that of the last.

    Returns:
        The network, on the CPU, in evaluation mode.

    Raises:
        TrainingError: If the checkpoint is of another run.
    """
    torch.manual_seed(settings.seed)
    model = _build_network(config, corpus.words, initial).to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99))
    batches = SentenceBatches(corpus, settings.batch_words, settings.seed)
    updates = max(1, round(settings.epochs * len(batches)))
    run = {**asdict(config), **asdict(settings), **_describe_text(corpus, initial)}
    done = _restore(checkpoint, run, model, optimizer)
    saved = time.monotonic()
    losses: list[float] = []
    for update, sentences in enumerate(batches.read(done), start=done + 1):
        if update > updates:
            break
        losses.append(_update(model, optimizer, sentences.to(device), _learning_rate(settings, update, updates)))
        on_progress(update, updates)
        if update % _REPORT_UPDATES == 0:
            _log.info("update %d of %d: perplexity %.1f", update, updates, math.exp(sum(losses) / len(losses)))
            losses.clear()
        if time.monotonic() - saved > _CHECKPOINT_SECONDS:
            _save(checkpoint, run, model, optimizer, update)
            saved = time.monotonic()
    return model.cpu().eval()


def _describe_text(corpus: Corpus, initial: RecurrentLM | None) -> dict[str, Any]:
    """Tell a text from others, also of the same size, and the model to begin with from others."""
    digest = hashlib.sha256("\n".join(corpus.words).encode() + corpus.word_ids.tobytes())
    if initial:
        for tensor in RecurrentLMNetwork.from_language_model(initial).state_dict().values():
            digest.update(tensor.numpy().tobytes())
    return {"words": len(corpus.words), "text": len(corpus.word_ids), "digest": digest.hexdigest()[:16]}


def _build_network(config: RecurrentLMConfig, words: Sequence[str], initial: RecurrentLM | None) -> RecurrentLMNetwork:
    """Return the network to begin with."""
    return RecurrentLMNetwork.from_language_model(initial) if initial else RecurrentLMNetwork(config, words)


def _learning_rate(settings: RecurrentLMTraining, update: int, updates: int) -> float:
    """Return the learning rate of an update, counted from 1."""
    steps = {"warmup_steps": settings.warmup_steps, "total_steps": updates}
    return settings.learning_rate * rate_factor(update - 1, schedule="cosine", floor=_FINAL_RATE, **steps)


def _score_next(model: RecurrentLMNetwork, sentences: Tensor) -> Tensor:
    """Return the log-probability of each word after those before it in its sentence."""
    features = model(sentences[:-1].clamp(min=0))
    targets = sentences[1:]
    real = targets != _PADDING
    return model.log_probs(features[real], targets[real])


def _update(model: RecurrentLMNetwork, optimizer: torch.optim.Optimizer, sentences: Tensor, rate: float) -> float:
    """Learn from a batch, and return its loss in nats a word."""
    with torch.autocast(sentences.device.type, torch.bfloat16):
        scores = _score_next(model, sentences)
    loss = -scores.float().mean()
    loss.backward()  # type: ignore[no-untyped-call]  # PyTorch gives it no types
    torch.nn.utils.clip_grad_norm_(model.parameters(), _MAX_GRADIENT)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def _save(
    path: Path, run: dict[str, Any], model: RecurrentLMNetwork, optimizer: torch.optim.Optimizer, update: int
) -> None:
    """Write a checkpoint of a run."""
    state = {"run": run, "update": update, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    with replace_atomically(path) as partial:
        torch.save(state, partial)


def _restore(path: Path, run: dict[str, Any], model: RecurrentLMNetwork, optimizer: torch.optim.Optimizer) -> int:
    """Take up a run where it was stopped, and return the updates that it has done."""
    if not path.exists():
        return 0
    try:
        state = torch.load(path, weights_only=True)
        before = dict(state["run"])
    except (OSError, RuntimeError, UnpicklingError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: cannot be read as a checkpoint; remove it to begin anew") from error
    for name, value in run.items():
        if name == "digest" and before.get(name) != value:
            raise TrainingError(f"{path}: is of a run on another text or model; remove it to begin anew")
        if before.get(name) != value:
            raise TrainingError(
                f"{path}: is of a run with {name} {before.get(name)}, and this one has {value}; remove it to begin anew"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    _log.info("going on after update %d", state["update"])
    return int(state["update"])
