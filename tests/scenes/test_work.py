import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.scenes import _work as work
from sklearn_capoz.scenes import _writers as formats
from sklearn_capoz.scenes._pixels import map_layers
from sklearn_capoz.scenes._run import Workers, _blocks_per_task

pytest.importorskip("rasterio")
pytest.importorskip("spectral")

pytestmark = pytest.mark.filterwarnings("ignore:bands were matched by position")

SETTINGS = {"proba": True, "reject_below": 0.6, "block_rows": 4}


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


@pytest.fixture
def uninterrupted(tmp_path, scene, scene_model):
    """Return a function: the files of a run that nothing interrupted, by output name."""
    folder = tmp_path / "whole"
    folder.mkdir()

    def files(name):
        if not (folder / name).exists():
            predict_scene(scene_model, scene.cube, output=folder / name, **SETTINGS)
        return {k: v for k, v in contents(folder).items() if k.startswith("map")}

    return files


class Interrupter:
    """Raises at the nth call of anything it wraps; counts all calls."""

    def __init__(self, at, error=KeyboardInterrupt):
        self.at, self.calls, self.error = at, 0, error

    def wrap(self, function):
        def wrapped(*args, **kwargs):
            self.calls += 1
            if self.calls == self.at:
                raise self.error
            return function(*args, **kwargs)

        return wrapped


@pytest.mark.parametrize("name", ["map.tif", "map.hdr"])
def test_an_interruption_at_any_moment(
    tmp_path, monkeypatch, scene, scene_model, uninterrupted, name
):
    """Ctrl-C at every call that reads, writes, renames or removes something."""
    expected = uninterrupted(name)
    at = 0
    while True:
        at += 1
        folder = tmp_path / f"at {at}"
        folder.mkdir()
        interrupter = Interrupter(at)
        with monkeypatch.context() as patch:
            patch.setattr(GaussianNB, "predict_proba", interrupter.wrap(GaussianNB.predict_proba))
            patch.setattr(work, "_write_all", interrupter.wrap(work._write_all))
            patch.setattr(os, "replace", interrupter.wrap(os.replace))
            patch.setattr(os, "fsync", interrupter.wrap(os.fsync))
            patch.setattr(Path, "unlink", interrupter.wrap(Path.unlink))
            patch.setattr(formats, "_compare", interrupter.wrap(formats._compare))
            patch.setattr(work.shutil, "rmtree", interrupter.wrap(work.shutil.rmtree))
            try:
                predict_scene(scene_model, scene.cube, output=folder / name, n_jobs=2, **SETTINGS)
            except KeyboardInterrupt:
                pass
            else:
                break
        if (folder / name).exists():  # only with everything that belongs to it
            assert contents(folder) == expected
        predict_scene(
            scene_model, scene.cube, output=folder / name, resume=True, n_jobs=2, **SETTINGS
        )
        assert contents(folder) == expected, at
        assert not (folder / f"{name}.partial").exists()
    assert at > 30


@pytest.mark.parametrize("resume", [False, True])
def test_two_runs_at_once_do_not_mix_their_blocks(
    tmp_path, monkeypatch, scene, scene_model, uninterrupted, resume
):
    """The second leaves the first alone, and no lock outlives its run."""
    output, refusals = tmp_path / "map.tif", []
    plain = GaussianNB.predict_proba

    def with_another_run(*args):
        if not refusals:
            refusals.append(None)
            with pytest.raises(BlockingIOError, match="another run is writing this output"):
                predict_scene(scene_model, scene.cube, output=output, resume=resume, **SETTINGS)
        return plain(*args)

    monkeypatch.setattr(GaussianNB, "predict_proba", with_another_run)
    for _ in range(2):
        predict_scene(scene_model, scene.cube, output=output, **SETTINGS)
        assert contents(tmp_path) == uninterrupted("map.tif")
    assert refusals == [None]


def test_a_continued_run_does_only_what_is_left(tmp_path, monkeypatch, scene, scene_model):
    output = tmp_path / "map.tif"
    interrupter = Interrupter(at=6)
    with monkeypatch.context() as patch:
        patch.setattr(GaussianNB, "predict_proba", interrupter.wrap(GaussianNB.predict_proba))
        with pytest.raises(KeyboardInterrupt):
            predict_scene(scene_model, scene.cube, output=output, **SETTINGS)
    n_done = len((tmp_path / "map.tif.partial" / "journal").read_text().splitlines()) - 1
    assert 3 <= n_done < 9  # the other thread may finish blocks while this one stops
    counter = Interrupter(at=0)
    monkeypatch.setattr(GaussianNB, "predict_proba", counter.wrap(GaussianNB.predict_proba))
    predict_scene(scene_model, scene.cube, output=output, resume=True, **SETTINGS)
    assert counter.calls == 9 - n_done


