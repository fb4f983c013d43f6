# SPDX-License-Identifier: MIT
"""Mutated input for the protocol code."""
