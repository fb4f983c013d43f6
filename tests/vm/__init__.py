# SPDX-License-Identifier: MIT
"""The kernel module in virtual machines: built for Debian's kernels, loaded, tried and unloaded.

Nothing here needs hardware virtualization: QEMU emulates the processor (TCG). That makes a run
about ten times slower than on the machine itself, and the same everywhere.
"""
