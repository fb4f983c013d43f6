# SPDX-License-Identifier: MIT
"""Builds the C core as the extension `lwcgi._core._lwcgi` (cffi, API mode)."""

import os
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
CONTRACT = HERE.parent.parent / "kmod" / "uapi"
SOURCES = sorted((HERE / "src").glob("*.c"))
FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-D_GNU_SOURCE"]

ffibuilder = FFI()
cdef = (HERE / "core.cdef.h").read_text()
LINK_FLAGS = ["-Wl,-z,now"]  # no lazy binding: resolving later would write to the snapshot
# The tests alone build this variant: warnings are errors, it can leave a clean-up step out, and
# stops at undefined
# behaviour.
if os.environ.get("LWCGI_MUTATIONS"):
    FLAGS += ["-Werror", "-DLWCGI_MUTATIONS", "-fsanitize=undefined", "-fno-sanitize-recover=all"]
    LINK_FLAGS.append("-fsanitize=undefined")
    cdef += (HERE / "mutations.cdef.h").read_text()
ffibuilder.cdef(cdef)
ffibuilder.set_source(
    "lwcgi._core._lwcgi",
    '#include "core.h"\n#include "channel.h"\n#include "context.h"\n#include "holes.h"\n#include "selftest.h"\n#include "step.h"\n',
    sources=[os.path.relpath(path, HERE.parent.parent) for path in SOURCES],
    include_dirs=[os.path.relpath(path, HERE.parent.parent) for path in (HERE / "src", CONTRACT)],
    depends=[
        os.path.relpath(path, HERE.parent.parent)
        for folder in (HERE / "src", CONTRACT)
        for path in folder.glob("*.h")
    ],
    extra_link_args=LINK_FLAGS,
    extra_compile_args=FLAGS,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
