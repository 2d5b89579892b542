# Source this to use the environment that `make setup` built:  . tools/env.sh
# (On a machine with its own ROS 2, source that and your workspace instead.)
_lsm_root="${LSM_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)}"
_lsm_venv="${LSM_VENV:-$_lsm_root/.venv}"
_lsm_work="${LSM_WORK:-$_lsm_root/.ros}"
export VIRTUAL_ENV="$_lsm_venv" PATH="$_lsm_venv/bin:$PATH"
export AMENT_PREFIX_PATH="$_lsm_venv" CMAKE_PREFIX_PATH="$_lsm_venv"
# The ROS wheels would start Python a second time to set this path; setting it here spares that.
export LD_LIBRARY_PATH="$_lsm_venv/lib:$(echo "$_lsm_venv"/lib/python3.*/site-packages/ros_*.libs | tr ' ' ':')${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1 RMW_IMPLEMENTATION=rmw_fastrtps_cpp
# Room for images in shared memory: with Fast DDS's default of 512 KiB images of 640x480 get lost or come seconds late.
export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$_lsm_root/config/fastdds.xml}"
_lsm_u=$(case $- in *u*) echo -u ;; esac)
set +u
[ -f "$_lsm_work/install/local_setup.sh" ] && COLCON_CURRENT_PREFIX="$_lsm_work/install" . "$_lsm_work/install/local_setup.sh"
unset COLCON_CURRENT_PREFIX
[ -n "$_lsm_u" ] && set -u
unset _lsm_root _lsm_venv _lsm_work _lsm_u
