"""Functions of the search, the second pass and the alignment become machine code, once on a machine.

Compiled code is kept where the user's caches are. numba's cache does not see when a function in another file changes,
so each file compiles only its own functions.
"""

import hashlib
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from platformdirs import user_cache_dir

_P = ParamSpec("_P")
_R = TypeVar("_R")

# What unpickling raises: of a version with other classes, or cut off.
_UNREADABLE = (AttributeError, EOFError, ImportError, LookupError, TypeError, ValueError, pickle.UnpicklingError)


class _Folder(_CacheLocator):
    """Where the user's caches are, unless NUMBA_CACHE_DIR names another folder.

    Beside the source, numba's own choice, pip would leave it behind: a folder `asr` that hides the next installation.
    It need not be there, nor be one that can be written: a container that is read-only runs what its image brings.
    """

    def __init__(self, function: Any, source: str) -> None:
        config: Any = numba.config  # its types know a part of its settings
        parent = Path(config.CACHE_DIR or user_cache_dir("asr", appauthor=False))
        self._path = parent / self.get_suitable_cache_subpath(source)  # type: ignore[no-untyped-call]  # numba has no types
        self._source = Path(source)
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> "_Folder":
        """Name the folder for a function in a file."""
        return cls(py_func, py_file)

    def get_cache_path(self) -> str:
        """Return the folder."""
        return str(self._path)

    def get_source_stamp(self) -> str:
        """Return what changes with the source; its time, which older versions of numba take, changes when copied."""
        return hashlib.sha256(self._source.read_bytes()).hexdigest()

    def get_disambiguator(self) -> str:
        """Return what tells functions of one name apart."""
        return str(self._line)


class _Results(CompileResultCacheImpl):
    """Compiled functions in that folder."""

    _locator_classes = (_Folder,)  # type: ignore[assignment]  # a list there, which is only read


class _QuickCache(FunctionCache):
    """A cache that looks for compiled code before numba prepares to compile, which costs 0.4 s of CPU time."""

    _impl_class = _Results

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load what was compiled for a signature.

        Args:
            sig: The signature.
            target_context: What it was compiled for.

        Returns:
            The compiled function; `None` if there is nothing, and then numba prepares and compiles.
        """
        try:
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]  # as above
        except OSError:
            return None
        except _UNREADABLE:
            with suppress(OSError):
                self._cache_file.flush()  # type: ignore[no-untyped-call]  # as above
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled if the folder can be written.

        Args:
            sig: The signature.
            data: What was compiled.
        """
        with suppress(OSError):
            self._save_overload(sig, data)  # type: ignore[no-untyped-call]  # as above

    def is_filled(self, target_context: Any) -> bool:
        """Tell whether there is something on disk that was compiled from the source as it is for this processor."""
        try:
            keys = self._cache_file._load_index()  # type: ignore[no-untyped-call]  # as above
        except (OSError, *_UNREADABLE):
            return False
        processor = target_context.codegen().magic_tuple()
        return any(compiled_for == processor for _, compiled_for, _ in keys)


def is_compiled(function: Any) -> bool:
    """Tell whether what `compiled` returned is machine code already, here or on disk."""
    cache = function._cache  # one that keeps nothing where there is no source
    return bool(function.signatures) or (isinstance(cache, _QuickCache) and cache.is_filled(function.targetctx))


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
    dispatcher = njit(function)
    with suppress(OSError):  # there is no file of the source
        dispatcher._cache = _QuickCache(function)  # type: ignore[no-untyped-call]  # as above
    compiled: Callable[_P, _R] = dispatcher
    return compiled


def helper(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function that only compiled functions call."""
    return compiled(function, from_python=False)
