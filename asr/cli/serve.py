"""Recognise for other programs until SIGINT or SIGTERM; work that is running then is finished.

Clients of OpenAI's transcription API find it under /v1. The guide tells of the other protocols, and of how to run the
server as a service.
"""

import argparse
import os
from functools import partial
from importlib.util import find_spec

from asr.cli.flags import add_fields, given_fields
from asr.cli.options import add_decoding_arguments, add_model_choice, recognizer_settings
from asr.cli.signals import signals_left_alone
from asr.errors import MissingExtraError
from asr.serving.settings import ServerConfig

_KEY_VARIABLE = "ASR_API_KEY"
_PACKAGES = ("prometheus_client", "python_multipart", "starlette", "uvicorn", "websockets")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(prog="asr serve", description=__doc__)
    add_fields(parser, ServerConfig, exclude=("api_key", "origins"))
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help=f"What clients have to present. Other users of this machine see it here; better set {_KEY_VARIABLE}. "
        "Default: nothing.",
    )
    parser.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="URL",
        help="A web page of another server that may use this one, such as https://example.org; may be given several "
        "times. Default: none but the page of this server.",
    )
    add_model_choice(parser)
    add_decoding_arguments(parser)
    parser.set_defaults(threads=1)  # a worker is one process on one core
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop.

    Args:
        arguments: What `build_parser` describes.

    Returns:
        The exit status.

    Raises:
        MissingExtraError: If the packages of the server are not installed.
    """
    if missing := [package for package in _PACKAGES if find_spec(package) is None]:
        raise MissingExtraError(
            f'the server needs {missing[0]}, which is not installed; run: pip install "asr[server]"'
        )
    from asr.bundle import ENGLISH_MODEL
    from asr.bundle_config import read_alphabet, require_bundle_folder
    from asr.recognition.recognizer import Recognizer
    from asr.serving.served_model import ServedModel
    from asr.serving.server import serve
    from asr.web import PAGE

    key = os.environ.get(_KEY_VARIABLE, "") if arguments.api_key is None else arguments.api_key
    config = ServerConfig(
        **given_fields(arguments, ServerConfig) | {"api_key": key, "origins": tuple(arguments.origin)}
    )
    folder = require_bundle_folder(arguments.model or ENGLISH_MODEL).resolve()
    alphabet = read_alphabet(folder / "tokenizer.json")
    with signals_left_alone():
        serve(
            partial(Recognizer.from_bundle, folder, **recognizer_settings(arguments)),
            config,
            model=ServedModel(folder.name, alphabet, "en" if folder == ENGLISH_MODEL.resolve() else ""),
            page=PAGE,
            on_start=lambda url: print(f"listening at {url}", flush=True),
        )
    return 0
