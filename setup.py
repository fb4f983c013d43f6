# SPDX-License-Identifier: MIT
"""The one thing pyproject.toml cannot say: that cffi builds the two extensions in C."""

from setuptools import setup

setup(
    cffi_modules=[
        "lwcgi/_core/build.py:ffibuilder",
        "lwcgi/lwc/_door/build.py:ffibuilder",
    ]
)
