"""Functions of the search, the second pass and the alignment become machine code, once on a machine.

Compiled code is kept where the user's caches are. numba's cache does not see when a function in another file changes,
so each file compiles only its own functions.
"""

import pickle
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, ParamSpec, TypeVar

import numba
from numba.core.caching import FunctionCache
from platformdirs import user_cache_dir

_P = ParamSpec("_P")
_R = TypeVar("_R")

# What unpickling raises: of a version with other classes, or cut off.
_UNREADABLE = (AttributeError, EOFError, ImportError, LookupError, TypeError, ValueError, pickle.UnpicklingError)


class _QuickCache(FunctionCache):
    """A cache that looks for compiled code before numba prepares to compile, which costs 0.4 s of CPU time."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load what was compiled for a signature.

        Args:
            sig: The signature.
            target_context: What it was compiled for.

        Returns:
            The compiled function; `None` if there is nothing, and then numba prepares and compiles.
        """
        with self._guard_against_spurious_io_errors():
            try:
                return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]  # numba has no types
            except _UNREADABLE:
                self._cache_file.flush()  # type: ignore[no-untyped-call]  # as above
        return None

    def is_filled(self) -> bool:
        """Tell whether there is something on disk that was compiled from the source as it is."""
        try:
            return bool(self._cache_file._load_index())  # type: ignore[no-untyped-call]  # as above
        except (OSError, *_UNREADABLE):
            return False


def is_compiled(function: Any) -> bool:
    """Tell whether what `compiled` returned is machine code already, here or on disk."""
    cache = function._cache  # one that keeps nothing where no folder can be written
    return bool(function.signatures) or (isinstance(cache, _QuickCache) and cache.is_filled())


def compiled(function: Callable[_P, _R], *, from_python: bool = True) -> Callable[_P, _R]:
    """Compile a function when it is first called, and keep that on disk if a folder for it can be written.

    Args:
        function: What to compile.
        from_python: Whether Python calls it, and not only other compiled functions: the wrapper for that takes half of
            the time to compile.

    Returns:
        The compiled function.
    """
    # Counting the references to arrays took nine tenths of the time. Nothing is allocated here, so it is not needed.
    njit: Any = partial(numba.njit, nogil=True, _nrt=False, no_cpython_wrapper=not from_python, no_cfunc_wrapper=True)
    try:
        with _own_cache():
            dispatcher = njit(cache=True)(function)
            dispatcher._cache = _QuickCache(function)  # type: ignore[no-untyped-call]  # as above
    except RuntimeError:  # no folder for the cache can be written
        dispatcher = njit()(function)
    compiled: Callable[_P, _R] = dispatcher
    return compiled


def helper(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function that only compiled functions call."""
    return compiled(function, from_python=False)


@contextmanager
def _own_cache() -> Generator[None, None, None]:
    """Keep what is compiled where the user's caches are, unless NUMBA_CACHE_DIR names another folder.

    Beside the source, numba's own choice, pip would leave it behind: a folder `asr` that hides the next installation.
    """
    config: Any = numba.config  # its types know a part of its settings
    before = config.CACHE_DIR
    config.CACHE_DIR = before or user_cache_dir("asr", appauthor=False)
    try:
        yield
    finally:
        config.CACHE_DIR = before
