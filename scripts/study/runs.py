"""One run of the study: a design is trained from one seed, and everything the page shows is measured and kept.

A run is trained by `asr.cli.train` itself, from fresh weights, for a fixed number of epochs; the last weights are
measured, not the best by validation, so nothing is chosen by the utterances that the error rates are of.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from asr.acoustic.config import ModelConfig
from asr.acoustic.model import AcousticModel, build_model
from asr.bundle import load_bundle
from asr.cli.terminal import run_command
from asr.data.manifest import Utterance, read_manifest, write_manifest
from asr.errors import TrainingError
from asr.evaluation import evaluate
from asr.files import write_atomically
from asr.metrics import ErrorCounts
from asr.plots.curves import read_curves
from asr.recognition.recognizer import Recognizer
from asr.tokenizer import CharTokenizer
from asr.units import Seconds
from scripts.study.designs import CLIP_NORM, Design, build_network, count_parameters
from scripts.study.gradients import join_recordings, measure_gradient

CHUNK_DURATION = 4.0  # seconds of each recording that gradients are measured on
NUM_CHUNKS = 4


@dataclass(frozen=True)
class Corpus:
    """What designs are trained and measured on, and how.

    Attributes:
        name: For people and files.
        train: Manifest to train on.
        validation: Manifest to measure on.
        base: What all designs share; its `hidden_size` sets the budget of weights.
        epochs: Passes over the training utterances.
        learning_rate: The highest rate.
        warmup_steps: Updates over which it rises.
        max_batch_duration: Padded seconds of audio in a batch.
        num_lags: The longest lag of the gradients in steps.
    """

    name: str
    train: Path
    validation: Path
    base: ModelConfig
    epochs: int
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    max_batch_duration: Seconds = 12.0
    num_lags: int = 60


@dataclass(frozen=True)
class RunResult:
    """What one run showed.

    Attributes:
        settings: What decides the run, as JSON; a kept result of other settings is not used.
        design: The network.
        seed: The seed.
        hidden_size: Units of each layer in each direction.
        num_parameters: Weights.
        finished: Whether training reached its end; it gives up where gradients stay infinite, and then what depends on
            its end is empty or 0.
        words: For each utterance of the validation manifest: hits, substitutions, deletions, insertions.
        characters: The same of characters.
        gradient_before: From `measure_gradient`, before training.
        gradient_after: The same after training.
        training_norms: The norm of the gradient of all weights in each update, before clipping.
    """

    settings: str
    design: Design
    seed: int
    hidden_size: int
    num_parameters: int
    finished: bool
    words: tuple[ErrorCounts, ...]
    characters: tuple[ErrorCounts, ...]
    gradient_before: tuple[float, ...]
    gradient_after: tuple[float, ...]
    training_norms: tuple[float, ...]


def choose_part(source: Path, output: Path, duration: Seconds, max_duration: Seconds, seed: int = 0) -> None:
    """Draw utterances from a manifest until they last long enough, and write them as a manifest.

    Args:
        source: The manifest to draw from.
        output: The manifest to write.
        duration: Seconds wanted; all utterances are taken if they last less.
        max_duration: Seconds of the longest utterance to take.
        seed: Decides the draw.

    Raises:
        TrainingError: If every utterance is longer than that, or has no text.
    """
    utterances = [each for each in read_manifest(source) if each.duration <= max_duration and each.text]
    if not utterances:
        raise TrainingError(f"{source}: no utterance with a text of at most {max_duration:g} s; give another manifest")
    order = torch.randperm(len(utterances), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen: list[Utterance] = []
    total = 0.0
    for index in order:
        if total >= duration:
            break
        chosen.append(utterances[index])
        total += utterances[index].duration
    write_manifest(output, chosen)


@dataclass(frozen=True)
class Run:
    """A design to train and measure.

    Attributes:
        corpus: What on.
        design: The network.
        seed: Decides the first weights and the order of the utterances.
        accelerator: Lightning's name of the device to train on.
    """

    corpus: Corpus
    design: Design
    seed: int
    accelerator: str = "auto"

    @property
    def name(self) -> str:
        """A name for people and files."""
        return f"{self.corpus.name}-{self.design.name}-seed{self.seed}"


def find_result(run: Run, folder: Path) -> RunResult | None:
    """Look for the result of a run that was made before.

    Args:
        run: The run.
        folder: Where results are kept.

    Returns:
        The result; `None` if there is none, or only one of other settings or other data.
    """
    path = folder / f"{run.name}.json"
    if not path.exists():
        return None
    fields = json.loads(path.read_text(encoding="utf-8"))
    if fields["settings"] != _describe_settings(run):
        return None
    counts = {name: tuple(ErrorCounts(**each) for each in fields[name]) for name in ("words", "characters")}
    lists = {name: tuple(values) for name, values in fields.items() if isinstance(values, list)}
    return RunResult(**{**fields, **lists, **counts, "design": run.design})


def make_result(run: Run, folder: Path) -> RunResult:
    """Train and measure, and keep the result.

    Args:
        run: The run.
        folder: Where results are kept.

    Returns:
        The result.

    Raises:
        TrainingError: If training stopped for another reason than gradients that are not finite.
    """
    corpus = run.corpus
    tokenizer, network = build_run(run)
    torch.manual_seed(run.seed)  # as training does before it builds the same network
    chunks = load_chunks(corpus)
    before = measure_gradient(AcousticModel(network, tokenizer.vocabulary_size), chunks, corpus.num_lags)
    with TemporaryDirectory() as scratch:
        finished = run_command("asr.cli.train", _training_flags(run, network, Path(scratch))) == 0
        norms = read_curves(Path(scratch))["gradient_norm"].values
        if not finished and math.isfinite(norms[-1]):
            raise TrainingError(f"{run.name}: training stopped after {len(norms)} updates, see above; start again")
        bundle = load_bundle(Path(scratch) / "bundle") if finished else None
    scores = evaluate(Recognizer(bundle), read_manifest(corpus.validation)).report.scores if bundle else ()
    result = RunResult(
        settings=_describe_settings(run),
        design=run.design,
        seed=run.seed,
        hidden_size=network.hidden_size,
        num_parameters=count_parameters(network, tokenizer.vocabulary_size),
        finished=finished,
        words=tuple(score.words for score in scores),
        characters=tuple(score.characters for score in scores),
        gradient_before=before,
        gradient_after=measure_gradient(build_model(bundle.network), chunks, corpus.num_lags) if bundle else (),
        training_norms=norms,
    )
    write_atomically(folder / f"{run.name}.json", json.dumps(asdict(result)) + "\n")
    return result


def build_run(run: Run) -> tuple[CharTokenizer, ModelConfig]:
    """Collect the alphabet of a run, as training does, and settle its network.

    Args:
        run: The run.

    Returns:
        The alphabet and the settings of the network.
    """
    tokenizer = CharTokenizer.from_texts(each.text for each in read_manifest(run.corpus.train))
    return tokenizer, build_network(run.corpus.base, run.design, tokenizer.vocabulary_size)


def load_chunks(corpus: Corpus) -> Tensor:
    """Read the recordings that gradients are measured on.

    Args:
        corpus: Where from; the first of its validation utterances are taken.

    Returns:
        Waveforms of one length, shape `(chunks, num_samples)`.
    """
    paths = [each.audio_filepath for each in read_manifest(corpus.validation)]
    return join_recordings(paths, corpus.base.features.sample_rate, CHUNK_DURATION, NUM_CHUNKS)


def _describe_settings(run: Run) -> str:
    """Write down what decides a run, the lines of both manifests by their hash."""
    corpus = run.corpus
    lines = corpus.train.read_bytes() + corpus.validation.read_bytes()
    fields = {name: value for name, value in asdict(corpus).items() if name not in {"train", "validation", "base"}}
    network = asdict(build_run(run)[1])
    return json.dumps({
        **fields,
        "network": network,
        "data": hashlib.sha256(lines).hexdigest()[:16],
        "accelerator": run.accelerator,
    })


def _training_flags(run: Run, network: ModelConfig, folder: Path) -> list[str]:
    """Lay out the command line of a run: no augmentation, no average of weights, one validation at the end."""
    corpus = run.corpus
    return [
        "fit",
        f"--seed_everything={run.seed}",
        f"--data.train={corpus.train}",
        f"--data.validation={corpus.validation}",
        "--data.cache=true",
        "--data.num_workers=0",
        "--data.skip_infeasible=true",
        f"--data.batches.max_batch_duration={corpus.max_batch_duration}",
        f"--model.network={json.dumps(asdict(network))}",
        f"--model.optimizer.learning_rate={corpus.learning_rate}",
        f"--model.optimizer.warmup_steps={corpus.warmup_steps}",
        "--ema_decay=0",
        "--checkpoint_minutes=1000",
        f"--trainer.default_root_dir={folder}",
        f"--trainer.accelerator={run.accelerator}",
        "--trainer.devices=1",
        "--trainer.precision=32-true",
        f"--trainer.max_epochs={corpus.epochs}",
        f"--trainer.check_val_every_n_epoch={corpus.epochs}",
        f"--trainer.gradient_clip_val={CLIP_NORM if run.design.clipped else 'null'}",
        "--trainer.log_every_n_steps=1",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
    ]
