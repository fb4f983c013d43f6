# SPDX-License-Identifier: MIT
"""A message board: a Django project of one application."""
