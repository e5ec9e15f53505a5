"""What holds for every test: the profiles of hypothesis."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Deadlines measure the machine, not the code, and this suite runs on shared ones.
settings.register_profile("local", deadline=None, print_blob=True)
# The same examples at every run: a red build is red again when it is looked at.
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "local"))
