# SPDX-License-Identifier: MIT
"""Random programs, and CPython's own regression tests, each as one request that must leave no trace."""
