# SPDX-License-Identifier: MIT
"""What the tests start, speak and look at."""

from tests.harness.client import Answer, Connection
from tests.harness.gateway import Gateway
from tests.harness.nginx import Nginx
from tests.harness.waiting import until

__all__ = ["Answer", "Connection", "Gateway", "Nginx", "until"]
