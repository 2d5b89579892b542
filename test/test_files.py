# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Files and folders that are complete or absent, with a failure at any step."""
import ast
import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.file_writers import child, names, put_folder, without_exchange

from lsm_ros import files
from lsm_ros.files import alone_in, making_parents, replacing, replacing_file, replacing_folder, write_text


@pytest.fixture(params=["exchange", "two renames"])
def way(request, monkeypatch):
    if request.param == "two renames":
        without_exchange(monkeypatch)
    return request.param


class TestPutInPlace:
    def test_text(self, tmp_path):
        for text in ("one", "zwei: ö\n"):
            write_text(tmp_path / "a" / "b.txt", text)
            assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == text and names(tmp_path / "a") == ["b.txt"]

    def test_the_old_content_is_there_until_the_end(self, tmp_path):
        write_text(tmp_path / "f", "old")
        with replacing_file(str(tmp_path / "f")) as file:
            file.write(b"new")
            file.flush()
            assert (tmp_path / "f").read_text() == "old"
        assert (tmp_path / "f").read_text() == "new" and names(tmp_path) == ["f"]

    def test_folder(self, tmp_path, way):
        for name in ("one", "two", "three"):
            put_folder(tmp_path / "map", name)
            assert names(tmp_path / "map") == [name] and names(tmp_path) == ["map"]

    def test_an_empty_folder_is_taken(self, tmp_path, way):
        (tmp_path / "map").mkdir()
        put_folder(tmp_path / "map", "one")
        assert names(tmp_path / "map") == ["one"]

    def test_the_part_has_the_name_of_the_target(self, tmp_path):
        """Formats that are chosen by the ending, and files that name each other, come out right."""
        with replacing(tmp_path / "picture.png") as part:
            assert part.name == "picture.png" and not part.exists() and part.parent.parent == tmp_path
            part.write_bytes(b"x")

    def test_rights_are_those_of_any_new_file(self, tmp_path):
        old = os.umask(0o022)
        try:
            write_text(tmp_path / "f", "x")
            put_folder(tmp_path / "d", "x")
        finally:
            os.umask(old)
        assert (tmp_path / "f").stat().st_mode & 0o777 == 0o644 and (tmp_path / "d").stat().st_mode & 0o777 == 0o755

    def test_all_of_it_is_on_the_disk_before_it_gets_the_name(self, tmp_path, monkeypatch, way):
        put_folder(tmp_path / "map", "old")
        synced, real = [], os.fsync

        def fsync(handle):
            synced.append((os.path.basename(os.readlink(f"/proc/self/fd/{handle}")), names(tmp_path / "map")))
            real(handle)

        monkeypatch.setattr(os, "fsync", fsync)
        with replacing_folder(tmp_path / "map") as part:
            (part / "in").mkdir()
            (part / "in" / "side").write_text("x")
            (part / "loose").symlink_to("nowhere")
        new = ["in", "loose"]
        assert sorted(synced[:-1]) == [("in", ["old"]), ("map", ["old"]), ("side", ["old"])]
        assert synced[-1] == (tmp_path.name, new)  # the folder that holds the name, after the renaming

    def test_new_folders_above_are_brought_to_the_disk(self, tmp_path, monkeypatch):
        synced, real = [], os.fsync
        monkeypatch.setattr(os, "fsync", lambda h: (synced.append(os.readlink(f"/proc/self/fd/{h}")), real(h)))
        write_text(tmp_path / "a" / "b" / "f", "x")
        assert synced[1:] == [str(tmp_path / "a" / "b"), str(tmp_path / "a"), str(tmp_path)]

    def test_this_machine_exchanges_folders_in_one_step(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        (tmp_path / "a" / "1").touch()
        if not files._exchanged(tmp_path / "a", tmp_path / "b"):
            pytest.skip("this file system cannot exchange two names")
        assert names(tmp_path / "b") == ["1"] and names(tmp_path / "a") == []
        assert not files._exchanged(tmp_path / "a", tmp_path / "none")


class TestWhatFails:
    @pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
    @pytest.mark.parametrize("there", [True, False])
    def test_in_the_block(self, tmp_path, error, there):
        target = tmp_path / "deep" / "er" / "map"
        if there:
            put_folder(target, "old")
        with pytest.raises(error), replacing_folder(target) as part:
            (part / "half").write_text("x")
            raise error
        assert (names(target), names(target.parent)) == (["old"], ["map"]) if there else names(tmp_path) == []

    def test_folders_that_others_use_by_now_stay(self, tmp_path):
        with pytest.raises(ZeroDivisionError), replacing(tmp_path / "new" / "f") as part:
            (tmp_path / "new" / "other").write_text("x")
            part.write_text("x")
            raise ZeroDivisionError
        assert names(tmp_path / "new") == ["other"]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.EIO, "Input/output error")])
    def test_folders_made_for_somebody_else_to_write_in(self, tmp_path, error):
        with making_parents(tmp_path / "deep" / "er" / "f"):
            (tmp_path / "deep" / "er" / "f").write_text("x")
        with pytest.raises((KeyboardInterrupt, OSError)), making_parents(tmp_path / "deep" / "new" / "f"):
            assert (tmp_path / "deep" / "new").is_dir()
            raise error
        assert names(tmp_path / "deep") == ["er"] and names(tmp_path / "deep" / "er") == ["f"]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.EIO, "Input/output error")])
    def test_between_the_two_renames(self, tmp_path, monkeypatch, error):
        without_exchange(monkeypatch)
        put_folder(tmp_path / "map", "old")
        real, calls = os.rename, []

        def rename(one, other):
            calls.append(other)
            if len(calls) == 3:  # not over a folder that is not empty; the old one away; the new one there
                assert not (tmp_path / "map").exists()
                raise error
            real(one, other)

        monkeypatch.setattr(os, "rename", rename)
        with pytest.raises(error if isinstance(error, type) else OSError):
            put_folder(tmp_path / "map", "new")
        assert names(tmp_path / "map") == ["old"] and names(tmp_path) == ["map"]

    @pytest.mark.parametrize("room", [0, 5000])
    def test_a_real_limit_of_the_file_system(self, tmp_path, room):
        """A process that may not write larger files stands for a full disk."""
        write_text(tmp_path / "f", "old")
        put_folder(tmp_path / "map", "old")
        code = ("for write in (lambda: files.write_text(target / 'f', 'x' * 10**5),\n"
                "              lambda: files.write_text(target / 'map' / 'new' / 'f', 'x' * 10**5)):\n"
                "    try:\n        write()\n    except OSError as error:\n        print(error.errno, error)\n")
        limit = (resource.RLIMIT_FSIZE, (room, room))
        out, err = child(code, tmp_path, preexec_fn=lambda: resource.setrlimit(*limit)).communicate()
        assert [line.split()[0] for line in out.splitlines()] == [str(errno.EFBIG)] * 2, err
        assert f"the previous content is intact: '{tmp_path / 'f'}'" in out and str(tmp_path / "map" / "new" / "f'") in out
        assert (tmp_path / "f").read_text() == "old" and names(tmp_path / "map") == ["old"] and names(tmp_path) == ["f", "map"]

    def test_a_disk_that_is_full_when_the_content_is_brought_there(self, tmp_path, monkeypatch):
        write_text(tmp_path / "f", "old")
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
        with pytest.raises(OSError, match="Input/output error; the previous content is intact") as found:
            write_text(tmp_path / "f", "new")
        assert found.value.errno == errno.EIO and found.value.filename == str(tmp_path / "f")
        assert (tmp_path / "f").read_text() == "old" and names(tmp_path) == ["f"]

    def test_the_folder_that_cannot_be_brought_to_the_disk(self, tmp_path, monkeypatch):
        write_text(tmp_path / "f", "old")
        real = files._sync_all

        def then_broken(part):
            real(part)
            monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))

        monkeypatch.setattr(files, "_sync_all", then_broken)
        with pytest.raises(OSError, match="new content is in place") as found:
            write_text(tmp_path / "f", "new")
        assert found.value.filename == str(tmp_path / "f") and (tmp_path / "f").read_text() == "new"

    def test_one_inside_of_another_says_it_once(self, tmp_path):
        with pytest.raises(OSError) as found, replacing_folder(tmp_path / "map") as outer, replacing_file(outer / "f"):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert str(found.value).count("intact") == 1 and found.value.filename == str(tmp_path / "map")
        assert names(tmp_path) == []

    @pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "No such file", "/the/input.png"),
                                       ConnectionResetError(errno.ECONNRESET, "Connection reset"), OSError("no frames")])
    def test_errors_that_are_not_of_writing_pass_as_they_are(self, tmp_path, error):
        with pytest.raises(type(error)) as found, replacing_file(tmp_path / "f"):
            raise error
        assert found.value is error and names(tmp_path) == []

    def test_a_block_that_writes_nothing(self, tmp_path):
        with pytest.raises(FileNotFoundError) as found, replacing(tmp_path / "f"):
            pass
        assert found.value.filename == str(tmp_path / "f") and names(tmp_path) == []

    def test_a_file_for_a_folder_and_a_folder_for_a_file(self, tmp_path, way):
        write_text(tmp_path / "f", "old")
        put_folder(tmp_path / "map", "old")
        with pytest.raises(NotADirectoryError, match="intact"):
            put_folder(tmp_path / "f", "new")
        with pytest.raises(IsADirectoryError, match="intact"):
            write_text(tmp_path / "map", "new")
        assert (tmp_path / "f").read_text() == "old" and names(tmp_path / "map") == ["old"] and names(tmp_path) == ["f", "map"]

    def test_a_file_in_the_way_above(self, tmp_path):
        write_text(tmp_path / "f", "old")
        with pytest.raises(OSError) as found:
            write_text(tmp_path / "f" / "g", "new")
        assert found.value.filename == str(tmp_path / "f" / "g") and (tmp_path / "f").read_text() == "old"


