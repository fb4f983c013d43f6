# SPDX-License-Identifier: MIT
"""The promises an engine makes, each with the checks that hold it to them."""
