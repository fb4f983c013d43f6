# SPDX-License-Identifier: MIT
"""How many requests this process has served: a module global, which the footer shows."""

import os

served = 0


def count(get_response):
    """Count the request, as middleware."""

    def middleware(request):
        global served
        served += 1
        return get_response(request)

    return middleware


def of_this_process(request):
    """Tell templates the process and its count, as a context processor."""
    return {"pid": os.getpid(), "served": served}
