"""Pictures of an evaluation report as a desktop and a phone show it, in light and dark, with Chromium.

The page stands in a frame of the width wanted, for Chromium's own window cannot be as narrow as a phone. The first
utterances are opened. A page that is wider than its frame makes the exit status 1.
"""

import argparse
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.cli.terminal import run_command
from asr.cli.values import positive_count
from asr.errors import MissingExtraError

_WIDTHS = {"desktop": 1280, "phone": 390}  # pixels
_SCHEMES = {"light": 1, "dark": 0}  # Chromium's preferredColorScheme
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_TIME_LIMIT = 120  # s

_FRAME = """<!DOCTYPE html><title>frame</title>
<style>body {{ margin: 0 }} iframe {{ border: 0; display: block }}</style>
<iframe src="{address}" width="{width}" height="{height}"></iframe><script>
onload = () => {{
  const page = document.querySelector("iframe").contentDocument;
  const openers = [...page.querySelectorAll("#utterances tbody [aria-expanded]")].slice(0, {num_opened});
  for (const opener of openers) opener.click();
  document.body.dataset.width = page.documentElement.scrollWidth;
  document.body.dataset.height = page.documentElement.scrollHeight;
}};</script>
"""

_log = logging.getLogger("asr.screenshot_report")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="screenshot_report.py", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("report", type=Path, metavar="HTML", help="The report.html of python -m asr evaluate --report.")
    add("--output-dir", type=Path, required=True, metavar="DIR", help="Folder to write the pictures into, as PNG.")
    add("--open", type=int, default=1, metavar="N", help="How many utterances to open. Default: %(default)s.")
    add(
        "--max-height",
        type=positive_count,
        default=12_000,
        metavar="PIXELS",
        help="Cut the pictures here. Default: %(default)s.",
    )
    return parser


def browse(page: Path, *flags: str) -> str:
    """Open a page without a window.

    Args:
        page: The HTML file.
        flags: Flags of Chromium that say what to do with it.

    Returns:
        What Chromium prints.

    Raises:
        MissingExtraError: If there is no Chromium.
        ChildProcessError: If Chromium fails.
    """
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise MissingExtraError("pictures of a page need Chromium; run: apt-get install chromium")
    fixed = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files")
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:  # Chromium may still be leaving it
        command = [browser, *fixed, f"--user-data-dir={profile}", *flags, page.resolve().as_uri()]
        run = subprocess.run(command, capture_output=True, text=True, timeout=_TIME_LIMIT)
    if run.returncode:
        raise ChildProcessError(f"{browser} ended with status {run.returncode}: {run.stderr.strip()[-200:]}")
    return run.stdout


def measure_page(report: Path, width: int, *, num_opened: int = 1) -> tuple[int, int]:
    """Find how much room a page takes.

    Args:
        report: The HTML file.
        width: Pixels that the frame is wide.
        num_opened: Utterances to open.

    Returns:
        Its width, above that of the frame if it scrolls sideways, and its height, in pixels.

    Raises:
        FileNotFoundError: If there is no such file.
        MissingExtraError: If there is no Chromium.
        ChildProcessError: If Chromium fails, or the file is no report.
    """
    if not report.is_file():
        raise FileNotFoundError(f"{report}: no such file; write it with python -m asr evaluate --report")
    page = _browse_frame(report, width, 800, num_opened, "--dump-dom")
    sizes = re.search(r'data-width="(\d+)" data-height="(\d+)"', page)
    if not sizes:
        raise ChildProcessError(f"{report}: is no report that Chromium can show; open it by hand to see why")
    return int(sizes[1]), int(sizes[2])


def run(arguments: argparse.Namespace) -> int:
    """Take a picture for each width and scheme."""
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    status = 0
    for name, width in _WIDTHS.items():
        found, height = measure_page(arguments.report, width, num_opened=arguments.open)
        if found > width:
            _log.error("%s: %d pixels wide in a frame of %d", name, found, width)
            status = 1
        for scheme, setting in _SCHEMES.items():
            picture = arguments.output_dir.resolve() / f"{name}-{scheme}.png"
            flags = (f"--screenshot={picture}", f"--blink-settings=preferredColorScheme={setting}")
            _browse_frame(arguments.report, width, min(height, arguments.max_height), arguments.open, *flags)
            print(picture)
    return status


def _browse_frame(report: Path, width: int, height: int, num_opened: int, *flags: str) -> str:
    """Open a page in a frame of a given size."""
    with TemporaryDirectory() as folder:
        frame = Path(folder) / "frame.html"
        address = report.resolve().as_uri()
        frame.write_text(_FRAME.format(address=address, width=width, height=height, num_opened=num_opened))
        return browse(frame, f"--window-size={width},{height}", *flags)


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
