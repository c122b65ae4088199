"""What `fit` learns is there as a whole or not at all."""

from functools import wraps

__all__ = ["all_or_nothing"]


def all_or_nothing(fit):
    """Make a failed or interrupted `fit` leave its estimator as it was.

    Checks set `n_features_in_` before anything is learnt: without this, a model of 50 bands would
    believe that it has 3 after a `fit` that was refused.
    """

    @wraps(fit)
    def whole(self, *args, **kwargs):
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return whole
