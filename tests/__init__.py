# SPDX-License-Identifier: MIT
"""The tests of lwcgi."""
