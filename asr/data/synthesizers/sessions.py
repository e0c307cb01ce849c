"""Networks that speak, on ONNX Runtime: one thread each, for several sentences are spoken at once."""

from pathlib import Path
from typing import Any

import onnxruntime

from asr.errors import MissingExtraError

_ERRORS_ALONE = 3


def open_session(file: Path) -> Any:
    """Open a network; threads may share it.

    Args:
        file: An ONNX file.

    Returns:
        The session, an `onnxruntime.InferenceSession`.

    Raises:
        MissingExtraError: If the file is not there, or no network.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = _ERRORS_ALONE
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen kinds that share no base
        raise MissingExtraError(f"{file}: cannot be opened ({str(error).splitlines()[0]})") from error
