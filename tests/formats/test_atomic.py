"""Files that appear whole or not at all, and what is no file."""

import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from sklearn_capoz.exceptions import DataFormatError
from sklearn_capoz.formats import _atomic
from sklearn_capoz.formats._atomic import check_regular_file, check_target, write_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="pipes, devices and modes")


@pytest.fixture(params=["unnamed", "named"])
def way(request, monkeypatch):
    """Both ways to make a temporary file: without a name where Linux can, and with one."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return request.param


def write(path, content):
    with write_atomically(path) as temporary:
        temporary.write_text(content)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_new_or_replaced(tmp_path, way):
    path = tmp_path / "model"
    write(path, "old")
    write(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_all_is_as_before(tmp_path, way, error):
    path = tmp_path / "model"
    write(path, "old")

    def fail():
        with write_atomically(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["model"]


@posix
def test_modes_are_kept_and_the_umask_obeyed(tmp_path, way):
    path = tmp_path / "model"
    before = os.umask(0o027)
    try:
        write(path, "old")
        assert mode(path) == 0o640
        path.chmod(0o600)
        with write_atomically(path) as temporary:
            assert mode(temporary) == 0o600  # nobody else reads it meanwhile
            temporary.write_text("secret")
        assert mode(path) == 0o600
    finally:
        os.umask(before)


@posix
def test_a_link_stays_a_link(tmp_path, way):
    path, link, nowhere = tmp_path / "model", tmp_path / "link", tmp_path / "nowhere"
    write(path, "old")
    link.symlink_to("model")
    write(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    nowhere.symlink_to("later")
    write(nowhere, "there now")
    assert (tmp_path / "later").read_text() == "there now"


def test_names_as_long_as_names_may_be(tmp_path, way):
    path = tmp_path / ("m" * 255)
    write(path, "whole")
    assert path.read_text() == "whole"


KILLED = """
import os, signal, sys
from sklearn_capoz.formats._atomic import write_atomically
with write_atomically(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@posix
def test_a_killed_process_leaves_nothing(tmp_path):
    if _atomic._create(tmp_path / "try")[1].parent == tmp_path:
        pytest.skip("this file system makes no files without a name")
    path = tmp_path / "model"
    died = subprocess.run([sys.executable, "-W", "ignore", "-c", KILLED, str(path)])
    assert died.returncode == -signal.SIGKILL
    assert os.listdir(tmp_path) == []


@posix
def test_devices_and_pipes_are_written_to(tmp_path):
    write(os.devnull, "gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="No such device"):
        write(pipe, "nobody reads it")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # so that the writer needs not wait
    os.set_blocking(reader, True)

    def read():
        with open(reader, "rb") as file:
            found.append(file.read())

    thread = threading.Thread(target=read)
    write_end = os.open(pipe, os.O_WRONLY)  # so that the reader does not end before
    thread.start()
    write(pipe, "through" * 50_000)  # more than a pipe holds at a time
    os.close(write_end)
    thread.join(10)
    assert found == [b"through" * 50_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


@posix
def test_a_pipe_gets_nothing_of_a_failure(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    def fail():
        with write_atomically(pipe) as temporary:
            temporary.write_text("half")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_where_no_file_can_be(tmp_path, monkeypatch):
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file"):
        check_target(tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        check_target(tmp_path / "absent" / "model")
    (tmp_path / "model").write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # whoever runs the tests may be root
    with pytest.raises(PermissionError, match="is write-protected"):
        write(tmp_path / "model", "new")


@posix
def test_what_is_read_is_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    with pytest.raises(DataFormatError, match="is a folder; give the name of a file"):
        check_regular_file(tmp_path)
    for path, kind in ((pipe, "pipe"), (tmp_path / "link", "pipe"), (os.devnull, "device")):
        with pytest.raises(DataFormatError, match=f"is a {kind}, and what is read must be a file"):
            check_regular_file(path)
    (tmp_path / "file").touch()
    check_regular_file(tmp_path / "file")
    check_regular_file(tmp_path / "absent")


def test_a_folder_that_takes_no_file_is_told(tmp_path, way, monkeypatch):
    check_target(tmp_path / "model")
    assert os.listdir(tmp_path) == []

    def refuse(*_):
        raise PermissionError(13, "Permission denied", "hidden name")

    monkeypatch.setattr(_atomic, "_create", refuse)
    with pytest.raises(PermissionError, match=r"^No file can be made in .*: Permission denied\.$"):
        check_target(tmp_path / "model")
    assert not os.path.exists(tmp_path / "model")


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="a folder that is no one's to write to")
def test_no_file_is_made_in_proc():
    with pytest.raises(OSError, match="No file can be made in /proc"):
        check_target("/proc/model")
