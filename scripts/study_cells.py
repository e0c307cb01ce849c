"""Compare recurrent cells of equal size, and see how far back each remembers: `python scripts/study_cells.py --help`.

Trains tanh and ReLU networks, GRUs and LSTMs with equally many weights, in one direction and both, with and without
gradient clipping, at several depths, from several seeds. The folder of --output gets a page about it, README.md, its
pictures, and every figure as results.json. Runs that are done are kept, so a study that was stopped goes on.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.acoustic.config import MFCCConfig, ModelConfig
from asr.acoustic.model import AcousticModel
from asr.cli.terminal import run_command
from asr.cli.values import positive_count
from asr.data.manifest import read_manifest
from asr.errors import ManifestError
from asr.files import write_atomically
from asr.plots import require_matplotlib, save_figure
from scripts.benchmark import describe_machine
from scripts.make_tones import make_tones
from scripts.study.designs import BASE_LAYERS, CELLS, Design, list_designs
from scripts.study.gradients import measure_gradient, scale_recurrence
from scripts.study.page import Chapter, render_page
from scripts.study.plots import plot_gradients, plot_norms, plot_radii, plot_rates
from scripts.study.runs import Corpus, Run, RunResult, build_run, choose_part, find_result, load_chunks, make_result
from scripts.study.speed import measure_epoch
from scripts.study.summary import Summary, choose_unit, summarize

RADII = (0.5, 1.0, 1.5, 2.0)

_DIGITS = ModelConfig(
    MFCCConfig(sample_rate=8_000, n_fft=256, win_length=200, hop_length=80, f_max=3_800.0),
    conv_channels=64,
    subsampling=2,  # a digit may last 0.15 s, and each of its letters needs a frame and some room
    hidden_size=64,
)
_SPEECH = ModelConfig(conv_channels=64, hidden_size=64)
_TONES = ModelConfig(MFCCConfig(n_mels=20, n_mfcc=20), conv_channels=32, hidden_size=64, dropout=0.0)
_LONGEST_UTTERANCE = 8.0  # seconds; longer ones make slow batches
_VALIDATION_DURATION = 600.0
_NUM_UNITS = 128  # of the layer whose spectral radius is set

_log = logging.getLogger("asr.study")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="study_cells", description=__doc__)
    add = parser.add_argument
    for name, speech in (("digits", "spoken digits, 8 kHz is enough"), ("speech", "sentences")):
        add(f"--{name}-train", type=Path, metavar="JSONL", help=f"Manifest to train on: {speech}.")
        add(f"--{name}-validation", type=Path, metavar="JSONL", help="Manifest of other utterances to measure on.")
    add("--output", type=Path, required=True, metavar="FOLDER", help="Where to write the page and keep the runs.")
    add("--seeds", type=positive_count, metavar="N", help="Seeds of each design. Default: 3; 1 with --quick.")
    add("--digits-epochs", type=positive_count, default=6, metavar="N", help="Default: %(default)s.")
    add("--speech-epochs", type=positive_count, default=12, metavar="N", help="Default: %(default)s.")
    add(
        "--speech-minutes",
        type=positive_count,
        default=30,
        metavar="N",
        help="How much of the sentences to train on. Default: %(default)s.",
    )
    add("--accelerator", default="auto", help="Lightning's name of the device to train on. Default: %(default)s.")
    add("--runs", type=positive_count, metavar="N", help="Make at most N new runs; the next call goes on from there.")
    add("--quick", action="store_true", help="Try it on a language of tones, made on the spot, in about a minute.")
    return parser


def measure_radii(waveforms: torch.Tensor, base: ModelConfig, num_lags: int) -> dict[tuple[str, float], list[float]]:
    """Turn the knob: measure the gradients of one untrained plain layer at several spectral radii of U.

    Args:
        waveforms: Recordings of one length, shape `(batch, num_samples)`.
        base: The front end and the convolutions.
        num_lags: The longest lag in steps.

    Returns:
        By cell and radius, the norm of the gradient at each lag, 1 at lag 0.
    """
    curves: dict[tuple[str, float], list[float]] = {}
    for cell in CELLS[:2]:
        for radius in RADII:
            torch.manual_seed(0)
            network = ModelConfig(
                base.features, base.conv_channels, base.subsampling, cell, False, 1, _NUM_UNITS, layer_norm=False
            )
            model = AcousticModel(network, vocabulary_size=2)
            scale_recurrence(model, radius)
            curves[cell, radius] = list(measure_gradient(model, waveforms, num_lags))
    return curves


def run(arguments: argparse.Namespace) -> int:
    """Make the runs that are missing, and write everything."""
    require_matplotlib()
    folder: Path = arguments.output
    corpora = list(_prepare(arguments))
    if not corpora:
        raise ManifestError("no manifest was given; name --digits-train and --digits-validation, or use --quick")
    plan = [
        Run(corpus, design, seed, arguments.accelerator)
        for seed in range(arguments.seeds or (1 if arguments.quick else 3))
        for corpus in corpora
        for design in _choose_designs(corpus)
    ]
    missing = [run for run in plan if find_result(run, folder / "runs") is None]
    for number, run in enumerate(islice(missing, arguments.runs), start=1):
        _log.info("run %d of %d that are missing: %s", number, len(missing), run.name)
        make_result(run, folder / "runs")
    results = [(run.corpus, result) for run in plan if (result := find_result(run, folder / "runs")) is not None]
    _write(folder, corpora, results)
    return 0


def _prepare(arguments: argparse.Namespace) -> Iterator[Corpus]:
    """Settle what to train on, and draw the parts of larger manifests."""
    folder: Path = arguments.output
    if arguments.quick:
        make_tones(folder / "tones", {"train": 48, "validation": 12})
        train, validation = (folder / "tones" / f"{part}.jsonl" for part in ("train", "validation"))
        yield Corpus("tones", train, validation, _TONES, epochs=8, learning_rate=1e-2, warmup_steps=5, num_lags=40)
        return
    given = (
        ("digits", _DIGITS, arguments.digits_epochs, float("inf"), 12.0),
        ("speech", _SPEECH, arguments.speech_epochs, 60.0 * arguments.speech_minutes, 24.0),
    )
    for name, base, epochs, duration, max_batch_duration in given:
        sources = [getattr(arguments, f"{name}_{part}") for part in ("train", "validation")]
        if not any(sources):
            continue
        if not all(sources):
            raise ManifestError(f"one manifest of {name} was given; name both --{name}-train and --{name}-validation")
        train, validation = (folder / f"{name}-{part}.jsonl" for part in ("train", "validation"))
        choose_part(sources[0], train, duration, _LONGEST_UTTERANCE)
        choose_part(sources[1], validation, _VALIDATION_DURATION, _LONGEST_UTTERANCE)
        yield Corpus(name, train, validation, base, epochs, max_batch_duration=max_batch_duration)


def _choose_designs(corpus: Corpus) -> tuple[Design, ...]:
    """Choose all designs; on sentences, which take longest, only the cells and directions."""
    designs = list_designs()
    if corpus.name != "speech":
        return designs
    return tuple(design for design in designs if design.clipped and design.num_layers == BASE_LAYERS)


def _write(folder: Path, corpora: Sequence[Corpus], results: Sequence[tuple[Corpus, RunResult]]) -> None:
    """Write the page, its pictures and the figures."""
    radii = measure_radii(load_chunks(corpora[0]), corpora[0].base, corpora[0].num_lags)
    save_figure(plot_radii(radii), folder / "radii.png")
    chapters = []
    for corpus in corpora:
        of_corpus = [result for owner, result in results if owner == corpus]
        if not of_corpus:
            continue
        chapter = _build_chapter(corpus, of_corpus)
        chapters.append(chapter)
        unit = choose_unit(chapter.summaries)
        save_figure(plot_rates(chapter.summaries, unit), folder / f"rates-{corpus.name}.png")
        save_figure(plot_gradients(chapter.summaries), folder / f"gradients-{corpus.name}.png")
        bases = [each for each in of_corpus if each.design.bidirectional and each.design.num_layers == BASE_LAYERS]
        norms = {each.design: each.training_norms for each in bases if each.seed == 0}
        save_figure(plot_norms(norms), folder / f"norms-{corpus.name}.png")
    machine = describe_machine()
    figures = {
        "machine": machine,
        "radii": [{"cell": cell, "radius": radius, "gradient": curve} for (cell, radius), curve in radii.items()],
        "corpora": {chapter.corpus.name: [asdict(each) for each in chapter.summaries] for chapter in chapters},
    }
    write_atomically(folder / "results.json", json.dumps(figures, indent=1) + "\n")
    write_atomically(folder / "README.md", render_page(radii, chapters, machine))
    print(f"wrote {folder / 'README.md'} about {len(results)} runs")


def _build_chapter(corpus: Corpus, results: Sequence[RunResult]) -> Chapter:
    """Put together what the page says of a corpus."""
    designs = [design for design in list_designs() if any(each.design == design for each in results)]
    features = corpus.base.features
    durations = [each.duration for each in read_manifest(corpus.train)]

    def summarize_design(design: Design) -> Summary:
        tokenizer, network = build_run(Run(corpus, design, seed=0))
        epoch_duration = measure_epoch(network, tokenizer.vocabulary_size, durations, corpus.max_batch_duration)
        return summarize([each for each in results if each.design == design], epoch_duration)

    return Chapter(
        corpus,
        step=features.hop_length * corpus.base.subsampling / features.sample_rate,
        train_duration=sum(durations),
        num_utterances=len(read_manifest(corpus.validation)),
        summaries=tuple(map(summarize_design, designs)),
    )


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
