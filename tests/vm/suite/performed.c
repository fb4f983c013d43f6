/* SPDX-License-Identifier: MIT */
#include "performed.h"
#include "check.h"

long for_other(int fd, __u32 mask, long nr, const __u64 *args)
{
    __s64 result;

    CHECK_OK(lwc_syscall(fd, mask, nr, args, &result));
    return result;
}
