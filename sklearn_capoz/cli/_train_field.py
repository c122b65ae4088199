"""Training on a library so that the model knows the field, and what to expect of it there."""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.pipeline import make_pipeline

from .. import FieldTrainedClassifier
from ..formats._csv_table import SpectraTable
from ..scenes import SceneSample, sample_scene
from ..scenes._open import open_source
from ._train_features import feature_steps
from ._train_network import field_network

__all__ = ["train_for_the_field"]

#: Folds that hold samples out to say what to expect.
N_FOLDS = 3

#: Spectra made for each class, and at least and at most.
PER_CLASS, LEAST, MOST = 4_000, 8_000, 40_000

#: Pixels of the scene that are looked at.
N_PIXELS = 20_000

#: Differences in accuracy below this are between one seed and the next.
NOISE = 0.01


def train_for_the_field(
    table: SpectraTable, fwhm, arguments: argparse.Namespace
) -> FieldTrainedClassifier:
    """Train on field spectra made of the table, prune, and print what to expect."""
    nm = table.wavelengths
    n_classes = len(set(table.y))
    n_spectra = arguments.field_spectra or min(max(PER_CLASS * n_classes, LEAST), MOST)
    steps = feature_steps(arguments.features or "hull", nm)
    scene = None if arguments.scene is None else _sample(arguments, nm)
    model = FieldTrainedClassifier(
        make_pipeline(*steps, field_network(arguments)),
        wavelengths=nm,
        fwhm=fwhm,
        n_samples=n_spectra,
        scene_pixels=None if scene is None else scene.pixels,
        scene_noise=None if scene is None else scene.noise,
        cv=N_FOLDS,
        verbose=not arguments.quiet,
        random_state=arguments.seed,
    )
    print(
        f"training on {n_spectra:,} field spectra made of them, then {N_FOLDS} times on fewer "
        "samples, to say what to expect of the others",
        flush=True,
    )
    # A pixel has no more digits, and in single precision it takes half the time.
    model.fit(table.X.astype(np.float32), table.y, groups=table.groups)
    inner = model.estimator_
    history = inner[-1].history_
    columns = ["n_units", "n_parameters", "parameter_ratio"]
    print(history[columns].round(3).to_string())
    print(f"kept: {inner[-1].network_.widths[0]} of {history['n_units'].iloc[0]} units")
    _say_what_to_expect(model)
    return model


def _sample(arguments: argparse.Namespace, nm: np.ndarray) -> SceneSample:
    """Draw pixels of the scene, in the bands that the table was brought to."""
    source = open_source(arguments.scene)
    stated = source.scale is not None or source.gain is not None or source.dtype.kind not in "iu"
    # Shapes are learnt from, not levels: where no scale is stated, any does.
    scale = None if stated else 10_000.0
    sample = sample_scene(
        arguments.scene, nm, n_pixels=N_PIXELS, scale=scale, random_state=arguments.seed
    )
    print(
        f"the scene teaches: {len(sample.pixels):,} of its pixels, under names that the table "
        f"makes likely; its noise is {np.median(sample.noise):.2%} of reflectance"
    )
    return sample


def _say_what_to_expect(model: FieldTrainedClassifier) -> None:
    """Print accuracies in the field and recalls, and where matching is as good."""
    expected, recall = model.expected_accuracy_, model.expected_recall_
    alone = model.not_held_out_
    assert expected is not None  # it was asked for
    assert recall is not None
    assert alone is not None
    print("\nwhat to expect, by how far the field is (made spectra of samples not trained on):")
    print(expected.rename(columns=_spoken).round(3).to_string())
    # What made spectra lack, such as minerals that the table has not, only lowers accuracy: so it
    # is the strongest shift. They have each class as often, which no scene has: so the balanced.
    balanced = expected["balanced"]["strong"]
    print(
        f"expect a balanced accuracy of {balanced:.2f}; the overall one depends on which classes "
        "are common."
    )
    print("\npart of each class that is named right:")
    print(recall.rename(columns=_spoken).round(2).to_string())
    if len(alone):
        names = ", ".join(map(str, alone))
        print(
            f"\nof one sample only, so not held out, and their figures too good: {names}. "
            f"{len(alone)} of {len(model.classes_)} classes: the less the tables say."
        )
    # Both kinds of accuracy count the same here: which one matters is the map's purpose.
    gain = expected[["overall", "balanced"]].mean(axis=1) - expected[
        ["matching_overall", "matching_balanced"]
    ].mean(axis=1)
    as_good = expected.index[gain < NOISE].tolist()
    if as_good:
        print(
            f"\nmatching with the library is expected to be as good or better: {', '.join(as_good)}"
            f" field. It needs no training (sklearn_capoz.spectral.SpectralMatcher)."
        )
    print(
        "\nMaterials that the table lacks are no part of these figures: the map rejects "
        "most of them, and gives the others one of its names. Measure it by places that you "
        "know: python -m sklearn_capoz assess"
    )


def _spoken(column: str) -> str:
    return column.replace("_", " ")
