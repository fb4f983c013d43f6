# SPDX-License-Identifier: MIT
"""The one thing pyproject.toml cannot say: that cffi builds the C core."""

from setuptools import setup

setup(cffi_modules=["lwcgi/_core/build.py:ffibuilder"])
