"""Write the ONNX graphs of a model into its bundle, or a page that recognises with it in the browser.

`asr export BUNDLE` writes the graphs, which recognition on a CPU runs. Training writes them, and the statistics that
streaming starts from; a bundle of an earlier version lacks them. `asr export [BUNDLE] --web DIR` writes a folder that
any static host serves.
"""

import argparse
from pathlib import Path

from asr.errors import ASRError


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(prog="asr export", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="Folder of the model; the graphs are written there. With --web by default the English model.",
    )
    parser.add_argument(
        "--web", type=Path, metavar="DIR", help="Write a page that recognises in the browser to this folder instead."
    )
    parser.add_argument(
        "--feature-statistics",
        type=Path,
        metavar="MANIFEST",
        help="Also measure the statistics of features, which streaming starts from, over up to 1000 utterances of this "
        "manifest; take the one that the model was trained on.",
    )
    parser.add_argument("--quiet", action="store_true", help="Show errors alone on stderr.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Export the network, checked against PyTorch, or the page.

    Args:
        arguments: What `build_parser` describes.

    Returns:
        The exit status.

    Raises:
        ASRError: If there is neither a model nor a folder for the page.
    """
    if arguments.web is not None:
        from asr.bundle import ENGLISH_MODEL
        from asr.web.export import export_web

        page = export_web(arguments.web, arguments.bundle or ENGLISH_MODEL)
        print(f"{page.folder}: written, {page.num_bytes:,} bytes; serve it with python -m http.server -d {page.folder}")
        return 0
    if arguments.bundle is None:
        raise ASRError("no model was given; name its folder, or a folder for a page with --web")
    from asr.bundle import export_bundle

    if arguments.feature_statistics:
        from asr.data.statistics import update_statistics

        num_utterances = update_statistics(arguments.bundle, arguments.feature_statistics)
        print(f"{arguments.bundle / 'config.json'}: statistics of {num_utterances:,} utterances written")
    for path in export_bundle(arguments.bundle):
        print(f"{path}: written, {path.stat().st_size:,} bytes")
    return 0
