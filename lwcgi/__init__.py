# SPDX-License-Identifier: MIT
"""lwcgi: a FastCGI gateway for warm Python applications; each request starts from one snapshot.

What an application may import from here are the three hooks:

    import lwcgi

    @lwcgi.before_snapshot
    def let_go(): ...
"""

from .hooks import after_response, after_restore, before_snapshot

__all__ = ["__version__", "after_response", "after_restore", "before_snapshot"]

__version__ = "0.1.0"
