"""Where the files of the page are."""

from pathlib import Path

PAGE = Path(__file__).parent / "page"