@pytest.fixture
def interrupted(tmp_path, monkeypatch, scene, scene_model):
    """Interrupt a run after some blocks; return its output's path."""
    output = tmp_path / "map.tif"
    with monkeypatch.context() as patch:
        patch.setattr(GaussianNB, "predict_proba", Interrupter(6).wrap(GaussianNB.predict_proba))
        with pytest.raises(KeyboardInterrupt):
            predict_scene(scene_model, scene.cube, output=output, **SETTINGS)
    assert not output.exists()
    return output


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"reject_below": 0.7}, r"reject_below = 0\.6 \(now 0\.7\)\. Use"),
        ({"proba": False}, r"layers = classes, probability \(now classes\)\. Use"),
        ({"nodata": 3.0, "scale": 2.0}, r"scale = 1\.0 \(now 2\.0\), nodata = None \(now 3\.0\)"),
        ({"bad_bands": [3], "wavelengths": np.linspace(1990, 2480, 50)}, r"other bands\. Use"),
        ({"block_rows": 5}, r"block_rows = 4 \(now 5\)\. Use"),
        ("model", r"another model\. Use"),
        ("scene", r"another scene\. Use"),
    ],
)
def test_only_the_same_run_is_continued(interrupted, scene, scene_model, change, differs):
    model, cube, settings = scene_model, scene.cube, SETTINGS
    if change == "model":
        labels = scene.target_names[scene.labels.ravel()]
        model = GaussianNB(var_smoothing=1e-3).fit(cube.reshape(-1, 50), labels)
        model.wavelengths_ = scene.wavelengths
    elif change == "scene":
        cube = cube + np.float32(1e-3)
    else:
        settings = settings | change
    before = contents(interrupted.with_name("map.tif.partial"))
    with pytest.raises(ValueError, match=f"was begun with {differs}"):
        predict_scene(model, cube, output=interrupted, resume=True, **settings)
    assert contents(interrupted.with_name("map.tif.partial")) == before
    predict_scene(model, cube, output=interrupted, **settings)
    assert interrupted.exists()


def test_threads_may_change_between_runs(interrupted, scene, scene_model, uninterrupted):
    predict_scene(scene_model, scene.cube, output=interrupted, resume=True, n_jobs=3, **SETTINGS)
    assert contents(interrupted.parent) == uninterrupted("map.tif")


def cut_last_line(folder):
    journal = folder / "journal"
    journal.write_bytes(journal.read_bytes()[:-7])


def flip_a_byte(folder):
    raw = folder / "classes.raw"
    content = bytearray(raw.read_bytes())
    content[30] ^= 1
    raw.write_bytes(content)


def cut_the_results(folder):
    raw = folder / "probability.raw"
    raw.write_bytes(raw.read_bytes()[:2000])


def invent_a_line(folder):
    with open(folder / "journal", "ab") as journal:
        journal.write(json.dumps({"start": 3, "crc": 0}).encode() + b"\n")
        journal.write(json.dumps({"start": 10**9, "crc": 0}).encode() + b"\n")


def lose_the_results(folder):
    (folder / "classes.raw").unlink()


@pytest.mark.parametrize(
    "damage",
    [cut_last_line, flip_a_byte, cut_the_results, invent_a_line, lose_the_results],
)
def test_what_did_not_reach_the_disk_is_done_again(
    interrupted, scene, scene_model, uninterrupted, damage
):
    damage(interrupted.with_name("map.tif.partial"))
    predict_scene(scene_model, scene.cube, output=interrupted, resume=True, **SETTINGS)
    assert contents(interrupted.parent) == uninterrupted("map.tif")


def test_a_changed_file_is_not_continued(tmp_path, monkeypatch, write_envi, scene_model):
    path, output = write_envi(), tmp_path / "map.tif"
    with monkeypatch.context() as patch:
        patch.setattr(GaussianNB, "predict", Interrupter(3).wrap(GaussianNB.predict))
        with pytest.raises(KeyboardInterrupt):
            predict_scene(scene_model, path, output=output, block_rows=4)
    os.utime(path.with_suffix(".img"), (1, 1))
    with pytest.raises(ValueError, match="was begun with another scene"):
        predict_scene(scene_model, path, output=output, block_rows=4, resume=True)


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path, scene, scene_model, monkeypatch):
    def full(self):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(work.WorkFolder, "_rewrite_journal", full)
    message = r"No space left on device: cannot write to .*map\.tif\.partial"
    with pytest.raises(OSError, match=message) as caught:
        predict_scene(scene_model, scene.cube, output=tmp_path / "map.tif")
    assert caught.value.errno == errno.ENOSPC


def test_messages_of_a_cluster_are_few_small_and_enough_for_all():
    layers = map_layers(["a", "b"], proba=True, features=None)  # 1 + 2 * 4 bytes per pixel
    store = work.Store(layers, (10_000, 1000), 10)  # blocks of 90,000 bytes
    workers = Workers(None, 4, n_blocks=500)
    assert _blocks_per_task(store, workers, 100_000) == 8_000_000 // 90_000
    assert _blocks_per_task(store, workers, 40) == 10
    assert _blocks_per_task(store, workers, 3) == 1
    assert _blocks_per_task(store, replace(workers, n_blocks=5), 100_000) == 5


def test_a_scene_without_data_leaves_nothing(tmp_path, write_envi, scene, scene_model):
    path = write_envi(np.full_like(scene.cube, -1), **{"data ignore value": -1})
    with pytest.raises(ValueError, match="no pixel of the scene has data"):
        predict_scene(scene_model, path, output=tmp_path / "map.tif")
    assert not list(tmp_path.glob("map*"))


CHILD = """
import sys, time
import numpy as np
from sklearn.naive_bayes import GaussianNB
from sklearn_capoz.deploy import predict_scene

class Slow(GaussianNB):
    def predict(self, X):
        time.sleep(0.05)
        print("block", flush=True)
        return super().predict(X)

cube = np.random.RandomState(0).rand(400, 10, 4)
model = Slow().fit(cube[0], np.arange(10) % 3)
predict_scene(model, cube, output=sys.argv[1], block_rows=2, n_jobs=2, resume=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_stopped(tmp_path, sent):
    output, journal = tmp_path / "map.tif", tmp_path / "map.tif.partial" / "journal"
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CHILD, str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for _ in range(8):
        assert child.stdout.readline()
    child.send_signal(sent)
    started = time.monotonic()
    error = child.communicate(timeout=60)[1]
    assert child.returncode != 0
    assert time.monotonic() - started < 30
    assert (b"KeyboardInterrupt" in error) == (sent == signal.SIGINT)
    assert not output.exists()
    assert len(journal.read_text().splitlines()) >= 3