class TestLinks:
    def test_a_link_stays_and_what_it_leads_to_is_replaced(self, tmp_path, way):
        put_folder(tmp_path / "disk" / "map-7", "old")
        write_text(tmp_path / "disk" / "f-7", "old")
        (tmp_path / "map").symlink_to("disk/map-7")
        (tmp_path / "f").symlink_to(tmp_path / "disk" / "f-7")
        put_folder(tmp_path / "map", "new")
        write_text(tmp_path / "f", "new")
        assert (tmp_path / "map").is_symlink() and names(tmp_path / "disk" / "map-7") == ["new"]
        assert (tmp_path / "f").is_symlink() and (tmp_path / "disk" / "f-7").read_text() == "new"
        assert names(tmp_path) == ["disk", "f", "map"] and names(tmp_path / "disk") == ["f-7", "map-7"]

    def test_a_link_to_nothing_yet(self, tmp_path):
        (tmp_path / "f").symlink_to("real")
        write_text(tmp_path / "f", "new")
        assert (tmp_path / "f").is_symlink() and (tmp_path / "real").read_text() == "new"

    def test_a_link_to_itself(self, tmp_path):
        (tmp_path / "f").symlink_to("f")
        with pytest.raises(OSError, match="leads back to itself"):
            write_text(tmp_path / "f", "new")
        assert names(tmp_path) == ["f"]

    def test_a_path_below_the_working_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_text("f", "new")
        assert names(tmp_path) == ["f"]


