# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Install tf2_geometry_msgs as an ament Python package."""

from setuptools import find_packages, setup

NAME = "tf2_geometry_msgs"

setup(
    name=NAME,
    version="0.36.4",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + NAME]),
        ("share/" + NAME, ["package.xml"]),
    ],
    zip_safe=True,
    maintainer="lsm_ros maintainers",
    maintainer_email="maintainers@users.noreply.github.com",
    description="Transforms of the stamped messages of geometry_msgs.",
    license="Apache-2.0",
)
