# SPDX-License-Identifier: MIT
"""Builds the calls of kmod/uapi/lwc.h as the extension `lwcgi.lwc._door._lwc` (cffi, API mode)."""

from pathlib import Path

from cffi import FFI

HERE = "lwcgi/lwc/_door"  # from the folder of setup.py, where this runs
CONTRACT = "kmod/uapi"

ffibuilder = FFI()
ffibuilder.cdef(Path(__file__).with_name("lwc.cdef.h").read_text())
ffibuilder.set_source(
    "lwcgi.lwc._door._lwc",
    '#include "shim.h"\n',
    sources=[f"{HERE}/shim.c"],
    include_dirs=[CONTRACT, HERE],
    depends=[f"{CONTRACT}/lwc.h", f"{HERE}/shim.h"],
    extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
