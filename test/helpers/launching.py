# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A launch file that runs in a process of its own, with a temporary folder of its own."""
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What `ros2 launch` does with a file and its arguments; that command needs a whole ROS installation.
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource

arguments = [tuple(a.split(":=", 1)) for a in sys.argv[2:]]
service = LaunchService(argv=sys.argv[2:])
service.include_launch_description(LaunchDescription(
    [IncludeLaunchDescription(AnyLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)]))
sys.exit(service.run())
"""


class LaunchProcess:
    """A launch file under test. temporary: its temporary folder, empty at first; `programs` come first on its PATH."""

    def __init__(self, folder: Path, name: str, *, programs: Path | None = None, **arguments):
        self.folder, self.temporary = folder, folder / "tmp"
        self.temporary.mkdir()
        command = [sys.executable, "-c", LAUNCH, str(ROOT / "launch" / name)]
        command += [f"{key}:={value}" for key, value in arguments.items()]
        path = os.pathsep.join([*([str(programs)] if programs else []), os.environ["PATH"]])
        env = {**os.environ, "PATH": path, "TMPDIR": str(self.temporary), "ROS_LOG_DIR": str(folder / "ros"),
               "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self._log = (folder / "log.txt").open("w")
        self.process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT, cwd=folder, env=env,
                                        start_new_session=True)

    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    def alive(self) -> bool:
        return self.process.poll() is None

    def wait(self, seconds: float) -> int:
        """Exit status once it has ended by itself."""
        return self.process.wait(seconds)

    def left_behind(self) -> list[str]:
        """Files in its temporary folder."""
        return sorted(p.relative_to(self.temporary).as_posix() for p in self.temporary.rglob("*"))

    def stop(self) -> int:
        """Ends it as Ctrl-C in a terminal does, for all its processes; it has 30 seconds. Returns its exit status."""
        try:
            if self.alive():
                os.killpg(self.process.pid, signal.SIGINT)
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            return -9
        finally:
            self._log.close()
