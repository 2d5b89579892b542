# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Install cv_bridge as an ament Python package."""

from setuptools import find_packages, setup

NAME = "cv_bridge"

setup(
    name=NAME,
    version="4.1.0",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + NAME]),
        ("share/" + NAME, ["package.xml"]),
    ],
    install_requires=["numpy"],
    zip_safe=True,
    maintainer="lsm_ros maintainers",
    maintainer_email="maintainers@users.noreply.github.com",
    description="Stand-in for cv_bridge on machines without a ROS installation.",
    license="Apache-2.0",
)
