# SPDX-License-Identifier: MIT
"""Small applications that misbehave on purpose."""
