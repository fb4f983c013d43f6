/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_SYSCALL_H
#define _LWC_SYSCALL_H

#include "uapi/lwc.h"

struct lwc;

int lwc_syscall_supported(u64 nr);
int lwc_syscall(struct lwc *target, struct lwc_syscall *wanted);

#endif
