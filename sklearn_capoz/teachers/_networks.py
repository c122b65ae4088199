"""Teachers that are networks like the student's, trained in the same fit."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral

from .._sklearn import Interval
from ._base import NetworksLesson, Teacher

__all__ = ["TEACHERS", "BornAgain", "Ensemble", "Mutual"]


class Ensemble(Teacher):
    """Networks from different weights, the pruned one's dense form among them.

    They are trained once, side by side, and teach the mean of their probabilities. The first
    training of the network to prune is as without a teacher.

    Parameters
    ----------
    n_networks : int, default=8
        The dense network included. All are kept until the fit ends.

    References
    ----------
    Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, 2015, arXiv:1503.02531.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_capoz import PrunedMLPClassifier
    >>> from sklearn_capoz.teachers import Ensemble
    >>> model = PrunedMLPClassifier(
    ...     (10,), teacher=Ensemble(n_networks=4), distillation=0.5, threshold="fraction",
    ...     n_iterations=1, max_iter=20, random_state=0,
    ... )
    >>> model.fit(*load_iris(return_X_y=True)).network_.n_classes
    3
    """

    _parameter_constraints = {"n_networks": [Interval(Integral, 2, None, closed="left")]}
    trains_networks = True

    def __init__(self, n_networks=8):
        self.n_networks = n_networks

    def after(self, model, room):
        others = room.trained(room.new_networks(self.n_networks - 1))
        return model, NetworksLesson((model, *others))


class BornAgain(Teacher):
    """Generations of the same network: each begins with new weights and the last one as teacher.

    The last generation is pruned, and teaches what is left of it.

    Parameters
    ----------
    generations : int, default=2
        After the first training; each takes as long as that.

    References
    ----------
    Furlanello, Lipton, Tschannen, Itti and Anandkumar, Born-again neural networks, ICML 2018,
    arXiv:1805.04770.

    Examples
    --------
    >>> from sklearn_capoz import PrunedMLPClassifier
    >>> from sklearn_capoz.teachers import BornAgain
    >>> model = PrunedMLPClassifier((10,), teacher=BornAgain(3), distillation=0.5)
    >>> model.get_params()["teacher__generations"]
    3
    """

    _parameter_constraints = {"generations": [Interval(Integral, 1, None, closed="left")]}
    trains_networks = True

    def __init__(self, generations=2):
        self.generations = generations

    def after(self, model, room):
        for _ in range(self.generations):
            [child] = room.new_networks(1)
            [model] = room.trained([room.taught(child, NetworksLesson((model,)))])
        return model, NetworksLesson((model,))


class Mutual(Teacher):
    """Networks that learn from each other all along: see `training.train_mutually`.

    Those that are not pruned stay dense, and learn on in every retraining. For dense networks on
    the compiled engine. In `CAPoZPruner` the estimator's own training comes before, without them.

    Parameters
    ----------
    n_networks : int, default=2
        The one to prune included. Every iteration's record holds its own state of all of them.

    References
    ----------
    Zhang, Xiang, Hospedales and Lu, Deep mutual learning, CVPR 2018,
    DOI 10.1109/CVPR.2018.00454.

    Examples
    --------
    >>> from sklearn_capoz import PrunedMLPClassifier
    >>> from sklearn_capoz.teachers import Mutual
    >>> model = PrunedMLPClassifier((10,), teacher=Mutual(n_networks=3), distillation=0.5)
    >>> model.get_params()["teacher__n_networks"]
    3
    """

    _parameter_constraints = {"n_networks": [Interval(Integral, 1, None, closed="left")]}
    trains_networks = True
    needs_engine = True

    def __init__(self, n_networks=2):
        self.n_networks = n_networks

    def before(self, models, room):
        return [
            replace(room.taught(model), peers=tuple(room.new_networks(self.n_networks - 1)))
            for model in models
        ]

    def after(self, model, room):
        if model.peers is None:  # the first training was the estimator's own
            peers = room.trained(room.new_networks(self.n_networks - 1))
            model = replace(model, peers=tuple(peers))
        return model, None


#: Name -> teacher, each made with its defaults.
TEACHERS = {"ensemble": Ensemble, "born-again": BornAgain, "mutual": Mutual}
