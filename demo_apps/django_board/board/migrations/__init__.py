# SPDX-License-Identifier: MIT
"""The steps of the database's schema."""
