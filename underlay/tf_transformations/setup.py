# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Install tf_transformations as an ament Python package."""

from setuptools import find_packages, setup

NAME = "tf_transformations"

setup(
    name=NAME,
    version="1.1.1",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + NAME]),
        ("share/" + NAME, ["package.xml"]),
    ],
    install_requires=["numpy", "transforms3d"],
    zip_safe=True,
    maintainer="lsm_ros maintainers",
    maintainer_email="maintainers@users.noreply.github.com",
    description="Stand-in for tf_transformations on machines without a ROS installation.",
    license="Apache-2.0",
)
