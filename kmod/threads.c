// SPDX-License-Identifier: GPL-2.0
/* Ends the threads that live in the memory of a parked worker. */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/task_work.h>

#include "mutations.h"
#include "symbols.h"
#include "threads.h"

#define LONGEST_WAIT (5 * HZ) /* for threads to end */
#define ASK_AGAIN (HZ / 20)
#define LONGEST_GUEST (HZ / 10) /* for who has it for a moment, as /proc does */

#ifdef PF_USER_WORKER
#define KERNEL_WORKER (PF_IO_WORKER | PF_USER_WORKER)
#else
#define KERNEL_WORKER PF_IO_WORKER
#endif

/* On its way to user space: as if the thread had called exit(2) itself. */
static void end_thread(struct callback_head *work)
{
    /* What is still to be done in the same batch would be lost: files that are being closed. */
    if (work->next && !task_work_add(current, work, TWA_RESUME))
        return;
    kfree(work);
    module_put(THIS_MODULE);
    if (!(current->flags & PF_EXITING))
        KERNEL(do_exit)(0);
}

static int ask_to_end(struct task_struct *thread)
{
    struct callback_head *work = kmalloc(sizeof(*work), GFP_ATOMIC | __GFP_ACCOUNT);

    if (!work)
        return -ENOMEM;
    init_task_work(work, end_thread);
    /* The thread may be stopped, and do this when we and our group are gone. */
    __module_get(THIS_MODULE);
    if (task_work_add(thread, work, TWA_SIGNAL)) { /* it is ending */
        kfree(work);
        module_put(THIS_MODULE);
    }
    return 0;
}

/* How many there are; each is asked to end, if it is to be. */
static int count_threads(struct mm_struct *mm, bool ask)
{
    struct task_struct *thread;
    int count = 0, err = 0;

    rcu_read_lock();
    for_each_thread(current, thread)
    {
        if (thread == current || READ_ONCE(thread->mm) != mm)
            continue;
        count++;
        /* Threads of the kernel, of io_uring and vhost, end with who began them. */
        if (ask && !err && !(thread->flags & KERNEL_WORKER))
            err = ask_to_end(thread);
    }
    rcu_read_unlock();
    return err ?: count;
}

static int wait_for_threads(struct mm_struct *mm)
{
    unsigned long limit = jiffies + LONGEST_WAIT, again = jiffies + ASK_AGAIN;
    int count = count_threads(mm, true);

    /* One that was not there yet may have begun another. */
    while (count > 0) {
        if (time_after(jiffies, limit))
            return -EBUSY;
        if (schedule_timeout_killable(1))
            cond_resched();
        if (fatal_signal_pending(current))
            return -EINTR;
        count = count_threads(mm, time_after(jiffies, again));
        if (time_after(jiffies, again))
            again = jiffies + ASK_AGAIN;
    }
    return count;
}

/* 0: nobody but the caller has the memory. -EBUSY: another process shares it. */
int lwc_threads_end(struct mm_struct *mm)
{
    unsigned long limit;
    int err;

    if (atomic_read(&mm->mm_users) == 1 || leave_out("reset_threads"))
        return 0;
    err = wait_for_threads(mm);
    if (err)
        return err;
    for (limit = jiffies + LONGEST_GUEST; atomic_read(&mm->mm_users) > 1;) {
        if (time_after(jiffies, limit))
            return -EBUSY;
        if (fatal_signal_pending(current))
            return -EINTR;
        usleep_range(100, 200);
    }
    return 0;
}
