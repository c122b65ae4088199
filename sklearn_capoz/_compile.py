"""How the hot loops are compiled: without the GIL, and kept on disk where that can be."""

from numba import njit


def kernel(function=None, *, fastmath=False, inline=False):
    """Compile a function on its first call for each dtype; threads may run it side by side.

    An `inline` one is copied into its callers: passing an array takes seven words, which counts
    where the work on it takes nanoseconds.
    """
    if function is None:
        return lambda function: kernel(function, fastmath=fastmath, inline=inline)
    # The error model of numpy leaves out the test for division by zero, which blocks vector code.
    options = {"nogil": True, "error_model": "numpy", "fastmath": fastmath, "forceinline": inline}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package nor the home folder can be written
        return njit(**options)(function)
