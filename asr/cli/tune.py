"""Find the weight of the language model and the score of a word that recognise held-out speech best."""

import argparse
import logging
from pathlib import Path

from asr.cli.overwriting import add_overwrite_argument, replacing
from asr.cli.terminal import show_progress
from asr.cli.values import number, positive_count
from asr.data.manifest import read_manifest
from asr.errors import ASRError
from asr.plots import plot_error_grid, require_picture, save_figure

_log = logging.getLogger("asr.tune")

_EPILOG = """The manifest must hold speech that neither model was trained on. Figures measured on it afterwards are
optimistic, for the settings were chosen to suit it: report those of other speech."""
_LM_WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.25)
_WORD_SCORES = (-1.0, 0.0, 1.0, 2.0)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="asr tune", description=__doc__, epilog=_EPILOG)
    add = parser.add_argument
    add("--manifest", type=Path, required=True, metavar="FILE", help="JSONL manifest of held-out speech (see below).")
    add("--model", type=Path, required=True, metavar="DIR", help="Bundle to tune; the best settings are written there.")
    add("--lm", type=Path, metavar="FILE", help="Language model to put into the bundle. Default: the bundle's own.")
    add(
        "--recurrent-lm",
        type=Path,
        metavar="FILE",
        help="Recurrent language model to put into the bundle. Default: the bundle's own, none with --lm.",
    )
    add("--output", type=Path, metavar="FILE", help="Picture of the error rates to write, such as grid.png.")
    for name, values, kind in (("lm_weight", _LM_WEIGHTS, "at least 0"), ("word_score", _WORD_SCORES, "a natural log")):
        add(
            f"--{name.replace('_', '-')}s",
            type=number,
            nargs="+",
            default=values,
            metavar="X",
            help=f"Coarse grid of {name}, {kind}; a single one stays fixed. Default: {' '.join(map(str, values))}.",
        )
    add(
        "--internal-lm-weight",
        type=number,
        metavar="X",
        help="Weight of the internal language model, fixed; it suits other weights. Default: the bundle's.",
    )
    add(
        "--max-duration",
        type=positive_count,
        metavar="SECONDS",
        help="Use no more than this much, equally much of each corpus, drawn at random. Default: all.",
    )
    add("--dry-run", action="store_true", help="Leave the bundle as it is.")
    add_overwrite_argument(parser)
    add("--quiet", action="store_true", help="Show errors alone on stderr.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Search, show what was found, and write it into the bundle."""
    if arguments.output:  # what is missing is better known before the work than after it
        require_picture(arguments.output)
    reads = (arguments.manifest, arguments.model, arguments.lm, arguments.recurrent_lm)
    with replacing([arguments.output], reads, overwrite=arguments.overwrite):
        if arguments.output:
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
        return _tune(arguments)


def _tune(arguments: argparse.Namespace) -> int:
    """Do the work."""
    from asr.evaluation import require_references
    from asr.evaluation.tuning import (
        TuningGrid,
        choose_part,
        find_better_mode,
        open_tunable_bundle,
        render_grid,
        render_modes,
        score_speech,
        tune,
        write_tuning,
    )

    try:
        grid = TuningGrid(tuple(arguments.lm_weights), tuple(arguments.word_scores), arguments.internal_lm_weight)
    except ValueError as error:
        raise ASRError(f"the flags do not make sense: {error}") from error
    bundle = open_tunable_bundle(arguments.model, lm=arguments.lm, recurrent_lm=arguments.recurrent_lm)
    utterances = read_manifest(arguments.manifest)
    require_references(utterances)
    if arguments.max_duration:
        utterances = choose_part(utterances, arguments.max_duration)
    duration = sum(utterance.duration for utterance in utterances)
    _log.info("tuning on %d utterances, %.0f s", len(utterances), duration)
    with show_progress(duration, visible=not arguments.quiet) as advance:
        speech = score_speech(bundle, utterances, on_progress=advance)
    tuning = tune(bundle, speech, grid)
    decoding = tuning.best.decoding
    print(render_grid(tuning.rates), render_modes(tuning.modes), sep="\n\n")
    print(f"\nbest: lm_weight {decoding.lm_weight:g}, word_score {decoding.word_score:g}")
    if arguments.output:
        save_figure(plot_error_grid(tuning.rates), arguments.output)
    if trouble := find_better_mode(tuning):
        raise ASRError(f"{trouble}; nothing is written: give a language model of more text, or go on without")
    if not arguments.dry_run:
        write_tuning(arguments.model, tuning, with_language_models=bool(arguments.lm or arguments.recurrent_lm))
    return 0
