# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Install tf2_py as an ament Python package."""

from setuptools import find_packages, setup

NAME = "tf2_py"

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
    description="Transform buffer of tf2 in pure Python.",
    license="Apache-2.0",
)
