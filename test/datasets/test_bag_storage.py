# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bags whose files differ from what metadata.yaml, an index, or their names say; compressed ones; ones of other systems."""
import itertools
import re
import shutil
import sqlite3
import struct
import tempfile

import pytest
from helpers.bags import IMAGE, STORE, BagMaker, S, image, write_images

from lsm_ros.datasets import bag_unpacking, open_source
from lsm_ros.datasets.bag_metadata import BagMetadata
from lsm_ros.datasets.bag_storage import bag_files
from lsm_ros.datasets.bag_unpacking import unpack_message
from lsm_ros.datasets.base import WarningLog

zstd = pytest.importorskip("rosbags.rosbag2.storage_mcap", reason="rosbags is not installed (pip install rosbags)").zstd


def stamps(source):
    return [fs.stamp_ns // S for fs in source]


def file_of(folder):
    (found,) = [f for f in folder.iterdir() if f.suffix in (".mcap", ".db3")]
    return found


def split(folder, names, storage="mcap"):
    """A recording in parts: file i holds image i + 1."""
    folder.mkdir()
    for i, name in enumerate(names):
        part = folder.parent / f"part{i}"
        with BagMaker(part, storage) as bag:
            bag.put("/front/image", IMAGE, S * (i + 1), image(i + 1))
        file_of(part).rename(folder / name)
    return folder


def edit(folder, pattern, text):
    file = folder / "metadata.yaml"
    changed, count = re.subn(pattern, text, file.read_text())
    assert count
    file.write_text(changed)


class TestSplit:
    @pytest.mark.parametrize("storage, suffix", [("mcap", "mcap"), ("sqlite3", "db3")])
    def test_without_metadata_numbers_are_numbers(self, tmp_path, storage, suffix):
        source = open_source(split(tmp_path / "bag", [f"rec_{i}.{suffix}" for i in range(11)], storage))
        assert stamps(source) == list(range(1, 12)) and len(source) == 11
        assert any("no metadata.yaml" in w and "11 files" in w for w in source.warnings)

    def test_with_metadata_nothing_is_said_of_their_order(self, tmp_path):
        folder = split(tmp_path / "bag", ["rec_0.mcap", "rec_1.mcap"])
        (folder / "metadata.yaml").write_text("rosbag2_bagfile_information: {message_count: 2, relative_file_paths: "
                                              "[rec_0.mcap, rec_1.mcap]}")
        source = open_source(folder)
        assert stamps(source) == [1, 2] and not any("metadata" in w for w in source.warnings)

    def test_times_decide_where_names_say_another_order(self, tmp_path):
        assert stamps(open_source(split(tmp_path / "bag", ["c.mcap", "a.mcap", "b.mcap"]))) == [1, 2, 3]

    def test_recorders_side_by_side_are_merged(self, tmp_path):
        for name, times in (("left", (1, 3, 5)), ("right", (2, 4, 6))):
            with BagMaker(tmp_path / name) as bag:
                for t in times:
                    bag.put("/front/image", IMAGE, S * t, image(t))
        (tmp_path / "bag").mkdir()
        for name in ("left", "right"):
            file_of(tmp_path / name).rename(tmp_path / "bag" / f"{name}.mcap")
        source = open_source(tmp_path / "bag")
        assert stamps(source) == [1, 2, 3, 4, 5, 6] and not any("goes back" in w for w in source.warnings)

    def test_one_cut_part_costs_only_itself(self, tmp_path):
        folder = split(tmp_path / "bag", [f"rec_{i}.mcap" for i in range(4)])
        (folder / "rec_1.mcap").write_bytes((folder / "rec_1.mcap").read_bytes()[:40])
        (folder / "rec_2.mcap").write_bytes(b"")
        source = open_source(folder)
        assert stamps(source) == [1, 4]
        assert any("cannot be read: rec_1.mcap" in w for w in source.warnings)
        assert any("left out" in w and "rec_2.mcap" in w for w in source.warnings)


class TestMetadata:
    @pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
    def test_other_qos(self, tmp_path, storage):
        folder = write_images(tmp_path / "bag", storage=storage)
        edit(folder, r"offered_qos_profiles: .*", 'offered_qos_profiles: "- history: 3\\n  depth: 0\\n  reliability: 2"')
        assert stamps(open_source(folder)) == [1, 2, 3, 4]

    def test_other_types(self, tmp_path):
        folder = write_images(tmp_path / "bag")
        edit(folder, "type: sensor_msgs/msg/Image", "type: sensor_msgs/msg/CompressedImage")
        assert stamps(open_source(folder)) == [1, 2, 3, 4]

    @pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
    def test_counts_of_zero(self, tmp_path, storage):
        folder = write_images(tmp_path / "bag", storage=storage)
        edit(folder, "message_count: [0-9]+", "message_count: 0")
        source = open_source(folder)
        assert stamps(source) == [1, 2, 3, 4] and len(source) == 4
        assert "metadata.yaml says 0 messages, the files hold 8: the files are believed" in source.warnings

    def test_files_that_are_missing_or_not_named(self, tmp_path):
        folder = write_images(tmp_path / "bag")
        edit(folder, r"(\s+)- bag\.mcap", r"\1- bag.mcap\1- bag_1.mcap")
        shutil.move(file_of(split(tmp_path / "other", ["x.mcap"])), folder / "later.mcap")
        source = open_source(folder)
        assert any("missing" in w and "bag_1.mcap" in w for w in source.warnings)
        assert any("does not name" in w and "later.mcap" in w for w in source.warnings)

    @pytest.mark.parametrize("values", [
        "null", "{message_count: {}, relative_file_paths: [a]}", "{message_count: .inf, relative_file_paths: [a]}",
        "{message_count: 8, relative_file_paths: 5}", f"{{message_count: {'9' * 5000}, relative_file_paths: [a]}}",
        "{message_count: 8, relative_file_paths: [a], custom_data: {stamp_offset_ns: soon}}",
        "{message_count: 8, relative_file_paths: [a], custom_data: [1]}", "{a: " * 60, '!!python/object/apply:os.abort []'])
    def test_odd_values_leave_the_bag(self, tmp_path, values):
        (write_images(tmp_path / "bag") / "metadata.yaml").write_text(f"rosbag2_bagfile_information: {values}")
        source = open_source(tmp_path / "bag")
        assert stamps(source) == [1, 2, 3, 4] and source.stamp_offset_ns == 0
        assert any(w.startswith("metadata.yaml is damaged and not used") for w in source.warnings)

    @pytest.mark.parametrize(("named", "there", "count", "said"), [
        (["a.db3"], ["a.db3"], 8, []), (["a.db3"], ["a.db3"], 9, ["says 8 messages, the files hold 9"]),
        (["a.db3"], ["a.db3.zstd"], 8, []), (["a.db3.zstd"], ["a.db3"], 8, []), (["a.db3.zstd"], ["a.db3.zstd"], 8, []),
        (["x/a.db3"], ["a.db3"], 8, []), (["a.db3", "b.db3"], ["a.db3"], 4, ["are missing, with their messages: b.db3"]),
        (["a.db3"], ["a.db3", "b.db3"], 8, ["does not name are read, too: b.db3"])])
    def test_names_and_counts_are_compared(self, tmp_path, named, there, count, said):
        """Files may have been packed, or unpacked, since; what is missing explains another count."""
        log, folder = WarningLog(), tmp_path / "bag"
        folder.mkdir()
        values = f"{{message_count: 8, relative_file_paths: {named}}}"
        (folder / "metadata.yaml").write_text(f"rosbag2_bagfile_information: {values}")
        BagMetadata(folder, log).compare([folder / name for name in there], count)
        assert [any(text in line for line in log.lines()) for text in said] == [True] * len(said)
        assert len(log.lines()) == len(said)

    def test_one_that_fits_is_not_spoken_of(self, tmp_path):
        assert open_source(write_images(tmp_path / "bag")).warnings == []


class TestFiles:
    def test_they_come_in_the_order_of_their_numbers_without_hidden_ones(self, tmp_path):
        names = ["rec_0.mcap", "rec_2.mcap", "rec_10.mcap", "._rec_0.mcap", "notes.txt"]  # as macOS leaves them on other disks
        for name in names:
            (tmp_path / name).write_bytes(b"x")
        (tmp_path / "folder.mcap").mkdir()
        assert [f.name for f in bag_files(tmp_path)] == names[:3]

    def test_what_was_unpacked_goes_when_the_bag_is_closed_or_refused(self, tmp_path, monkeypatch):
        (tmp_path / "temporary").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        file = file_of(write_images(tmp_path / "bag"))
        whole, cut = tmp_path / "a.mcap.zstd", tmp_path / "b.mcap.zstd"
        whole.write_bytes(zstd.compress(file.read_bytes()))
        cut.write_bytes(whole.read_bytes()[:-100])
        source = open_source(whole)
        assert list((tmp_path / "temporary").iterdir())
        source.close()
        with pytest.raises(ValueError, match="cannot be read"):
            open_source(cut)
        assert not list((tmp_path / "temporary").iterdir())

    def test_one_that_breaks_while_it_is_read_is_said_to(self, tmp_path):
        source = open_source(write_images(tmp_path / "bag"))
        part = source._bag._parts[0]

        def messages(topics, read=part.messages):
            yield from itertools.islice(read(topics), 4)
            raise RuntimeError("a chunk")

        part.messages = messages
        assert stamps(source) == [1, 2]
        assert any(w == "bag bag breaks off in the middle: RuntimeError: a chunk" for w in source.warnings)

    def test_metadata_alone_is_a_bag_without_files(self, tmp_path):
        (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: {}")
        with pytest.raises(ValueError, match="holds no bag: neither .mcap nor .db3 files"):
            open_source(tmp_path)

    def test_one_without_a_byte_is_called_empty(self, tmp_path):
        (tmp_path / "a.mcap").touch()
        for path in (tmp_path, tmp_path / "a.mcap"):
            with pytest.raises(ValueError, match=r"a\.mcap is empty: the file has no bytes"):
                open_source(path)


class TestIndex:
    def test_counts_of_zero_in_the_file_itself(self, tmp_path):
        """The statistics record of an MCAP may leave the counts of its channels out."""
        folder = write_images(tmp_path / "bag", info=False)
        file = file_of(folder)
        data = bytearray(file.read_bytes())
        at = data.rindex(struct.pack("<BQ", 0x0B, 56))  # 46 bytes, then one channel of 10
        data[at + 9 + 46 + 2:at + 9 + 46 + 10] = bytes(8)
        file.write_bytes(bytes(data))
        source = open_source(folder)
        assert stamps(source) == [1, 2, 3, 4] and len(source) == 4

    def test_an_mcap_that_names_no_system(self, tmp_path):
        """Its header's profile is empty, as other recorders write it; the messages are those of ROS 2."""
        file = file_of(write_images(tmp_path / "bag"))
        data = file.read_bytes()
        assert data[17:25] == b"\x04\0\0\0ros2"
        size, = struct.unpack_from("<Q", data, 9)
        (tmp_path / "a.mcap").write_bytes(data[:9] + struct.pack("<Q", size - 4) + bytes(4) + data[25:])
        source = open_source(tmp_path / "a.mcap")
        assert stamps(source) == [1, 2, 3, 4]
        assert any("does not say that it is of ROS 2" in w for w in source.warnings)
        assert not any("damaged" in w for w in source.warnings)


class TestOddRows:
    """SQLite keeps any kind of value in any column, so a flipped bit makes text or NULL of a number."""

    def changed(self, folder, *commands):
        with sqlite3.connect(file_of(write_images(folder, storage="sqlite3"))) as database:
            for command in commands:
                database.execute(command)
        return folder

    @pytest.mark.parametrize("scanned", [False, True])
    @pytest.mark.parametrize("change", ["timestamp='soon'", "timestamp=1.5", "data='text'", "data=5"])
    def test_cost_their_message(self, tmp_path, change, scanned):
        of_image = "WHERE topic_id = (SELECT id FROM topics WHERE name LIKE '%image') AND timestamp = 2000001000"
        damage = ["INSERT INTO messages(topic_id, timestamp, data) VALUES (99, 9, x'00')"] if scanned else []
        source = open_source(self.changed(tmp_path / "bag", f"UPDATE messages SET {change} {of_image}", *damage))
        assert stamps(source) == [1, 3, 4] and any("is damaged" in w for w in source.warnings) == scanned
        assert any("/front/image skipped: its row holds no time or no bytes" in w for w in source.warnings)

    def test_topics_without_a_name(self, tmp_path):
        source = open_source(self.changed(tmp_path / "bag", "UPDATE topics SET name=x'ff' WHERE name LIKE '%info'"))
        assert stamps(source) == [1, 2, 3, 4] and any("no camera_info" in w for w in source.warnings)


class TestWriteAhead:
    """A recorder that was killed leaves messages in files beside the database."""

    @pytest.fixture(params=[("-wal",), ("-wal", "-shm")], ids=["wal", "wal and shm"])
    def killed(self, request, tmp_path):
        whole = write_images(tmp_path / "bag", storage="sqlite3")
        connection = sqlite3.connect(tmp_path / "rec.db3", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        old = sqlite3.connect(file_of(whole))
        for line in old.iterdump():
            connection.execute(line)
        (tmp_path / "killed").mkdir()
        for suffix in ("", *request.param):
            shutil.copy(f"{tmp_path / 'rec.db3'}{suffix}", tmp_path / "killed" / f"rec 1?.db3{suffix}")
        connection.close()
        old.close()
        return tmp_path / "killed"

    def test_is_read_and_left_as_it_is(self, killed):
        before = {f.name: f.read_bytes() for f in killed.iterdir()}
        source = open_source(killed)
        assert stamps(source) == [1, 2, 3, 4] and len(source) == 4
        assert any("-wal" in w for w in source.warnings)
        source.close()
        assert {f.name: f.read_bytes() for f in killed.iterdir()} == before

    def test_is_copied_only_where_the_index_of_shared_memory_lacks(self, killed, monkeypatch):
        copied = []
        monkeypatch.setattr(shutil, "copyfile", lambda a, b, copy=shutil.copyfile: copied.append(a.name) or copy(a, b))
        open_source(killed).close()
        assert bool(copied) == (not list(killed.glob("*-shm")))

    def test_an_empty_one_is_nothing(self, tmp_path):
        folder = write_images(tmp_path / "bag", storage="sqlite3")
        file_of(folder).with_name(f"{file_of(folder).name}-wal").touch()
        source = open_source(folder)
        assert stamps(source) == [1, 2, 3, 4] and source.warnings == []


class TestCompressed:
    @pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
    @pytest.mark.parametrize("suffix", [".zstd", ".zst"])
    def test_files_without_metadata(self, tmp_path, storage, suffix):
        file = file_of(write_images(tmp_path / "bag", storage=storage))
        (tmp_path / "packed").mkdir()
        packed = tmp_path / "packed" / (file.name + suffix)
        packed.write_bytes(zstd.compress(file.read_bytes()))
        for path in (packed, packed.parent):
            source = open_source(path)
            assert stamps(source) == [1, 2, 3, 4]
            source.close()

    def test_one_that_was_unpacked_is_read_once(self, tmp_path):
        folder = write_images(tmp_path / "bag")
        file = file_of(folder)
        (folder / (file.name + ".zstd")).write_bytes(zstd.compress(file.read_bytes()))
        assert len(open_source(folder)) == 4 and bag_files(folder) == [file]

    def test_messages_without_metadata(self, tmp_path):
        with BagMaker(tmp_path / "bag") as bag:
            for i in (1, 2, 3):
                bag.put("/front/image", IMAGE, S * i, zstd.compress(bytes(STORE.serialize_cdr(image(i), IMAGE))))
            bag.put("/front/image", IMAGE, S * 4, zstd.compress(b"some bytes")[:-3])
        (tmp_path / "bag" / "metadata.yaml").unlink()
        source = open_source(tmp_path / "bag")
        assert stamps(source) == [1, 2, 3]
        assert any("/front/image skipped" in w and "cut off" in w for w in source.warnings)

    def test_one_that_is_cut_is_named(self, tmp_path):
        file = file_of(write_images(tmp_path / "bag"))
        packed = tmp_path / "a.mcap.zstd"
        packed.write_bytes(zstd.compress(file.read_bytes())[:-100])
        with pytest.raises(ValueError, match=r"a\.mcap\.zstd cannot be read"):
            open_source(packed)

    def test_one_that_grows_without_end_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(bag_unpacking, "MOST_CHUNK_BYTES", 1000)
        (tmp_path / "a.mcap.zstd").write_bytes(zstd.compress(bytes(10**7)))
        with pytest.raises(ValueError, match=r"a\.mcap\.zstd.*more than 50 times.*zstd -d"):
            open_source(tmp_path / "a.mcap.zstd")
        with pytest.raises(ValueError, match="more than 1000 bytes"):
            unpack_message(zstd.compress(bytes(10**7)))


class TestOtherSystems:
    def mcap(self, path, encoding, msgtype, schema_encoding, profile=b""):
        def text(t):
            return struct.pack("<I", len(t)) + t

        def record(opcode, content):
            return struct.pack("<BQ", opcode, len(content)) + content

        parts = [record(1, text(profile) + text(b"")),
                 record(3, struct.pack("<H", 1) + text(msgtype) + text(schema_encoding) + text(b"")),
                 record(4, struct.pack("<HH", 1, 1) + text(b"/camera/image") + text(encoding) + text(b"")),
                 *(record(5, struct.pack("<HIQQ", 1, i, i, i) + b"12345678") for i in range(3))]
        path.write_bytes(b"\x89MCAP0\r\n" + b"".join(parts))
        return path

    @pytest.mark.parametrize("profile", [b"ros1", b""])
    def test_messages_of_ros_1(self, tmp_path, profile):
        with pytest.raises(ValueError, match="ROS 1.*rosbags-convert"):
            open_source(self.mcap(tmp_path / "a.mcap", b"ros1", b"sensor_msgs/Image", b"ros1msg", profile))

    @pytest.mark.parametrize("encoding, msgtype", [(b"protobuf", b"foxglove.CompressedImage"), (b"json", b"Image")])
    def test_messages_of_others(self, tmp_path, encoding, msgtype):
        with pytest.raises(ValueError, match=f"{encoding.decode()}.*/camera/image is {msgtype.decode()}"):
            open_source(self.mcap(tmp_path / "a.mcap", encoding, msgtype, encoding))

    def test_some_among_those_of_ros_2(self, tmp_path):
        folder = write_images(tmp_path / "bag")
        self.mcap(folder / "b.mcap", b"json", b"Image", b"jsonschema")
        source = open_source(folder)
        assert stamps(source) == [1, 2, 3, 4]
        assert any("/camera/image is left out: its 3 messages are json" in w for w in source.warnings)
