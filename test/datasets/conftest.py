# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import inspect

import pytest

from lsm_ros.datasets import RosbagSource


@pytest.fixture(autouse=True)
def closed_bags(monkeypatch):
    """Closes the bags that a test opened: a file that nobody closed is an error in whatever test runs when it is found."""
    opened, begin = [], RosbagSource.__init__

    def beginning(self, *args, **options):
        begin(self, *args, **options)
        opened.append(self)

    beginning.__signature__ = inspect.signature(begin)
    monkeypatch.setattr(RosbagSource, "__init__", beginning)
    yield
    for source in opened:
        source.close()
