"""Ways to prune, compared as a paper has to: on the same repeats, at matched size, with tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import StratifiedShuffleSplit, check_cv
from sklearn.utils import _safe_indexing, check_random_state

from .._sklearn import validate_parameter_constraints
from .._validation import check_labels
from ..exceptions import PruningStalledWarning
from ..model_selection import paired_tests
from ._path import as_pruner, pruning_path

__all__ = ["PruningComparison", "compare_pruning"]

#: What is told of each network beside its score, as `history_` tells it.
_SIZES = ("n_units", "n_parameters", "n_bytes", "n_multiply_adds")


@dataclass(frozen=True, eq=False)
class PruningComparison:
    """Scores of every network of every method on every repeat, and what they show.

    Parameters
    ----------
    runs : DataFrame
        A row per network: `repeat`, `method`, `iteration`, `n_units`, `n_parameters`, `n_bytes`,
        `n_multiply_adds`, `n_epochs` (of the path up to it) and `score`, on samples of that repeat
        that neither trained, scored nor chose it.
    """

    runs: pd.DataFrame

    def summary(self, size: str = "n_units") -> pd.DataFrame:
        """Mean and standard deviation of the scores, a row per method and size.

        Parameters
        ----------
        size : str, default="n_units"
            A column of `runs`.

        Returns
        -------
        DataFrame
            Indexed by method and size; columns `mean`, `std`, `n_repeats`. Networks of one repeat
            and size are averaged before.
        """
        if size not in self.runs:
            raise ValueError(f"size must be a column of runs, {list(self.runs)}, got {size!r}.")
        each = self.runs.groupby(["method", size, "repeat"], sort=False)["score"].mean()
        scores = each.groupby(["method", size], sort=False)
        return pd.DataFrame(
            {"mean": scores.mean(), "std": scores.std(), "n_repeats": scores.size()}
        )

    def test(self, against: str, *, size: str = "n_units", sizes=None) -> pd.DataFrame:
        """Test every other method against one, a control for example.

        Parameters
        ----------
        against : str
            Name of that method.
        size : str, default="n_units"
            Column of `runs` that has to be equal on both sides.
        sizes : sequence, default=None
            Sizes to test at; None is all that every method has in every repeat, with a warning
            that names the sizes that a path did not reach in one of them.

        Returns
        -------
        DataFrame
            As `paired_tests` gives it: differences, effect sizes, p-values before and after Holm's
            correction.
        """
        names = self.runs["method"].unique()
        pairs = [(name, against) for name in names if name != against]
        if not pairs:
            raise ValueError(f"{against!r} is the only method there is: compare it with others.")
        return paired_tests(self.runs, pairs, size=size, sizes=sizes)

    def to_latex(self, size: str = "n_units") -> str:
        """Format the summary as a table: a row per method, a column per size, scores in percent.

        Parameters
        ----------
        size : str, default="n_units"
            A column of `runs`.

        Returns
        -------
        str
        """
        found = self.summary(size)
        means, stds = ((100 * found[column]).map("{:.1f}".format) for column in ("mean", "std"))
        cells = means.where(found["n_repeats"] == 1, means + " ± " + stds)
        wide = cells.unstack(size).reindex(self.runs["method"].unique())
        return (
            wide[sorted(wide.columns, reverse=True)]
            .rename_axis(None)
            .to_latex(na_rep="", escape=True)
        )

    def curves(self) -> pd.DataFrame:
        """Name the columns as `TradeOffDisplay` takes them, which draws score against size."""
        renamed = self.runs.rename(columns={"method": "criterion", "score": "accuracy"})
        # Networks from scratch are iteration 0 all of them, and yet a point of the curve each.
        return renamed.assign(iteration=renamed.groupby(["repeat", "criterion"]).cumcount())


def compare_pruning(
    methods: Mapping[str, Any],
    X,
    y,
    *,
    cv=None,
    groups=None,
    scoring=None,
    n_jobs: int | None = None,
    random_state=None,
) -> PruningComparison:
    """Run ways to prune on the same repeats, and keep the score of every size of every one.

    One run of one method says little: at 94 % of 2,000 samples the standard error is half a point,
    and retraining alone may explain a gain. So give at least ten repeats, and the controls beside
    what you propose: random units, and small networks from scratch.

    Parameters
    ----------
    methods : dict of str to estimator, or to a list of estimators
        A pruner gives the networks of its whole path. A `PrunedMLPClassifier` with
        ``n_iterations=0`` is a network from scratch; a list of them, one per width, is a control
        at each of these sizes. Not changed.
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    cv : int, splitter or iterable, default=None
        What trains and what tests in each repeat. None is ten random stratified splits with three
        tenths to test. Pixels of one scene want `SpatialKFold`.
    groups : array-like of shape (n_samples,), default=None
        For `cv`, and for the pruners' own split: no group is on two sides.
    scoring : str or callable, default=None
        As in `cross_val_score`; None is accuracy.
    n_jobs : int, default=None
        Repeats to run at a time.
    random_state : int, RandomState instance or None, default=None
        Splits, and one seed per repeat that all methods share.

    Returns
    -------
    comparison : PruningComparison

    Raises
    ------
    ValueError
        If there is no method, a parameter of one is outside its range, `cv` has no split, or is
        None and a class is too small to be split; before any training.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn_capoz import PrunedMLPClassifier, compare_pruning
    >>> from sklearn_capoz.schedules import Widths
    >>> X, y = load_wine(return_X_y=True)
    >>> network = {"hidden_layer_sizes": (16,), "max_iter": 30, "retrain_max_iter": 10}
    >>> methods = {
    ...     criterion: PrunedMLPClassifier(
    ...         criterion=criterion, schedule=Widths((8, 4)), n_iterations=2, **network
    ...     )
    ...     for criterion in ("c-apoz", "random")
    ... }
    >>> found = compare_pruning(methods, (X - X.mean(0)) / X.std(0), y, cv=6, random_state=0)
    >>> found.runs.shape, found.test("random")["n_units"].tolist()
    ((36, 9), [16, 8, 4])
    """
    constraints = {"methods": [Mapping], "scoring": [str, callable, None]}
    given = {"methods": methods, "scoring": scoring}
    validate_parameter_constraints(constraints, given, caller_name="compare_pruning")
    check_labels(np.asarray(y))
    listed = _listed(methods)
    scorer = check_scoring(listed[0][1], scoring)
    random = check_random_state(random_state)
    if cv is None:
        cv = StratifiedShuffleSplit(10, test_size=0.3, random_state=random)
    splits = list(check_cv(cv, y, classifier=True).split(X, y, groups))
    if not splits:
        raise ValueError("cv has no split: give the number of repeats, or a splitter.")
    seeds = random.randint(np.iinfo(np.int32).max, size=len(splits))
    jobs = (
        delayed(_run)(listed, X, y, groups, scorer, repeat, seed, *split)
        for repeat, (seed, split) in enumerate(zip(seeds, splits, strict=True))
    )
    rows = [row for found in Parallel(n_jobs=n_jobs)(jobs) for row in found]
    return PruningComparison(pd.DataFrame(rows))


def _listed(methods: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return every name with a pruner, whose parameters are checked before the first one trains."""
    listed = []
    for name, given in methods.items():
        estimators = given if isinstance(given, Sequence) else [given]
        listed += [(name, as_pruner(estimator)) for estimator in estimators]
        if not estimators:
            raise ValueError(f"The method {name!r} is an empty list; give it an estimator.")
    if not listed:
        raise ValueError(
            'methods is empty: give a dict of pruners, {"l1": PrunedMLPClassifier(criterion="l1")} '
            "for example."
        )
    for _, pruner in listed:
        pruner._plan()
    return listed


def _run(listed, X, y, groups, scorer, repeat: int, seed: int, train, test) -> list[dict]:
    """Walk every method's path on one repeat, and score its networks."""
    X_train, y_train = _safe_indexing(X, train), _safe_indexing(y, train)
    X_test, y_test = _safe_indexing(X, test), _safe_indexing(y, test)
    groups = None if groups is None else _safe_indexing(groups, train)
    rows = []
    for name, estimator in listed:
        estimator = clone(estimator).set_params(random_state=seed)
        with catch_warnings():
            simplefilter("ignore", PruningStalledWarning)  # such a path has fewer rows
            path = pruning_path(estimator, X_train, y_train, groups=groups)
        epochs = path.history["n_epochs"].cumsum()
        for iteration, model in enumerate(path.estimators):
            sizes = path.history.loc[iteration, list(_SIZES)].astype(int).to_dict()
            score = scorer(model, X_test, y_test)
            rows.append(
                {"repeat": repeat, "method": name, "iteration": iteration}
                | sizes
                | {"n_epochs": int(epochs[iteration]), "score": float(score)}
            )
    return rows
