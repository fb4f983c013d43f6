# SPDX-License-Identifier: MIT
"""Everything around the workers: listening, loading, freezing, forking, watching, stopping.

Two processes share the work. The *master* (this command's own process) never runs
application code: it owns the addresses, the log and the signals. The *snapshot process*
loads the application, freezes it and forks the workers; every worker starts from its state.
"""
