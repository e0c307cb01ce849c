"""Write the page of the API reference while MkDocs builds: a section for each name of `asr.__all__`.

MkDocs calls `on_files` (`hooks` in mkdocs.yml), and mkdocstrings fills each section in from the docstrings. Both read
the source and run none of it, so that the documentation builds where neither PyTorch nor ONNX Runtime is installed.
"""

import ast
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1] / "asr" / "__init__.py"

_HEAD = """# API reference

These are the public names of the package, written from their docstrings. Import them from `asr` itself, as in
`from asr import Recognizer`; every other module may change between releases.
"""


def public_names(source: str) -> list[str]:
    """Read `__all__` of a module.

    Args:
        source: The text of the module; `__all__` is a list or tuple of strings, written out.

    Returns:
        The names, as they stand there.

    Raises:
        ValueError: If the module assigns no `__all__`.
    """
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return list(ast.literal_eval(node.value))
    raise ValueError(f"{PACKAGE}: no __all__; expected the list of public names")


def render_page(names: list[str]) -> str:
    """Write the page.

    Args:
        names: The public names of `asr`.

    Returns:
        Markdown with a directive for each name.
    """
    return _HEAD + "".join(f"\n::: asr.{name}\n" for name in names)


def on_files(files: Any, config: Any) -> Any:  # of MkDocs, which is not installed where types are checked
    """Add the page to those that MkDocs found.

    Args:
        files: The files of the documentation.
        config: The configuration of MkDocs.

    Returns:
        The files, `api.md` among them.
    """
    from mkdocs.structure.files import File

    files.append(File.generated(config, "api.md", content=render_page(public_names(PACKAGE.read_text("utf-8")))))
    return files
