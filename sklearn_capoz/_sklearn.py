"""The one door for what scikit-learn keeps private: a release that moves it breaks one file."""

from functools import cache

from sklearn.utils._indexing import _safe_indexing as safe_indexing
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as effective_n_threads
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.metaestimators import _BaseComposition as Composition
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _get_feature_names as get_feature_names

__all__ = [
    "CachedSignatureMixin",
    "Composition",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "check_sample_weight",
    "effective_n_threads",
    "get_feature_names",
    "safe_indexing",
    "validate_parameter_constraints",
]


class CachedSignatureMixin:
    """Estimators whose constructor's signature is read once: that takes as long as some epochs."""

    @classmethod
    @cache
    def _get_param_names(cls):
        return super()._get_param_names()  # type: ignore[misc]
