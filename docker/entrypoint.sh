#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
# Sources ROS and, once it is built, the workspace; then becomes the command that it is given.
# No `set -u`: the set-up files of ROS read variables that need not exist.
set -eo pipefail

workspace="${LSM_WORKSPACE:-/opt/lsm_ws}"
ros_root="${LSM_ROS_ROOT:-/opt/ros/${ROS_DISTRO:?ROS_DISTRO is not set: name the ROS distribution}}"

# ROS from apt, or as jetson-containers builds it (those images also keep Python's path in a file of their own).
if [ -f "${ros_root}/setup.bash" ]; then
  # shellcheck source=/dev/null
  source "${ros_root}/setup.bash"
elif [ -f /ros_environment.sh ] && [ -f "${ros_root}/install/setup.bash" ]; then
  # shellcheck source=/dev/null
  source /ros_environment.sh > /dev/null
elif [ -f "${ros_root}/install/setup.bash" ]; then
  # shellcheck source=/dev/null
  source "${ros_root}/install/setup.bash"
else
  echo "no ROS in ${ros_root}: ROS_DISTRO=${ROS_DISTRO} is not what this image holds" >&2
  exit 1
fi

if [ -f "${workspace}/install/setup.bash" ]; then
  # shellcheck source=/dev/null
  source "${workspace}/install/setup.bash"
fi

exec "$@"
