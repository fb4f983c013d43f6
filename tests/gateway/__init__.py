# SPDX-License-Identifier: MIT
"""The running gateway, spoken to over FastCGI and through nginx."""
