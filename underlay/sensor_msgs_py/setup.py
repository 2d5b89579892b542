# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Install sensor_msgs_py as an ament Python package."""

from setuptools import find_packages, setup

NAME = "sensor_msgs_py"

setup(
    name=NAME,
    version="5.3.6",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + NAME]),
        ("share/" + NAME, ["package.xml"]),
    ],
    install_requires=["numpy"],
    zip_safe=True,
    maintainer="lsm_ros maintainers",
    maintainer_email="maintainers@users.noreply.github.com",
    description="Stand-in for sensor_msgs_py on machines without a ROS installation.",
    license="Apache-2.0",
)
