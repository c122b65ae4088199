import os
import signal
import threading

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from sklearn_capoz import CAPoZPrunerCV, PrunedMLPClassifier
from sklearn_capoz.deploy import predict_scene
from sklearn_capoz.scenes import _run as scene_run
from sklearn_capoz.scenes._pixels import MapLayer
from sklearn_capoz.scenes._work import MemoryStore

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

# Workers that are shot leave sockets and processes for the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:bands were matched by position"),
]


@pytest.fixture(scope="module")
def client():
    """Start a cluster of two processes on this machine, reachable from it alone."""
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.parametrize("kind", ["envi", "array", "dask"])
def test_the_cluster_gives_what_threads_give(client, write_envi, scene, scene_model, kind):
    source = {
        "envi": lambda: write_envi(interleave="bil"),
        "array": lambda: scene.cube,
        "dask": lambda: da.from_array(scene.cube, chunks=(10, 13, 50)),
    }[kind]()
    settings = {"proba": True, "reject_below": 0.7, "block_rows": 6}
    expected = predict_scene(scene_model, scene.cube, **settings)
    found = predict_scene(scene_model, source, client=client, **settings)
    np.testing.assert_array_equal(found.codes, expected.codes)
    np.testing.assert_array_equal(found.probability, expected.probability)


def test_a_large_model_goes_to_the_cluster_once(client, monkeypatch, scene, scene_model, expected):
    monkeypatch.setattr(scene_run, "SMALL_MODEL", 0)
    found = predict_scene(scene_model, scene.cube, client=client, block_rows=6)
    np.testing.assert_array_equal(found.codes, expected)


def test_tasks_are_few_small_and_enough_for_all():
    def blocks(n_blocks, n_left, n_tasks=4, n_bands=1):
        layers = (
            MapLayer("classes", "uint8", ("class",)),
            MapLayer("more", "float32", ("x",) * n_bands),
        )
        workers = scene_run.Workers(None, n_tasks, n_blocks)
        store = MemoryStore(layers, (1, 1000), 10)
        return scene_run._blocks_per_task(store, workers, n_left)

    assert blocks(1, 1000) == 1
    assert blocks(8, 1000) == 8
    assert blocks(8, 12) == 3  # four tasks of three blocks
    assert blocks(8, 3) == 1
    assert blocks(8, 1000, n_bands=66) == 3  # 10 x 1000 x (1 + 4 x 66) bytes each, 8 MB together
    assert blocks(8, 1000, n_bands=1000) == 1
    assert blocks(8, 0) == 1  # a resumed run may have nothing left


def test_a_dask_array_goes_to_the_active_client(client, monkeypatch, scene, scene_model, expected):
    used = []
    on_cluster = scene_run.on_cluster

    def spy(source, classify, client):
        used.append(client)
        return on_cluster(source, classify, client)

    monkeypatch.setattr("sklearn_capoz.scenes._run.on_cluster", spy)
    found = predict_scene(scene_model, da.from_array(scene.cube, chunks=(17, 26, 50)))
    np.testing.assert_array_equal(found.codes, expected)
    predict_scene(scene_model, scene.cube)
    assert used == [client]


@pytest.mark.parametrize("kind", ["envi", "dask"])
def test_a_shot_worker_loses_nothing(client, tmp_path, write_envi, scene, scene_model, kind):
    cube = np.concatenate([scene.cube] * 10)
    source = {
        "envi": lambda: write_envi(cube),
        "dask": lambda: da.from_array(cube, chunks=(10, 26, 50)),
    }[kind]()
    client.wait_for_workers(2)
    pids = client.run(os.getpid)
    victim = next(iter(pids.values()))
    journal = tmp_path / "map.tif.partial" / "journal"
    shot = threading.Event()

    def shoot():
        while not (journal.exists() and len(journal.read_bytes().splitlines()) > 20):
            if shot.wait(0.005):
                return
        os.kill(victim, signal.SIGKILL)
        shot.set()

    hunter = threading.Thread(target=shoot)
    hunter.start()
    try:
        found = predict_scene(
            scene_model, source, client=client, output=tmp_path / "map.tif", block_rows=1
        )
        assert shot.is_set()  # in the middle of the scene
    finally:
        shot.set()
        hunter.join()
    expected = predict_scene(scene_model, cube, output=tmp_path / "expected.tif")
    np.testing.assert_array_equal(found.counts, expected.counts)
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "expected.tif").read_bytes()
    client.wait_for_workers(2)
    assert victim not in client.run(os.getpid).values()


def test_an_error_on_a_worker_is_the_callers(client, scene, scene_model):
    class Failing(GaussianNB):
        def predict(self, X):
            raise RuntimeError("no luck")

    model = Failing().fit(scene.cube.reshape(-1, 50), scene.labels.ravel())
    with pytest.raises(RuntimeError, match="no luck"):
        predict_scene(model, scene.cube, client=client)


def test_grid_search_runs_on_the_cluster(client, scene):
    X, y = scene.cube.reshape(-1, 50)[::4], scene.labels.ravel()[::4]
    y = np.where(y > 3, 1, 0)
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-2]}, cv=2)
    with joblib.parallel_config("dask"):
        there = GridSearchCV(GaussianNB(), search.param_grid, cv=2).fit(X, y)
    here = search.fit(X, y)
    np.testing.assert_array_equal(
        there.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"]
    )
    assert there.best_params_ == here.best_params_


def test_pruner_search_runs_on_the_cluster(client, scene):
    X, y = scene.cube.reshape(-1, 50)[::4].astype(float), scene.labels.ravel()[::4]
    y = np.where(y > 3, 1, 0)
    classifier = PrunedMLPClassifier((6,), max_iter=5, retrain_max_iter=2, random_state=0)
    search = CAPoZPrunerCV(classifier, thresholds=["fraction"], max_iterations=1, cv=2)
    with joblib.parallel_config("dask"):
        there = clone(search).fit(X, y)
    here = search.fit(X, y)
    np.testing.assert_array_equal(
        there.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"]
    )


def test_a_cluster_without_workers():
    with (
        distributed.LocalCluster(
            n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as empty,
        pytest.raises(ValueError, match="client has no workers"),
    ):
        predict_scene(GaussianNB().fit([[0.1], [0.2]], [0, 1]), np.ones((2, 2, 1)), client=empty)
