"""How the hot loops are compiled: without the GIL, and kept on disk where that can be."""

from numba import njit


def kernel(function=None, *, fastmath=False):
    """Compile a function on its first call for each dtype; threads may run it side by side."""
    if function is None:
        return lambda function: kernel(function, fastmath=fastmath)
    # The error model of numpy leaves out the test for division by zero, which blocks vector code.
    options = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package nor the home folder can be written
        return njit(**options)(function)
