"""The page that the server shows at `/`: static files that need no build and load nothing from elsewhere.

The page speaks to what recognises through one small interface, `backend.js`: the server that it came from, or the same
recogniser in the browser.
"""

from asr.web.location import PAGE

__all__ = ["PAGE"]
