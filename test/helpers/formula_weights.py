# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Weights that are the same on each machine and with each version of torch."""
import torch


def filled(model, **factors):
    """The network with weights by a formula, ready for inference. factors: by which some are multiplied, `.` written `__`."""
    for n, (name, values) in enumerate(sorted((k, v) for k, v in model.state_dict().items() if v.is_floating_point())):
        x = torch.frac(torch.sin((torch.arange(values.numel(), dtype=torch.float64) + 1000 * n) * 12.9898) * 43758.5453)
        fan = values[0].numel() if values.ndim > 1 else 1
        x = 1 + 0.5 * x if name.endswith("running_var") else x * (6.0 / fan)**0.5 if values.ndim > 1 else 0.1 * x
        values.copy_(factors.get(name.replace(".", "__"), 1.0) * x.reshape(values.shape))
    return model.eval()