class TestFilesOfOthers:
    OWN = ("map", "sub/own")

    def put(self, folder, text):
        with replacing_folder(folder, self.OWN) as part:
            (part / "map").write_text(text)

    def test_they_stay_where_they_are(self, tmp_path, way):
        place = tmp_path / "floor"
        self.put(place, "old")
        for name in ("sub/own", "sub/theirs", "kitchen/map", "note"):
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_text(name)
        (place / "empty").mkdir()
        (place / "link").symlink_to("nowhere")
        self.put(place, "new")
        there = {str(p.relative_to(place)) for p in place.rglob("*")}
        assert there == {"map", "sub", "sub/theirs", "kitchen", "kitchen/map", "note", "empty", "link"}
        assert (place / "map").read_text() == "new" and (place / "kitchen/map").read_text() == "kitchen/map"
        assert os.readlink(place / "link") == "nowhere" and [p.name for p in tmp_path.iterdir()] == ["floor"]

    def test_folders_that_only_held_own_files_go(self, tmp_path):
        self.put(tmp_path / "floor", "old")
        (tmp_path / "floor/sub").mkdir()
        (tmp_path / "floor/sub/own").write_text("x")
        self.put(tmp_path / "floor", "new")
        assert [p.name for p in (tmp_path / "floor").iterdir()] == ["map"]

    def test_a_file_system_without_links(self, tmp_path, monkeypatch):
        def refuse(*_args, **_options):
            raise OSError(1, "Operation not permitted")

        self.put(tmp_path / "floor", "old")
        (tmp_path / "floor/note").write_text("theirs")
        monkeypatch.setattr(os, "link", refuse)
        self.put(tmp_path / "floor", "new")
        assert (tmp_path / "floor/note").read_text() == "theirs"

    def test_an_error_leaves_all_of_it(self, tmp_path, way):
        self.put(tmp_path / "floor", "old")
        (tmp_path / "floor/note").write_text("theirs")
        with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "floor", self.OWN) as part:
            (part / "map").write_text("new")
            raise ZeroDivisionError
        assert (tmp_path / "floor/map").read_text() == "old" and (tmp_path / "floor/note").read_text() == "theirs"

    def test_a_pipe_among_them_stops_nothing(self, tmp_path):
        self.put(tmp_path / "floor", "old")
        os.mkfifo(tmp_path / "floor/pipe")
        self.put(tmp_path / "floor", "new")
        assert (tmp_path / "floor/pipe").is_fifo()


