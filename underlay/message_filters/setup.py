# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Install message_filters as an ament Python package."""

from setuptools import find_packages, setup

NAME = "message_filters"

setup(
    name=NAME,
    version="4.11.2",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + NAME]),
        ("share/" + NAME, ["package.xml"]),
    ],
    zip_safe=True,
    maintainer="lsm_ros maintainers",
    maintainer_email="maintainers@users.noreply.github.com",
    description="Filters that store messages or match those of several topics by time.",
    license="Apache-2.0",
)
