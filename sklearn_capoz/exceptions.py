"""The package's own errors and warnings, each a kind of one that users already catch."""

__all__ = [
    "DataFormatError",
    "NoCorrectSampleError",
    "PruningInterruptedWarning",
    "PruningStalledWarning",
    "SceneLayoutWarning",
    "SmallDataWarning",
    "SmoothActivationWarning",
    "UnitsKeptWarning",
    "UnsupportedNetworkError",
]


class NoCorrectSampleError(ValueError):
    """C-APoZ was asked for, and the network labels no scoring sample right."""


class UnsupportedNetworkError(TypeError):
    """The network has a structure that the asked operation does not know."""


class DataFormatError(ValueError):
    """A file is not what its name, its header or the caller says it is."""


class PruningInterruptedWarning(UserWarning):
    """Ctrl-C ended the pruning or the last training; what was done until then is kept.

    With ``warnings.simplefilter("error", PruningInterruptedWarning)`` nothing is.
    """


class PruningStalledWarning(UserWarning):
    """Pruning ended before its time: it found nothing to remove, or no sample to score units on."""


class SmallDataWarning(UserWarning):
    """Too few samples for disjoint sets: some of them are used twice."""


class SmoothActivationWarning(UserWarning):
    """A zero-counting criterion was asked of an activation that is never exactly zero."""


class UnitsKeptWarning(UserWarning):
    """Some layers of a network are not pruned, as it cannot be followed what meets their units.

    Where that is known, ``warnings.simplefilter("ignore", UnitsKeptWarning)`` says so.
    """


class SceneLayoutWarning(UserWarning):
    """The bytes of a scene look as if they were in another order than its header says.

    Where the header is right, ``warnings.simplefilter("ignore", SceneLayoutWarning)`` says so.
    """
