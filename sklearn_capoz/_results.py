"""What both estimators learn from a pruning run, and the bar that shows its progress."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from sklearn.utils.validation import validate_data

from ._samples import PruningData, Samples, make_samples
from ._validation import both_or_none, encode_labels
from .criteria import Criterion, check_criterion
from .pruning import (
    IterationRecord,
    PruningJob,
    PruningPlan,
    choose_iteration,
    history_table,
    prune_together,
)
from .schedules import Schedule, check_schedule
from .thresholds import ThresholdRule, check_threshold

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
        return PruningPlan(
            criterion=check_criterion(self.criterion),
            threshold=check_threshold(self.threshold),
            schedule=check_schedule(self.schedule),
            n_iterations=self.n_iterations,
            min_units=self.min_units,
            compensation=self.compensation,
        )

    def _fit(self, X, y, X_val, y_val, sample_weight):
        """Train, prune and keep one of the iterations."""
        records, fitted = self._run(X, y, X_val, y_val, sample_weight)
        return self._store(records, choose_iteration(records, self.keep, self.tolerance), fitted)

    def _run(self, X, y, X_val, y_val, sample_weight) -> tuple[list[IterationRecord], object]:
        """Train and prune: all records, and the dense estimator that the network came from."""
        job, fitted = self._prepare(X, y, X_val, y_val, sample_weight)
        with self._progress() as progress:
            return prune_together([replace(job, progress=progress)])[0], fitted

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

    @abstractmethod
    def _prepare(self, X, y, X_val, y_val, sample_weight) -> tuple[PruningJob, object]:
        """Check, split and train: the network to prune, and the estimator it came from."""

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
        return replace(model, settings=settings, teacher=teacher)

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
