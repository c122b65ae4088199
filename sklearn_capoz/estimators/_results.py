"""What both estimators learn from a pruning run, and the bar that shows its progress."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter

import numpy as np
from sklearn.utils.validation import validate_data

from .._validation import both_or_none, check_hidden_layers, encode_labels
from ..criteria import Criterion, check_criterion
from ..pruning import (
    IterationRecord,
    PrunableModel,
    PruningJob,
    PruningPlan,
    choose_iteration,
    history_table,
    prune_together,
)
from ..schedules import Schedule, check_schedule
from ..thresholds import ThresholdRule, check_threshold
from ..training._samples import PruningData, Samples, make_samples

__all__ = ["PruningResultsMixin", "spawn_random_states"]


class PruningResultsMixin(ABC):
    """Turns the pruning parameters into a plan, and the records into learned attributes."""

    criterion: str | Criterion
    threshold: str | ThresholdRule
    schedule: str | Schedule
    n_iterations: int
    keep: str
    tolerance: float
    min_units: int
    compensation: str | None
    verbose: bool | int
    retrain_max_iter: int
    retrain_learning_rate: str
    distillation: float | None
    temperature: float
    classes_: np.ndarray

    def _plan(self) -> PruningPlan:
        """Check all parameters, before anything takes long."""
        self._check_parameters()
        plan = PruningPlan(
            criterion=check_criterion(self.criterion),
            threshold=check_threshold(self.threshold),
            schedule=check_schedule(self.schedule),
            n_iterations=self.n_iterations,
            min_units=self.min_units,
            compensation=self.compensation,
        )
        widths = self._dense_widths()
        if widths is not None:
            check_hidden_layers(widths)
            # A schedule for another number of layers raises here, not after the training.
            plan.iterations(widths)
        return plan

    def _fit(self, X, y, X_val, y_val, sample_weight):
        """Train, prune and keep one of the iterations."""
        return self._finish(*self._prepare(X, y, X_val, y_val, sample_weight))

    def _finish(self, job: PruningJob, fitted):
        """Prune a trained network and keep one of the iterations."""
        records = self._walk(job)
        return self._store(records, choose_iteration(records, self.keep, self.tolerance), fitted)

    def _walk(self, job: PruningJob) -> list[IterationRecord]:
        """Prune a trained network: all iterations."""
        with self._progress() as progress:
            return prune_together([replace(job, progress=progress)])[0]

    def _store(self, records: list[IterationRecord], iteration: int, fitted):
        """Set the learned attributes, with the network of one iteration; return self."""
        self.history_ = history_table(records)
        self.importances_ = [list(record.importances) for record in records]
        self.support_ = list(records[iteration].support)
        self.best_iteration_ = iteration
        self.compression_rate_ = float(self.history_["parameter_ratio"].iloc[iteration])
        self.criterion_ = check_criterion(self.criterion)
        self._store_model(records[iteration].model, fitted)
        return self

    def _prepare(
        self, X, y, X_val=None, y_val=None, sample_weight=None, *, network_only=False
    ) -> tuple[PruningJob, object]:
        """Check, split and train: the network to prune, and the estimator it came from.

        With `network_only` the estimator may be None, where that lets the
        network be trained sooner, to the same weights up to rounding.
        """
        plan = self._plan()
        data, training_random, scoring_random = self._split(X, y, X_val, y_val, sample_weight)
        start = perf_counter()
        model, n_epochs, fitted = self._train(data, training_random, network_only)
        model = self._for_retraining(model, data)
        seconds = perf_counter() - start
        return PruningJob(model, data, plan, scoring_random, n_epochs, seconds), fitted

    def _take_up(self, job: PruningJob, X, y, X_val=None, y_val=None, sample_weight=None):
        """Give a network that was trained elsewhere its samples again, and this plan."""
        data, *_ = self._split(X, y, X_val, y_val, sample_weight)
        return replace(job, data=data, plan=self._plan())

    @abstractmethod
    def _check_parameters(self) -> None:
        """Check the parameters that are not those of the plan."""

    @abstractmethod
    def _dense_widths(self) -> tuple[int, ...] | None:
        """Widths of the hidden layers before pruning, where they are known before training."""

    @abstractmethod
    def _keeps_arrays(self) -> bool:
        """Whether networks under pruning are plain arrays, which any process can be sent."""

    @abstractmethod
    def _split(
        self, X, y, X_val, y_val, sample_weight
    ) -> tuple[PruningData, np.random.RandomState, np.random.RandomState]:
        """Check and split samples; also return generators for training and for scoring."""

    @abstractmethod
    def _train(
        self, data: PruningData, random_state: np.random.RandomState, network_only: bool
    ) -> tuple[PrunableModel, int, object]:
        """Train the dense network: return it, the epochs, and the estimator it came from."""

    @abstractmethod
    def _store_model(self, model, fitted) -> None:
        """Keep a network in the form that the estimator predicts with."""

    def _check_validation(self, X_val, y_val) -> Samples | None:
        """Check the user's own validation data, if there is any."""
        if not both_or_none(X_val=X_val, y_val=y_val):
            return None
        X_val, y_val = validate_data(
            self, X_val, y_val, dtype=(np.float64, np.float32), reset=False
        )
        return make_samples(X_val, encode_labels(y_val, self.classes_, "y_val"))

    def _for_retraining(self, model, data: PruningData):
        """Give a trained network the settings of retraining, and itself as its teacher."""
        teacher = None if self.distillation is None else model.logits(data.train.X)
        settings = replace(
            model.settings,
            max_iter=self.retrain_max_iter,
            learning_rate=self.retrain_learning_rate,
            distillation=self.distillation or 0.0,
            temperature=self.temperature,
        )
        return model.configured(settings, teacher)

    @contextmanager
    def _progress(self):
        """Yield what is called after each iteration: a tqdm bar when verbose, else nothing."""
        if not self.verbose:
            yield None
            return
        from tqdm.auto import tqdm

        with tqdm(total=self.n_iterations + 1, desc=f"{self.criterion}", unit="iteration") as bar:

            def show(record: IterationRecord) -> None:
                units = "-".join(str(width) for width in record.model.widths)
                bar.set_postfix_str(f"units {units}, accuracy {record.accuracy_after:.4f}")
                bar.update()

            yield show


def spawn_random_states(
    random_state: np.random.RandomState, count: int
) -> list[np.random.RandomState]:
    """Independent generators, so that what one part draws does not change another's draws."""
    return [np.random.RandomState(seed) for seed in random_state.randint(2**31 - 1, size=count)]
