"""A fit that fails, or is interrupted, changes nothing."""

import pytest

from sklearn_capoz._fitting import all_or_nothing


class Learner:
    """What it learns is its number of features, and then something."""

    @all_or_nothing
    def fit(self, n, error=None):
        """Learn.

        Parameters
        ----------
        n : int
        error : Exception or None, default=None
        """
        self.n_ = n
        if error is not None:
            self.half_ = True
            raise error
        return self


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_failed_fit_changes_nothing(error):
    learner = Learner().fit(50)
    with pytest.raises(type(error)):
        learner.fit(3, error)
    assert vars(learner) == {"n_": 50}
    fresh = Learner()
    with pytest.raises(type(error)):
        fresh.fit(3, error=error)
    assert vars(fresh) == {}


def test_the_signature_stays():
    assert Learner.fit.__name__ == "fit"
    assert Learner.fit.__doc__.startswith("Learn.")
