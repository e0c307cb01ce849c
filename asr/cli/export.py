"""Write the ONNX graph of a model into its bundle: `asr export BUNDLE`.

Recognition on a CPU runs this graph. Training writes it; a bundle of an earlier version lacks it.
"""

import argparse
from pathlib import Path


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(prog="asr export", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="Folder of the model; model.onnx is written there.")
    parser.add_argument("--quiet", action="store_true", help="Show errors alone on stderr.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Export the network, check it against PyTorch, and write it.

    Args:
        arguments: What `build_parser` describes.

    Returns:
        The exit status.
    """
    from asr.bundle import export_bundle

    path = export_bundle(arguments.bundle)
    print(f"{path}: written, {path.stat().st_size:,} bytes")
    return 0
