# SPDX-License-Identifier: MIT
"""The engine `lwc` at work in a guest: nginx, gateways with the demo applications, many requests."""
