# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Subscriptions with many messages a second, read in a thread of their own."""
from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.context import Context
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.subscription import Subscription

LOOK_S = 0.1  # how long a reader that waits does not see that it shall end, or that a subscription has come
EVENTS_S = 1.0  # time between two looks for events, as of publishers whose QoS does not fit


class ReadElsewhere(CallbackGroup):
    """Keeps an executor from what a Reader reads."""

    def can_execute(self, entity: Any) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Never."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Nothing waits for it."""


class Reader:
    """Reads subscriptions in one thread, in which their callbacks run, one after the other.

    rclpy's executors look at every entity of a node again for each message: with the services, timers and events of this node
    that took more than a quarter of the interpreter's time at 30 images a second with depth, TF and a clock, which the worker
    then lacks. Here each message costs what it takes to wait for a few subscriptions.
    Events of a subscription are looked for now and then: who waits for them is woken by each message as well.
    """

    def __init__(self, context: Context, name: str) -> None:
        self.group = ReadElsewhere()
        self._context, self._name = context, name
        self._subscriptions: tuple[Subscription, ...] = ()
        self._thread: threading.Thread | None = None
        self._ended = False
        self._error: BaseException | None = None

    def read(self, *subscriptions: Subscription) -> None:
        """Reads these too from now on; an executor no longer does."""
        for subscription in subscriptions:
            subscription.callback_group = self.group
            for event in _events(subscription):
                event.callback_group = self.group
        self._subscriptions += subscriptions
        if self._thread is None and self._subscriptions:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def check(self) -> None:
        """Raises the error of a callback, which has ended the thread."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        """Ends the thread; must come before the node is destroyed. A callback that waits must have been let go."""
        self._ended = True
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._ended and self._context.ok():
                self._read_for_a_while(self._subscriptions)
        except Exception as error:  # the edge of the thread: `check` raises it in the thread that spins
            if self._context.ok():
                self._error = error

    def _read_for_a_while(self, subscriptions: tuple[Subscription, ...]) -> None:
        """Until other subscriptions are to be read, or it shall end."""
        wait_set = rclpy_implementation.WaitSet(len(subscriptions), 0, 0, 0, 0, 0, self._context.handle)
        events = [event for subscription in subscriptions for event in _events(subscription)]
        looked = -EVENTS_S
        while not self._ended and self._subscriptions is subscriptions and self._context.ok():
            if time.monotonic() - looked >= EVENTS_S:
                looked = time.monotonic()
                self._look_for(events)
            with ExitStack() as held:
                for subscription in subscriptions:
                    try:
                        held.enter_context(subscription.handle)
                    except rclpy_implementation.InvalidHandle:  # it was destroyed
                        self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)
                        return
                wait_set.clear_entities()
                for subscription in subscriptions:
                    wait_set.add_subscription(subscription.handle)
                wait_set.wait(int(LOOK_S * 1e9))
                ready = wait_set.get_ready_entities("subscription")
                taken = [(s, s.handle.take_message(s.msg_type, s.raw)) for s in subscriptions if s.handle.pointer in ready]
            for subscription, message in taken:
                if message is not None:
                    subscription.callback(message[0])

    def _look_for(self, events: list[Any]) -> None:
        with ExitStack() as held:
            for event in events:
                held.enter_context(event)
            wait_set = rclpy_implementation.WaitSet(0, 0, 0, 0, 0, len(events), self._context.handle)
            wait_set.clear_entities()
            for event in events:
                event.add_to_wait_set(wait_set)
            wait_set.wait(0)
            taken = [(event, event.take_data()) for event in events if event.is_ready(wait_set)]
        for event, data in taken:
            if data is not None:
                event.callback(data)


def _events(subscription: Subscription) -> list[Any]:
    handlers: Any = subscription.event_handlers  # a list, whatever rclpy's annotation says
    return list(handlers)
