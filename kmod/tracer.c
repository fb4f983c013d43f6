// SPDX-License-Identifier: GPL-2.0
/*
 * Whether who traces the calling thread may go on to where it is about to go.
 *
 * He was allowed to trace it with the credentials and the memory that it has now. As with a
 * set-user-ID program that is no right to others, nor to memory that may not be looked at.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/ptrace.h>
#include <linux/sched/coredump.h>
#include <linux/user_namespace.h>

#include "mutations.h"
#include "tracer.h"

static bool are_no_more(const struct cred *than, const struct cred *these)
{
    return uid_eq(these->uid, than->uid) && uid_eq(these->euid, than->euid) &&
           uid_eq(these->suid, than->suid) && gid_eq(these->gid, than->gid) &&
           gid_eq(these->egid, than->egid) && gid_eq(these->sgid, than->sgid) &&
           these->user_ns == than->user_ns &&
           cap_issubset(these->cap_permitted, than->cap_permitted);
}

static bool hides(const struct mm_struct *memory)
{
    return __get_dumpable(memory->flags) != SUID_DUMP_USER &&
           __get_dumpable(current->mm->flags) == SUID_DUMP_USER && !leave_out("tracer_dumpable");
}

static bool may_all(void)
{
    const struct cred *tracer;
    bool may;

    rcu_read_lock();
    tracer = rcu_dereference(current->ptracer_cred);
    may = tracer && tracer->user_ns == &init_user_ns &&
          cap_raised(tracer->cap_effective, CAP_SYS_PTRACE);
    rcu_read_unlock();
    return may;
}

/*
 * Whether a tracer could gain by these, NULL for what stays as it is. Then cred_guard_mutex is to
 * be held from the next question until it is done: nobody attaches meanwhile.
 */
bool lwc_tracer_matters(const struct cred *next, const struct mm_struct *memory)
{
    return next || (memory && hides(memory));
}

bool lwc_tracer_may_follow(const struct cred *next, const struct mm_struct *memory)
{
    bool gains = (next && !are_no_more(current_cred(), next) && !leave_out("tracer_check")) ||
                 (memory && hides(memory));

    return !current->ptrace || !gains || may_all();
}
