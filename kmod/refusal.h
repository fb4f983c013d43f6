/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes a refused system call a switch to the creator of the lwC.
 */
#ifndef _LWC_REFUSAL_H
#define _LWC_REFUSAL_H

#include <linux/task_work.h>
#include <linux/types.h>

#include "uapi/lwc.h"

/* What a thread does on its way out of the kernel, about a call that is, or was, refused to it. */
struct lwc_refusal {
    struct callback_head work;
    bool answered; /* it returns `answer`; otherwise its creator is to be asked */
    u64 call;      /* its number; with LWC_TRAP_COMPAT by a 32-bit entry */
    unsigned long args[6];
    long answer;
    struct {
        u64 lwc; /* its id, 0 for none */
        u64 call;
        unsigned long args[6];
    } once; /* the call that runs although it is refused, if it is the next one */
};

struct lwc_group;
struct lwc_switch;

int lwc_refusal_begin(void);
void lwc_refusal_end(void);
void lwc_refusal_exit(void);
void lwc_refusal_init_work(struct lwc_refusal *refusal);
void lwc_refusal_answer(struct lwc_group *group, u64 call, const struct lwc_switch *with);

#endif
