"""FusedClassifier: several classifiers that vote, with weights chosen on samples held out."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, clone, is_classifier
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    has_fit_parameter,
    validate_data,
)

from .._fitting import all_or_nothing
from .._sklearn import Composition, Interval, StrOptions, check_sample_weight, safe_indexing
from .._validation import both_or_none, check_labels, encode_labels
from ..datasets import ScenePixels
from ..networks._inputs import leaves, map_inputs
from ..training._samples import stratified
from ._check_inputs import has_several
from ._fusion import check_classes, choose_weights, costs
from ._split import check_groups, mark_groups, unseeded

__all__ = ["FusedClassifier"]


class FusedClassifier(ClassifierMixin, Composition):
    r"""Several classifiers that vote by their probabilities, weighted by what they are worth.

    Soft voting of scikit-learn, with two things more: the weights may be chosen on samples that no
    member was trained on, and `cost_` says what the vote costs. It compresses nothing: every
    prediction runs all members.

    Parameters
    ----------
    estimators : list of (str, classifier)
        At least two, with `predict_proba`. Each is cloned and trained; one in a
        :class:`sklearn.frozen.FrozenEstimator` stays as it is.
    weights : {"validation"}, array-like of shape (n_estimators,) or None, default="validation"
        "validation" chooses them on samples held out; None weighs all alike.
    validation_fraction : float, default=0.2
        Share of the samples held out to choose the weights, stratified. Members are trained on the
        rest for that, and then on all. Where every member is frozen, all samples choose: give such
        as none was trained on. Not used with `X_val`, or with weights that are given.
    n_jobs : int or None, default=None
        Members to train at the same time.
    random_state : int, RandomState instance or None, default=None
        Of the samples held out, and of members that have no seed of their own.

    Attributes
    ----------
    voting_ : VotingClassifier
        Of the fitted members, each in a FrozenEstimator.
    estimators_ : list of classifier
        Fitted.
    weights_ : ndarray of shape (n_estimators,)
        They add up to 1. A member of weight 0 could be left out.
    cost_ : DataFrame
        For each member and for ``"all"``, by `n_parameters`, `n_bytes` and `n_multiply_adds` of one
        prediction: of its network, without the steps of a Pipeline before it. NaN where that is
        not known, as of a forest.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
        Where X is a table.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X has string column names.

    Raises
    ------
    TypeError
        If a member gives no probabilities.
    ValueError
        If a member knows other classes, or the samples to choose weights on lack a class.

    See Also
    --------
    sklearn.ensemble.VotingClassifier : The vote itself.
    sklearn_capoz.teachers.Ensemble : Lets several networks teach one, which costs one.

    Notes
    -----
    The weights w maximise the mean log-likelihood of the fused probabilities,

    .. math::

       \max_w \frac{1}{n} \sum_i \log \sum_k w_k\, p_k(y_i \mid x_i),
       \qquad w_k \ge 0, \quad \sum_k w_k = 1

    which is concave: there is one optimum, and expectation maximisation finds it. The share of
    right labels would be a step function of w with many.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_capoz import FusedClassifier, PrunedMLPClassifier
    >>> X, y = make_classification(n_samples=300, random_state=0)
    >>> pruned = PrunedMLPClassifier((10,), threshold="fraction", n_iterations=2, max_iter=50)
    >>> members = [("pruned", pruned), ("linear", LogisticRegression())]
    >>> fused = FusedClassifier(members, random_state=0).fit(X, y)
    >>> float(fused.weights_.sum())
    1.0
    >>> fused.cost_.index.tolist()
    ['pruned', 'linear', 'all']
    """

    _parameter_constraints = {
        "estimators": [list],
        "weights": [StrOptions({"validation"}), "array-like", None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_jobs": [None, int],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimators,
        *,
        weights="validation",
        validation_fraction=0.2,
        n_jobs=None,
        random_state=None,
    ):
        self.estimators = estimators
        self.weights = weights
        self.validation_fraction = validation_fraction
        self.n_jobs = n_jobs
        self.random_state = random_state

    #: What to do where one network is asked for.
    _instead_of_dense = (
        "is a vote of several networks, and files, graphs, C and integers hold one each. Write the "
        "members of `estimators_` one by one and average their probabilities by `weights_`, store "
        "it whole by joblib, or let one network learn from it: teacher=FrozenEstimator(fused)."
    )

    @all_or_nothing
    def fit(self, X, y, X_val=None, y_val=None, sample_weight=None, groups=None):
        """Train the members, and choose their weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Whatever all members take.
        y : array-like of shape (n_samples,)
            Labels.
        X_val, y_val : array-like, default=None
            Samples to choose the weights on.
        sample_weight : array-like of shape (n_samples,), default=None
            For the members, and for those of the samples that choose.
        groups : array-like of shape (n_samples,), default=None
            Samples of one group are held out together, and handed on to members that take groups.

        Returns
        -------
        self : FusedClassifier
        """
        self._validate_params()
        names, members = self._members()
        X, y, classes, beside = self._checked(X, y, sample_weight, groups)
        all_frozen = all(map(_is_frozen, members))
        if all_frozen:  # they know classes that few samples to choose on may lack
            classes = members[0].classes_
        for name, member in zip(names, members, strict=True):
            if _is_frozen(member):
                check_classes(name, member, classes)
        has_validation = both_or_none(X_val=X_val, y_val=y_val)
        random_state = check_random_state(self.random_state)
        for member in members:
            seeds = {name: random_state.randint(2**31 - 1) for name in unseeded(member)}
            member.set_params(**seeds)
        given = self._given_weights(len(members))
        chooses = given is None
        aside = np.zeros(len(y), dtype=bool)
        if chooses and not has_validation and not all_frozen:
            aside = self._held_out(y, classes, beside.get("groups"), random_state)
        fitted = self._fitted(members, X, y, ~aside, beside)
        if chooses:
            if has_validation:
                chosen_on = X_val, encode_labels(y_val, classes, "y_val"), None
            else:
                rows = np.flatnonzero(aside) if aside.any() else np.arange(len(y))
                weight = beside["sample_weight"][rows] if "sample_weight" in beside else None
                chosen_on = _take(X, rows), encode_labels(y[rows], classes, "y"), weight
            given = choose_weights(fitted, *chosen_on)
            if aside.any():
                fitted = self._fitted(members, X, y, np.ones(len(y), dtype=bool), beside)
        self.estimators_, self.weights_, self.classes_ = fitted, given, classes
        frozen = [(name, FrozenEstimator(m)) for name, m in zip(names, fitted, strict=True)]
        # Its members are trained, on labels and not on the codes that it would have given them; all
        # that is left to learn for it are the classes.
        self.voting_ = VotingClassifier(frozen, voting="soft", weights=given).fit(X, classes)
        self.cost_ = costs(names, fitted)
        return self

    def predict(self, X):
        """Predict the label of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_.take(probabilities.argmax(axis=1))

    def predict_proba(self, X):
        """Predict the probability of each class, the weighted mean of the members'.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.voting_.predict_proba(self._checked_X(X, reset=False))

    def get_params(self, deep=True):
        """Return the parameters, those of the members under their names.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        parameters : dict
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params):
        """Set parameters, of members as ``name__parameter``.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : FusedClassifier
        """
        self._set_params("estimators", **params)
        return self

    def _members(self) -> tuple[list[str], list]:
        """Return names, and members that are not trained unless they are frozen."""
        named = [part for part in self.estimators if isinstance(part, tuple) and len(part) == 2]
        if len(named) < max(2, len(self.estimators)):
            raise ValueError(
                "estimators must name at least two members, [('pruned', pruned), ('dense', "
                f"dense)] for example, got {self.estimators!r}."
            )
        names, members = zip(*named, strict=True)
        self._validate_names(names)
        for name, member in named:
            if not (hasattr(member, "predict_proba") and is_classifier(member)):
                raise TypeError(
                    f"The member {name!r}, {member!r}, gives no probabilities to fuse; give a "
                    "classifier with predict_proba."
                )
            if _is_frozen(member):
                check_is_fitted(member)
        return list(names), [clone(member) for member in members]

    def _checked_X(self, X, reset: bool):
        """See that X is one table or array of samples; what else members take is up to them."""
        if isinstance(X, ScenePixels) or has_several(X):
            return X
        how = {"dtype": None, "allow_nd": True, "ensure_all_finite": False}
        checked = validate_data(self, X, reset=reset, **how)
        return X if hasattr(X, "columns") else checked  # members know the columns by their names

    def _checked(self, X, y, sample_weight, groups) -> tuple[Any, np.ndarray, np.ndarray, dict]:
        """Leave out samples without a weight, and classes that have none other."""
        X, y = self._checked_X(X, reset=True), column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_labels(y)
        check_classification_targets(y)
        n_samples = len(next(leaves(X)))
        check_consistent_length(np.empty(n_samples), y, groups)
        beside = {}
        if groups is not None:
            beside["groups"] = check_groups(groups)
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, y, ensure_non_negative=True)
            used = np.flatnonzero(weight)
            X, y = _take(X, used), y[used]
            beside = {name: values[used] for name, values in beside.items()}
            beside["sample_weight"] = weight[used]
        return X, y, np.unique(y), beside

    def _given_weights(self, n_members: int) -> np.ndarray | None:
        """Return the weights that are not chosen, None for those that are."""
        if isinstance(self.weights, str):
            return None
        if self.weights is None:
            return np.full(n_members, 1 / n_members)
        weights = np.asarray(self.weights, dtype=np.float64)
        if (
            weights.shape != (n_members,)
            or not (weights >= 0).all()
            or not 0 < weights.sum() < np.inf
        ):
            raise ValueError(
                f"weights must be {n_members} numbers of at least 0, one for each member and not "
                f"all 0, got {self.weights!r}."
            )
        return weights / weights.sum()

    def _held_out(self, y, classes, groups, random_state) -> np.ndarray:
        codes = encode_labels(y, classes, "y")
        if groups is None:
            aside = stratified(codes, self.validation_fraction, random_state)
        else:
            aside = mark_groups(codes, groups, self.validation_fraction, random_state)
        for part, what in ((aside, "held out"), (~aside, "trained on")):
            missing = classes[np.setdiff1d(np.arange(len(classes)), codes[part])]
            if missing.size:
                raise ValueError(
                    f"validation_fraction={self.validation_fraction} of n_samples={len(y)} leaves "
                    f"no sample of "
                    f"{missing[:10].tolist()} among those {what}; give more samples or groups, "
                    "X_val and y_val, or weights=None."
                )
        return aside

    def _fitted(self, members: list, X, y, rows: np.ndarray, beside: dict) -> list:
        """Train members on some rows; frozen ones stay."""
        X, y = (X, y) if rows.all() else (_take(X, np.flatnonzero(rows)), y[rows])
        beside = {name: values[rows] for name, values in beside.items()}
        return list(Parallel(n_jobs=self.n_jobs)(delayed(_fit)(m, X, y, beside) for m in members))


def _take(X, rows: np.ndarray):
    if isinstance(X, ScenePixels):
        return X[rows]
    return map_inputs(lambda part: safe_indexing(part, rows), X)


def _is_frozen(member) -> bool:
    return isinstance(member, FrozenEstimator)


def _fit(member, X, y, beside: dict):
    if _is_frozen(member):
        return member.estimator
    if "sample_weight" in beside and not has_fit_parameter(member, "sample_weight"):
        raise ValueError(
            f"sample_weight was given, and {type(member).__name__} takes none in fit; leave the "
            "member or the weights out."
        )
    taken = {name: part for name, part in beside.items() if has_fit_parameter(member, name)}
    return clone(member).fit(X, y, **taken)
