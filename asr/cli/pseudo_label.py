"""Transcribe recordings without texts, and keep what can be trained on.

Each recording is transcribed twice, by beam search with the language model and greedily. What was found of every
recording, and why it was left out, is written to `OUTPUT.judged.jsonl`. A manifest with texts serves to choose the
bounds: the error rate of what would be kept is shown.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from asr.cli.flags import add_fields, build_config
from asr.cli.options import add_decoding_arguments, add_model_arguments, recognizer_settings
from asr.cli.overwriting import add_overwrite_argument, replacing
from asr.cli.terminal import show_progress
from asr.data.manifest import Utterance, read_usable
from asr.errors import ASRError
from asr.evaluation.pseudo_labels import Bounds, judge_recordings, render_selection, write_pseudo_labels

_log = logging.getLogger("asr.pseudo_label")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="asr pseudo-label", description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True, metavar="FILE", help="JSONL manifest of recordings.")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="JSONL manifest to write.")
    add_fields(parser.add_argument_group("bounds", "What a transcript must be like to be kept."), Bounds)
    add_overwrite_argument(parser)
    add_model_arguments(parser)
    add_decoding_arguments(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Transcribe, choose, write and report; the status is 1 if a line or a recording cannot be used."""
    utterances, mistakes = read_usable(arguments.manifest, require_text=False, threads=arguments.threads)
    for mistake in mistakes:
        _log.error("%s", mistake)
    bounds = build_config(arguments, Bounds)
    if getattr(arguments, "decoder", "beam") != "beam":
        raise ASRError(
            f"--decoder {arguments.decoder}: texts come from beam search, checked by greedy decoding; leave it out"
        )
    judged = Path(f"{arguments.output}.judged.jsonl")
    models = (arguments.model, arguments.lm, arguments.recurrent_lm, arguments.hot_words_file)
    reads = (arguments.manifest, *models, *(utterance.audio_filepath for utterance in utterances))
    with replacing([arguments.output, judged], reads, overwrite=arguments.overwrite):
        return _label(arguments, utterances, bounds) or int(bool(mistakes))


def _label(arguments: argparse.Namespace, utterances: Sequence[Utterance], bounds: Bounds) -> int:
    """Do the work."""
    from asr.recognition.recognizer import Recognizer

    settings = recognizer_settings(arguments)
    beam = Recognizer.from_bundle(
        arguments.model, **{**settings, "decoding": {**settings["decoding"], "decoder": "beam"}}
    )
    if beam.bundle.lm is None:
        _log.warning("the model has no language model, which makes its texts better; give one with --lm")
    greedy = Recognizer.from_bundle(
        arguments.model,
        device=settings["device"],
        precision=settings["precision"],
        decoding={"decoder": "greedy"},
        segmentation=settings["segmentation"],
        threads=settings["threads"],
    )
    seconds = 2 * sum(utterance.duration for utterance in utterances)
    with show_progress(seconds, visible=not arguments.quiet and sys.stderr.isatty()) as advance:
        judgements = judge_recordings(
            beam, greedy, utterances, batch_duration=arguments.batch_duration, on_progress=advance
        )
    print(render_selection(judgements, bounds))
    num_kept = write_pseudo_labels(arguments.output, judgements, bounds)
    print(f"{arguments.output}: {num_kept} of {len(utterances)} recordings kept")
    return 0 if len(judgements) == len(utterances) else 1
