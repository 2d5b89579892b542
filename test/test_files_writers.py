# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Several writers of one file or folder: some killed, some at once."""
import os
import subprocess
import threading
from pathlib import Path

import pytest
from helpers.file_writers import child, killed_when_ready, names, put_folder, without_exchange

from lsm_ros import files
from lsm_ros.files import replacing, replacing_file, replacing_folder, tidy, write_text


@pytest.fixture(params=["exchange", "two renames"])
def way(request, monkeypatch):
    if request.param == "two renames":
        without_exchange(monkeypatch)
    return request.param


class TestKilled:
    def test_in_the_block(self, tmp_path):
        put_folder(tmp_path / "map", "old")
        killed_when_ready("with files.replacing_folder(target) as part:\n    (part / 'half').write_text('x')\n"
                          "    print('ready', flush=True)\n    time.sleep(60)\n", tmp_path / "map")
        assert names(tmp_path / "map") == ["old"] and len(names(tmp_path)) == 2  # its part is still there
        put_folder(tmp_path / "map", "new")
        assert names(tmp_path / "map") == ["new"] and names(tmp_path) == ["map"]

    AWAY = ("files._exchanged = lambda one, other: False\nreal = os.rename\n"
            "def rename(one, other):\n    real(one, other)\n"
            "    if Path(one) == target:\n        print('ready', flush=True)\n        time.sleep(60)\n"
            "os.rename = rename\n"
            "with files.replacing_folder(target) as part:\n    (part / 'new').write_text('x')\n")

    def test_between_the_two_renames(self, tmp_path):
        put_folder(tmp_path / "map", "old")
        killed_when_ready(self.AWAY, tmp_path / "map")
        assert not (tmp_path / "map").exists()
        tidy(tmp_path / "map")
        assert names(tmp_path / "map") == ["old"] and names(tmp_path) == ["map"]

    def test_between_the_two_renames_and_the_next_writer_fails(self, tmp_path):
        put_folder(tmp_path / "map", "old")
        killed_when_ready(self.AWAY, tmp_path / "map")
        with pytest.raises(ZeroDivisionError), replacing(tmp_path / "map"):
            raise ZeroDivisionError
        assert names(tmp_path / "map") == ["old"] and names(tmp_path) == ["map"]

    def test_what_has_come_in_the_meantime_is_newer_than_what_was_taken_away(self, tmp_path):
        put_folder(tmp_path / "map", "old")
        killed_when_ready(self.AWAY, tmp_path / "map")
        (tmp_path / "map").mkdir()
        tidy(tmp_path / "map")
        assert names(tmp_path / "map") == [] and names(tmp_path) == ["map"]

    def test_a_writer_of_another_name(self, tmp_path):
        """Maps that are named by the time are never written a second time: the next one clears what is left."""
        put_folder(tmp_path / "map_1", "old")
        killed_when_ready(self.AWAY, tmp_path / "map_1")
        put_folder(tmp_path / "map_2", "x")
        assert names(tmp_path) == ["map_1", "map_2"] and names(tmp_path / "map_1") == ["old"]

    def test_names_that_only_look_alike_stay(self, tmp_path):
        alike = [".map.part-12-abcdefgh", ".map2.part-12-abcdefgh", ".map.part-x", "map.part-12-abcdefgh"]
        for name in alike:
            (tmp_path / name).mkdir()
        tidy(tmp_path / "map")
        assert names(tmp_path) == sorted(alike[1:])


