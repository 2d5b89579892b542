# Two commands do everything on a machine without ROS: `make demo` and `make test`.
# On a machine with ROS 2, build with rosdep and colcon instead (README, "With ROS 2").
PYTHON ?= python3
PYTHON_OLDEST ?= python3.10
SHELL := /bin/bash
ENV := . tools/env.sh

OVER_TOPICS := test/ros test/demo test/launch test/underlay

.PHONY: setup demo test test-all test-oldest bench lint clean

setup:
	@$(PYTHON) tools/setup_env.py

demo: setup
	@$(ENV) && python -m lsm_ros.demo --out out/demo $(ARGS)

# The whole of the tests: those that talk over ROS topics alone and in order, the others in two processes. What failed is run once
# more by itself: on a busy machine processes that talk to each other may come too late, and a fault that is there fails again.
AGAIN := --last-failed --last-failed-no-failures none
test: setup
ifeq ($(strip $(ARGS)),)
	@$(ENV) && bad=0; \
	OMP_NUM_THREADS=1 python -m pytest -m "not slow" -n 2 --dist loadscope $(addprefix --ignore=,$(OVER_TOPICS)) \
	  || python -m pytest -m "not slow" $(AGAIN) $(addprefix --ignore=,$(OVER_TOPICS)) || bad=1; \
	python -m pytest -m "not slow" $(OVER_TOPICS) || python -m pytest -m "not slow" $(AGAIN) $(OVER_TOPICS) || bad=1; \
	exit $$bad
else
	@$(ENV) && python -m pytest -m "not slow" $(ARGS)
endif

# Everything; at the end it states what was not run, why, and how to get what is missing.
test-all: setup
	@$(ENV) && python -m pytest $(ARGS)

# Without ROS, on the versions that Ubuntu 22.04 has (requirements/oldest.txt); installs some 3 GB into .venv-oldest.
test-oldest:
	@$(PYTHON_OLDEST) tools/test_oldest.py $(ARGS)

lint: setup
	@$(ENV) && ruff check . && mypy

clean:
	rm -rf .venv .venv-oldest .ros out