def test_a_device_or_a_pipe_is_written_to_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", "new")
    assert os.read(reader, 10) == b"new" and (tmp_path / "pipe").is_fifo() and names(tmp_path) == ["pipe"]
    os.close(reader)


def test_a_mount_point_is_refused_before_the_work():
    with pytest.raises(OSError, match="mount point") as found, replacing_folder("/proc"):
        pytest.fail("the block was entered")
    assert found.value.errno == errno.EBUSY and found.value.filename == "/proc"


class TestAloneIn:
    def test_a_second_one_waits_and_gives_up(self, tmp_path):
        with alone_in(tmp_path), pytest.raises(TimeoutError, match=f"{tmp_path} is being changed"), alone_in(tmp_path, 0.1):
            pass
        with alone_in(tmp_path, 0.1):
            pass

    def test_other_processes_wait_too_and_a_dead_one_lets_go(self, tmp_path):
        hold = f"from lsm_ros.files import alone_in\nwith alone_in({str(tmp_path)!r}): print('in', flush=True); input()"
        other = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == "in\n"
        with pytest.raises(TimeoutError), alone_in(tmp_path, 0.1):
            pass
        other.kill()
        other.communicate()
        with alone_in(tmp_path, 1.0):
            pass

    def test_a_folder_that_is_exchanged_at_this_moment_is_locked_anew(self, tmp_path, monkeypatch):
        put_folder(tmp_path / "map", "old")
        real = files.fcntl.flock

        def flock(*given):
            monkeypatch.undo()
            with replacing_folder(tmp_path / "map") as part:
                (part / "new").write_text("x")
            real(*given)

        monkeypatch.setattr(files.fcntl, "flock", flock)
        with alone_in(tmp_path / "map"), pytest.raises(TimeoutError), alone_in(tmp_path / "map", 0.1):
            pass
        assert names(tmp_path / "map") == ["new"]

    def test_nobody_waits_on_a_file_system_without_locks(self, tmp_path, monkeypatch):
        def flock(*_):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(files.fcntl, "flock", flock)
        with alone_in(tmp_path), alone_in(tmp_path):
            pass

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(FileNotFoundError), alone_in(tmp_path / "absent"):
            pass


def test_a_file_system_without_locks_is_written_to_and_nothing_is_taken_for_dead(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    (tmp_path / ".f.part-1-abcdefgh").mkdir()
    write_text(tmp_path / "f", "new")
    assert (tmp_path / "f").read_text() == "new" and names(tmp_path) == [".f.part-1-abcdefgh", "f"]


def test_it_knows_nobody_of_this_package():
    tree = ast.walk(ast.parse(Path(files.__file__).read_text()))
    imported = [n.module if isinstance(n, ast.ImportFrom) else n.names[0].name for n in tree
                if isinstance(n, (ast.Import, ast.ImportFrom))]
    assert all(name.split(".")[0] in sys.stdlib_module_names for name in imported)