class TestAtOnce:
    def test_a_living_writer_keeps_its_part(self, tmp_path, way):
        process = child("with files.replacing_folder(target) as part:\n    (part / 'theirs').write_text('x')\n"
                        "    print('ready', flush=True)\n    sys.stdin.readline()\n", tmp_path / "map", stdin=subprocess.PIPE)
        assert process.stdout.readline().strip() == "ready"
        put_folder(tmp_path / "map", "ours")
        assert names(tmp_path / "map") == ["ours"]
        _, err = process.communicate("\n")
        assert process.returncode == 0, err
        assert names(tmp_path / "map") == ["theirs"] and names(tmp_path) == ["map"]  # the last one that ends

    @pytest.mark.parametrize("exchange", [True, False])
    def test_many_writers_of_one_folder_and_one_file(self, tmp_path, exchange):
        code = (("" if exchange else "files._exchanged = lambda one, other: False\n") +
                "for i in range(40):\n    with files.replacing_folder(target / 'map') as part:\n"
                "        for name in 'abc':\n            (part / name).write_text(sys.argv[2] * 1000)\n"
                "    files.write_text(target / 'f', sys.argv[2] * 1000)\n")
        writers = [child(code, tmp_path, letter) for letter in "xyz"]
        seen = set()
        while any(w.poll() is None for w in writers):
            if (tmp_path / "f").exists():
                seen.add((tmp_path / "f").read_text())
        assert [w.communicate()[1] for w in writers] == [""] * 3 and {w.returncode for w in writers} == {0}
        assert seen <= {letter * 1000 for letter in "xyz"}
        assert len({p.read_text() for p in (tmp_path / "map").iterdir()}) == 1 and names(tmp_path / "map") == list("abc")
        assert names(tmp_path) == ["f", "map"]

    def test_a_folder_that_is_away_for_a_moment_is_no_device(self, tmp_path, monkeypatch):
        """Another writer takes it away between two looks at it, and puts its own there."""
        target = tmp_path / "map"
        target.mkdir()
        monkeypatch.setattr(Path, "is_file", lambda path: False)
        monkeypatch.setattr(Path, "is_dir", lambda path: path != target and os.path.isdir(path))
        with replacing_folder(target) as part:
            assert part != target
            (part / "a").write_text("new")
        monkeypatch.undo()
        assert (target / "a").read_text() == "new" and names(tmp_path) == ["map"]

    def test_threads_of_one_process(self, tmp_path):
        errors, meet = [], threading.Barrier(2)

        def write(letter):
            try:
                with replacing_file(tmp_path / "f") as file:
                    meet.wait(20)
                    file.write(letter * 10)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not errors and (tmp_path / "f").read_bytes() in (b"a" * 10, b"b" * 10) and names(tmp_path) == ["f"]

    def test_a_part_that_is_taken_for_a_dead_one_before_it_is_locked(self, tmp_path, monkeypatch):
        real, made = files.tempfile.mkdtemp, []

        def mkdtemp(**options):
            made.append(real(**options))
            if len(made) == 1:
                tidy(tmp_path / "f")  # as another process would at this moment
            return made[-1]

        monkeypatch.setattr(files.tempfile, "mkdtemp", mkdtemp)
        write_text(tmp_path / "f", "x")
        assert len(made) == 2 and (tmp_path / "f").read_text() == "x" and names(tmp_path) == ["f"]

    def test_a_folder_that_another_writer_has_just_taken_away(self, tmp_path, monkeypatch):
        put_folder(tmp_path / "map", "old")
        monkeypatch.setattr(files, "_exchanged", lambda one, other: other.rename(tmp_path / "theirs") is None)
        put_folder(tmp_path / "map", "new")
        assert names(tmp_path / "map") == ["new"] and names(tmp_path) == ["map", "theirs"]

    def test_another_writer_takes_the_new_one_away_before_the_rest_is_removed(self, tmp_path, monkeypatch):
        """The oldest content would have come back for a moment, or the writer failed at the place of the other one."""
        without_exchange(monkeypatch)
        put_folder(tmp_path / "map", "old")
        real = files._sync

        def sync(path):
            real(path)
            if path == tmp_path:
                (tmp_path / "map").rename(tmp_path / "theirs")

        monkeypatch.setattr(files, "_sync", sync)
        put_folder(tmp_path / "map", "new")
        assert names(tmp_path) == ["theirs"] and names(tmp_path / "theirs") == ["new"]

    def test_another_writer_is_faster_than_the_old_one_coming_back(self, tmp_path, monkeypatch):
        (tmp_path / "work" / ".map.old-000000").mkdir(parents=True)
        put_folder(tmp_path / "map", "theirs")
        monkeypatch.setattr(os.path, "lexists", lambda _: False)  # it came after this look
        files._put_back(tmp_path / "work", tmp_path / "map")
        assert names(tmp_path / "map") == ["theirs"]

    def test_a_reader_sees_a_folder_at_every_moment(self, tmp_path):
        put_folder(tmp_path / "map", "a")
        if files._exchanged(tmp_path / "map", tmp_path / "map") is False:
            pytest.skip("this file system cannot exchange two names")
        process = child("for i in range(100):\n    with files.replacing_folder(target) as part:\n"
                        "        (part / 'a').write_text('x')\n", tmp_path / "map")
        missing = 0
        while process.poll() is None:
            missing += not (tmp_path / "map" / "a").exists()
        assert process.communicate()[1] == "" and missing == 0
