# Two commands do everything on a machine without ROS: `make demo` and `make test`.
# On a machine with ROS 2, build with rosdep and colcon instead (README, "With ROS 2").
PYTHON ?= python3
SHELL := /bin/bash
ENV := . tools/env.sh

.PHONY: setup demo test test-all bench lint clean

setup:
	@$(PYTHON) tools/setup_env.py

demo: setup
	@$(ENV) && python -m lsm_ros.ros.demo --out out/demo $(ARGS)

test: setup
	@$(ENV) && python -m pytest -m "not slow" $(ARGS)

test-all: setup
	@$(ENV) && python -m pytest $(ARGS)

lint: setup
	@$(ENV) && ruff check .

clean:
	rm -rf .venv .ros out
