"""Where models are written to and read from: links, modes, pipes, devices, long names, kills."""

import os
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest

from sklearn_capoz.deploy import load_model, save_model, to_c, to_onnx
from sklearn_capoz.exceptions import DataFormatError

WRITERS = {"save_model": save_model, "to_onnx": to_onnx, "to_c": to_c}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes and modes are of POSIX")


@pytest.fixture(params=WRITERS)
def write(request):
    return WRITERS[request.param]


def test_the_mode_of_an_old_file_is_kept(models, tmp_path, write):
    path = tmp_path / "model"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write(models["mlp"][0], path)
    assert path.stat().st_size > 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_links_stay_and_their_targets_are_written(models, tmp_path, write):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "model", tmp_path / "link"
    link.symlink_to(target)
    write(models["mlp"][0], link)
    assert link.is_symlink()
    assert target.is_file()
    assert os.listdir(tmp_path / "folder") == ["model"]


def test_a_pipe_stays_a_pipe(models, tmp_path, write):
    path, whole = tmp_path / "pipe", tmp_path / "model"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe that nobody reads is refused
    try:
        write(models["mlp"][0], path)
        found = os.read(reader, 65536)
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)
    write(models["mlp"][0], whole)
    expected = whole.read_bytes()
    if write is to_c:  # a header's names are those of its file
        assert found == expected.replace(b"model", b"pipe").replace(b"MODEL", b"PIPE")
    elif write is save_model:  # the order of its metadata is not always the same
        whole.write_bytes(found)
        load_model(whole)
    else:
        assert found == expected


def test_the_null_device_stays_a_device(models, write):
    before = os.stat(os.devnull)
    write(models["mlp"][0], os.devnull)
    after = os.stat(os.devnull)
    assert stat.S_ISCHR(after.st_mode)
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)


def test_names_as_long_as_names_may_be(models, tmp_path, write):
    path = tmp_path / ("m" * 255)
    write(models["mlp"][0], path)
    assert [len(name) for name in os.listdir(tmp_path)] == [255]


def test_a_killed_save_leaves_the_old_file_and_no_other(models, tmp_path):
    path = tmp_path / "model.capoz"
    save_model(models["mlp"][0], path)
    before = path.read_bytes()
    script = """
import os, signal, sys
from sklearn_capoz.deploy import load_model, save_model
model = load_model(sys.argv[1])
os.replace = os.link = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
save_model(model, sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", script, path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    if sys.platform == "linux":  # elsewhere a temporary file has a name from the beginning
        assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a pipe"])
def test_what_is_no_file_is_not_waited_for(tmp_path, kind):
    path = {"device": "/dev/zero", "folder": tmp_path}.get(kind, tmp_path / "pipe")
    if "pipe" in kind:
        os.mkfifo(path)
    if kind == "link to a pipe":
        (tmp_path / "link").symlink_to(path)
        path = tmp_path / "link"
    asked = "give the name of a file" if kind == "folder" else "what is read must be a file"
    with pytest.raises(DataFormatError, match=asked):
        load_model(path)


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "huge.capoz"
    with open(path, "wb") as file:
        file.truncate(2**40)  # without a block on the disk
    with pytest.raises(DataFormatError, match=r"no model file: it has 1,099,511,627,776 bytes"):
        load_model(path)


def test_a_place_that_cannot_be_written_to_is_named_before_any_work(models, tmp_path):
    for write in WRITERS.values():
        with pytest.raises(FileNotFoundError, match="There is no folder"):
            write("no model at all", tmp_path / "no" / "model")


def test_a_changed_file_does_not_change_a_loaded_model(models, tmp_path):
    """It is read, and not mapped: a mapped file that somebody cuts ends the process."""
    model, X = models["mlp"]
    path = tmp_path / "model.capoz"
    save_model(model, path)
    loaded = load_model(path)
    with open(path, "r+b") as file:
        file.truncate(10)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
